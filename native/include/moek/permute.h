/**
 * @file permute.h
 * Tokens into expert order and back. N = tokens * top_k slots at most; a dropped choice has none.
 */
#ifndef MOEK_PERMUTE_H
#define MOEK_PERMUTE_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A dispatch plan in device memory of the caller. */
typedef struct moek_plan {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** k. */
    int32_t top_k;
    /** E, 1 to 4096. */
    int32_t experts;
    /** 0. */
    int32_t reserved0;
    /** T. */
    int64_t tokens;
    /** Slots of each expert, [E]. */
    int32_t *expert_counts;
    /** First slot of each expert and the number of slots at the end, [E + 1]. */
    int32_t *expert_offsets;
    /** The choice t k + j that fills a slot, [T k]. */
    int32_t *choice_of_slot;
    /** Slot of every choice, -1 where it was dropped, [T, k]. */
    int32_t *slot_of;
} moek_plan;

/**
 * Bytes of workspace that building a plan takes.
 *
 * @param[out] bytes    receives them
 * @param      tokens   T
 * @param      top_k    k
 * @param      experts  E
 * @return MOEK_OK; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_plan_workspace(uint64_t *bytes, int64_t tokens, int32_t top_k,
                                         int32_t experts);

/**
 * Sorts choices by expert, stably: inside an expert, slots follow the order of choices.
 *
 * @param      plan      pointers to fill; T k below 2^31
 * @param      context   a context
 * @param      topk_ids  device, [T, k]; negative ids and ids from E on have no slot
 * @param      workspace device, 256-byte aligned
 * @param      workspace_bytes at least moek_plan_workspace
 * @param      stream    NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_WORKSPACE; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_plan_build(const moek_plan *plan, moek_context *context,
                                     const int32_t *topk_ids, void *workspace,
                                     uint64_t workspace_bytes, void *stream);

/**
 * Dispatch: xp[slot] = x[choice_of_slot[slot] / k], times the choice's weight where given.
 *
 * @param[out] xp       device, [T k, width] in `io_dtype`; rows past the last slot are kept
 * @param      context  a context
 * @param      plan     a finished plan
 * @param      x        device, [T, width] in `io_dtype`; must not overlap xp
 * @param      weights  device, [T, k], or NULL to copy
 * @param      io_dtype MOEK_F32, MOEK_F16 or MOEK_BF16
 * @param      width    elements of a row
 * @param      stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_dispatch(void *xp, moek_context *context, const moek_plan *plan,
                                   const void *x, const float *weights, int32_t io_dtype,
                                   int32_t width, void *stream);

/**
 * Combine: y[t] = sum over j of weights[t, j] * yp[slot_of[t, j]], in j order, fused multiply-add
 * in fp32 from +0; 0 for a token without slots.
 *
 * @param[out] y        device, [T, width] in `io_dtype`
 * @param      context  a context
 * @param      plan     a finished plan
 * @param      yp       device, [T k, width] fp32; must not overlap y
 * @param      weights  device, [T, k], or NULL for ones
 * @param      dropped  device, [T, width] in `io_dtype`: what a dropped choice gives; NULL: nothing
 * @param      io_dtype MOEK_F32, MOEK_F16 or MOEK_BF16
 * @param      width    elements of a row
 * @param      stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_combine(void *y, moek_context *context, const moek_plan *plan,
                                  const float *yp, const float *weights, const void *dropped,
                                  int32_t io_dtype, int32_t width, void *stream);

#ifdef __cplusplus
}
#endif
#endif
