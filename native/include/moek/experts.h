/**
 * @file experts.h
 * The experts of a layer: y = down(act(gate x) * up x), or down(act(up x)) without gates.
 */
#ifndef MOEK_EXPERTS_H
#define MOEK_EXPERTS_H

#include "packed.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The experts' non-linearity. The low byte is the function, MOEK_ACT_GATED a bit beside it. */
typedef enum moek_activation {
    /** x sigmoid(x). */
    MOEK_ACT_SILU = 0,
    /** max(x, 0). */
    MOEK_ACT_RELU = 1,
    /** x Phi(x), with erf. */
    MOEK_ACT_GELU = 2,
    /** 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))). */
    MOEK_ACT_GELU_TANH = 3,
    /** GPT-OSS: g = min(g, limit), u = clamp(u, +-limit), (u + 1) g sigmoid(alpha g). Gated. */
    MOEK_ACT_CLAMPED_SWIGLU = 4,
    /** There is a gate matrix beside up. */
    MOEK_ACT_GATED = 256
} moek_activation;

/** How gate and up rows lie in one matrix. */
typedef enum moek_gate_up_order {
    /** All gate rows, then all up rows. */
    MOEK_GATE_UP_CONCATENATED = 0,
    /** Gate row, up row, gate row, ... (GPT-OSS). */
    MOEK_GATE_UP_INTERLEAVED = 1
} moek_gate_up_order;

/** The routed or shared experts of a layer. */
typedef struct moek_experts moek_experts;

/** How experts are given. H = hidden, I = intermediate, M = 2 I when gated, else I. */
typedef struct moek_experts_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** E, 1 to 1024. */
    int32_t experts;
    /** H, a multiple of 8; of 32 for MOEK_MXFP4. */
    int32_t hidden;
    /** I, a multiple of 8; of 32 for MOEK_MXFP4. */
    int32_t intermediate;
    /** A moek_activation, MOEK_ACT_GATED included. */
    int32_t activation;
    /** A moek_dtype, of all matrices. */
    int32_t dtype;
    /** A moek_gate_up_order; concatenated for codebooks and codewords. */
    int32_t gate_up_order;
    /** MOEK_BORROW or 0. */
    uint32_t flags;
    /**
     * [E, M, H] elements, 16-byte aligned. For MOEK_CODEBOOK and MOEK_QMOE an array of
     * moek_codebook_desc or moek_qmoe_desc in host memory: gate [I, H] when gated, then up [I, H].
     */
    const void *gate_up;
    /** [E, H, I] elements; for codebooks and codewords one description. */
    const void *down;
    /** Scales of gate_up, as moek_weights_desc says, or NULL. */
    const void *gate_up_scale;
    /** Scales of down, or NULL. */
    const void *down_scale;
    /** [E, M] fp32 in the order of gate_up's rows, or NULL. */
    const float *gate_up_bias;
    /** [E, H] fp32, or NULL. */
    const float *down_bias;
    /** Bytes at gate_up, as a check; 0 for codebooks and codewords. */
    uint64_t gate_up_bytes;
    /** Bytes at down, as a check; 0 for codebooks and codewords. */
    uint64_t down_bytes;
    /** Slope of MOEK_ACT_CLAMPED_SWIGLU. */
    float alpha;
    /** Clamp of MOEK_ACT_CLAMPED_SWIGLU. */
    float limit;
    /** Rows of a scale's block (MOEK_F8E4M3). */
    int32_t scale_block_rows;
    /** Columns of a scale's block (MOEK_F8E4M3). */
    int32_t scale_block_columns;
} moek_experts_desc;

/** Sets defaults: SwiGLU, concatenated, alpha 1.702, limit 7, scale blocks of 128 x 128. */
MOEK_API void moek_experts_desc_init(moek_experts_desc *desc);

/**
 * Whether this context can run such experts, by the checks of moek_experts_create without its work.
 *
 * @param context    a context
 * @param desc       pointers are only compared with NULL
 * @param max_tokens most tokens of a call
 * @return MOEK_OK; MOEK_E_UNSUPPORTED with a text that names what is missing; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_supports(moek_context *context, const moek_experts_desc *desc,
                                   int64_t max_tokens);

/**
 * Puts experts on the device.
 *
 * @param[out] experts  receives the handle, NULL on failure
 * @param      context  a context; it must outlive the experts
 * @param      desc     read during the call
 * @return as moek_weights_create
 */
MOEK_API moek_status moek_experts_create(moek_experts **experts, moek_context *context,
                                         const moek_experts_desc *desc);

/** Frees experts once the device no longer uses them. NULL is allowed. */
MOEK_API void moek_experts_destroy(moek_experts *experts);

/**
 * Device bytes that experts take, borrowed ones not counted.
 *
 * @param[out] bytes    receives them
 * @param      experts  experts
 * @return MOEK_OK; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_experts_bytes(uint64_t *bytes, const moek_experts *experts);

#ifdef __cplusplus
}
#endif
#endif
