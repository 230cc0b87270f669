/**
 * @file router.h
 * From hidden states to expert ids and routing weights.
 *
 * In this order: logits = x W' + bias; scores = score(logits); choice values = scores +
 * choice_bias; groups; the top_k best choice values; norm on the chosen scores; times scale; times
 * the expert's own scale; capacity. Equal values, of experts and of groups, resolve to the smaller
 * id, so every backend gives the same ids for the same logits.
 */
#ifndef MOEK_ROUTER_H
#define MOEK_ROUTER_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/** From logits to scores. */
typedef enum moek_score {
    /** Softmax over all experts. */
    MOEK_SCORE_SOFTMAX = 0,
    /** Sigmoid of each logit. */
    MOEK_SCORE_SIGMOID = 1,
    /** The logits themselves. */
    MOEK_SCORE_NONE = 2
} moek_score;

/** How expert groups restrict the choice; group g holds experts [g E/G, (g + 1) E/G). */
typedef enum moek_group_rule {
    /** No groups. */
    MOEK_GROUP_NONE = 0,
    /** A group counts as its best expert; the best groups stay (DeepSeek-V2). */
    MOEK_GROUP_MAX = 1,
    /** A group counts as the sum of its two best; the best groups stay (DeepSeek-V3). */
    MOEK_GROUP_TOP_TWO = 2,
    /** Every group gives top_k / groups experts, group after group (MoGE, Pangu Pro). */
    MOEK_GROUP_SAME = 3
} moek_group_rule;

/** From chosen scores s to routing weights. */
typedef enum moek_norm {
    /** s. */
    MOEK_NORM_NONE = 0,
    /** s / sum. */
    MOEK_NORM_SUM = 1,
    /** s / (sum + 1e-20). */
    MOEK_NORM_SUM_EPSILON = 2,
    /** s / max(sum, 2^-23). */
    MOEK_NORM_SUM_AT_LEAST = 3,
    /** Softmax over the chosen (GPT-OSS). */
    MOEK_NORM_SOFTMAX = 4,
    /** Sigmoid of each (Llama-4). */
    MOEK_NORM_SIGMOID = 5
} moek_norm;

/** What bounds the tokens of an expert. */
typedef enum moek_capacity {
    /** Nothing. */
    MOEK_CAPACITY_NONE = 0,
    /** `capacity_tokens` per expert and sequence, padding counted (Switch). */
    MOEK_CAPACITY_SEQUENCE = 1,
    /** ceil(factor * T); `capacity_tokens` if factor <= 0, 2 ceil(T / E) if that is 0 (NLLB). */
    MOEK_CAPACITY_FRACTION = 2,
    /** Tutel: top_k floor(f ceil(tokens / E)), as needed for 0, the smaller of both below 0. */
    MOEK_CAPACITY_FACTOR = 3
} moek_capacity;

/** The routing weight multiplies the expert's input, not its output (Llama-4). */
#define MOEK_ROUTER_APPLY_TO_INPUT 1
/** Experts outside the kept groups count as 0 instead of minus infinity. */
#define MOEK_ROUTER_MASKED_ZERO 2
/** Tokens whose mask is 0 choose nothing and take no place. */
#define MOEK_ROUTER_SKIP_PADDING 4
/** Tokens with the highest best score find their places first. */
#define MOEK_ROUTER_PRIORITIZED 8
/** The norm runs over the choices that found a place. */
#define MOEK_ROUTER_NORMALIZE_SURVIVORS 16
/** A dropped choice gives its weight times the layer's input instead of nothing. */
#define MOEK_ROUTER_DROP_INPUT 32

/** A router as data. Pointers as moek_layer_create and moek_route say. */
typedef struct moek_router_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** E, 1 to 1024. */
    int32_t experts;
    /** k, 1 to min(E, 64). */
    int32_t top_k;
    /** A moek_score. */
    int32_t score;
    /** A moek_group_rule. */
    int32_t group_rule;
    /** G; divides E; 1 without groups. */
    int32_t groups;
    /** Groups that stay under MOEK_GROUP_MAX and MOEK_GROUP_TOP_TWO. */
    int32_t kept_groups;
    /** A moek_norm. */
    int32_t norm;
    /** Factor of every routing weight, after the norm. */
    float scale;
    /** MOEK_ROUTER_ bits. */
    uint32_t flags;
    /** [E, hidden] in `weight_dtype`. */
    const void *weight;
    /** [E] or NULL: added to the logits. */
    const float *bias;
    /** [E] or NULL: added to the scores for choosing only. */
    const float *choice_bias;
    /** [E] or NULL: factors of the routing weights. */
    const float *expert_scale;
    /** MOEK_F32, MOEK_F16 or MOEK_BF16. */
    int32_t weight_dtype;
    /** Factor of every expert's output beside the routing weight (NLLB: 0.8). */
    float output_factor;
    /** A moek_capacity. */
    int32_t capacity;
    /** Fixed number of tokens of the capacities that have one. */
    int32_t capacity_tokens;
    /** Factor of the capacities that have one. */
    double capacity_factor;
    /** Tutel's capacity is a multiple of this; at least 1. */
    int32_t capacity_alignment;
    /** 0. */
    int32_t reserved0;
} moek_router_desc;

/** Sequences and padding of a call; all device memory. */
typedef struct moek_batch {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** Number of sequences, 0 or 1 when all tokens are one. */
    int32_t sequences;
    /** First token of each sequence, ascending from 0, [sequences]; NULL for one. */
    const int32_t *sequence_starts;
    /** 1 for tokens, 0 for padding, [tokens]; NULL when nothing is padded. */
    const int32_t *mask;
} moek_batch;

/** Sets every field to its default: softmax, no groups, no norm, scale 1, dropless. */
MOEK_API void moek_router_desc_init(moek_router_desc *desc);

/** Sets every field to its default: one sequence, nothing padded. */
MOEK_API void moek_batch_init(moek_batch *batch);

/**
 * Bytes of workspace that routing takes.
 *
 * @param[out] bytes       receives them
 * @param      router      a router; its pointers are not read
 * @param      max_tokens  most tokens of a call
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI
 */
MOEK_API moek_status moek_route_workspace(uint64_t *bytes, const moek_router_desc *router,
                                          int64_t max_tokens);

/**
 * Router logits: logits = x W' + bias, in fp32.
 *
 * @param[out] logits   device, [tokens, E]
 * @param      context  a context
 * @param      router   weight and bias on the device, borrowed until the stream has passed
 * @param      hidden   device, [tokens, width] in `io_dtype`; must not overlap logits
 * @param      io_dtype MOEK_F32, MOEK_F16 or MOEK_BF16
 * @param      width    inputs of the router, 1 to 2^20
 * @param      tokens   T, 0 allowed, below 2^31 / k
 * @param      stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_router_logits(float *logits, moek_context *context,
                                        const moek_router_desc *router, const void *hidden,
                                        int32_t io_dtype, int32_t width, int64_t tokens,
                                        void *stream);

/**
 * Chooses experts for given logits.
 *
 * @param[out] topk_ids      device, [tokens, k]; -1 for a dropped choice, for padding that is
 *                           skipped and for a token with a logit that is NaN or infinite, which
 *                           also makes the next moek_stream_synchronize return MOEK_E_NONFINITE
 * @param[out] topk_weights  device, [tokens, k], without output_factor
 * @param      context       a context
 * @param      router        choice_bias and expert_scale on the device, or NULL
 * @param      logits        device, [tokens, E]
 * @param      batch         NULL for one unpadded sequence
 * @param      tokens        T, 0 allowed
 * @param      workspace     device, 256-byte aligned
 * @param      workspace_bytes at least moek_route_workspace
 * @param      stream        NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_WORKSPACE; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_route_topk(int32_t *topk_ids, float *topk_weights, moek_context *context,
                                     const moek_router_desc *router, const float *logits,
                                     const moek_batch *batch, int64_t tokens, void *workspace,
                                     uint64_t workspace_bytes, void *stream);

#ifdef __cplusplus
}
#endif
#endif
