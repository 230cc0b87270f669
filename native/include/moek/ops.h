/**
 * @file ops.h
 * What a transformer needs beside its experts, so that a whole forward pass stays on the device.
 * Activations are fp32.
 */
#ifndef MOEK_OPS_H
#define MOEK_OPS_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/**
 * Root mean square norm: y = x / sqrt(mean(x^2) + epsilon) * (weight + offset), row by row.
 *
 * @param[out] y        device, rows `y_stride` floats apart; may be x
 * @param      context  a context
 * @param      x        device, rows `x_stride` floats apart
 * @param      weight   device, [width], or NULL for ones
 * @param      offset   added to weight (0, or 1 where the checkpoint stores weight - 1)
 * @param      epsilon  above 0
 * @param      rows     0 allowed
 * @param      width    elements of a row
 * @param      x_stride at least width
 * @param      y_stride at least width
 * @param      stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_rms_norm(float *y, moek_context *context, const float *x,
                                   const float *weight, float offset, float epsilon, int64_t rows,
                                   int32_t width, int64_t x_stride, int64_t y_stride, void *stream);

/**
 * Layer norm: y = (x - mean) / sqrt(variance + epsilon) * weight + bias, row by row.
 *
 * @param[out] y        device, [rows, width]; may be x
 * @param      context  a context
 * @param      x        device, [rows, width]
 * @param      weight   device, [width], or NULL for ones
 * @param      bias     device, [width], or NULL
 * @param      epsilon  above 0
 * @param      rows     0 allowed
 * @param      width    elements of a row
 * @param      stream   NULL or a stream
 * @return as moek_rms_norm
 */
MOEK_API moek_status moek_layer_norm(float *y, moek_context *context, const float *x,
                                     const float *weight, const float *bias, float epsilon,
                                     int64_t rows, int32_t width, void *stream);

/**
 * Residual sum: x += factor * y.
 *
 * @param      x        device, [count], in place
 * @param      context  a context
 * @param      y        device, [count]; must not overlap x
 * @param      factor   1 for a plain sum
 * @param      count    0 allowed
 * @param      stream   NULL or a stream
 * @return as moek_rms_norm
 */
MOEK_API moek_status moek_add(float *x, moek_context *context, const float *y, float factor,
                              int64_t count, void *stream);

/**
 * Rotary positions, in place on the first `dimensions` elements of every head.
 *
 * @param      x        device; head h of row r begins at x + r row_stride + h head_stride
 * @param      context  a context
 * @param      angles   device, [rows, dimensions]: cosines of the pairs, then sines
 * @param      rows     0 allowed
 * @param      heads    heads of a row
 * @param      dimensions even, at most head_stride
 * @param      interleaved 1: pairs are neighbours; 0: pairs lie dimensions / 2 apart
 * @param      row_stride in floats
 * @param      head_stride in floats
 * @param      stream   NULL or a stream
 * @return as moek_rms_norm
 */
MOEK_API moek_status moek_rope(float *x, moek_context *context, const float *angles, int64_t rows,
                               int32_t heads, int32_t dimensions, int32_t interleaved,
                               int64_t row_stride, int64_t head_stride, void *stream);

/** One attention over a cache of keys and values; strides in floats. */
typedef struct moek_attention_args {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** Query rows. */
    int32_t rows;
    /** Query heads; a multiple of kv_heads. */
    int32_t heads;
    /** Heads of keys and values. */
    int32_t kv_heads;
    /** Elements of a query or key head, at most 576. */
    int32_t key_dim;
    /** Elements of a value head, at most 512. */
    int32_t value_dim;
    /** Factor of the scores. */
    float scale;
    /** Positions that k and v have for the rows, above every last; 0 when the host does not know.
     */
    int32_t positions;
    /** [rows, heads, key_dim] with the strides below. */
    const float *q;
    /** [positions, kv_heads, key_dim]. */
    const float *k;
    /** [positions, kv_heads, value_dim]. */
    const float *v;
    /** Receives [rows, heads, value_dim]. */
    float *y;
    /** First position that a row sees, [rows]. */
    const int32_t *first;
    /** Last position that a row sees, [rows], not before first. */
    const int32_t *last;
    /** Score of a key without value that joins every softmax, [heads]; or NULL. */
    const float *sinks;
    /** Between query rows. */
    int64_t q_stride;
    /** Between heads of a query row. */
    int64_t q_head_stride;
    /** Between positions of k. */
    int64_t k_stride;
    /** Between heads of k. */
    int64_t k_head_stride;
    /** Between positions of v. */
    int64_t v_stride;
    /** Between heads of v. */
    int64_t v_head_stride;
    /** Between rows of y. */
    int64_t y_stride;
    /** Between heads of y. */
    int64_t y_head_stride;
    /** 256-byte aligned, or NULL: lets few rows share their positions among blocks. */
    void *workspace;
    /** At least moek_attention_workspace, or 0. */
    uint64_t workspace_bytes;
    /** 0 hides a position from every row that would see it, [positions]; or NULL. */
    const int32_t *mask;
    /**
     * [heads, 2 bias_reach + 1], or NULL: added to the scaled scores, by the distance from the
     * row's place to the position, -bias_reach to bias_reach; what is farther counts as that far.
     */
    const float *bias;
    /** Position of each row itself, where its distances begin, [rows]; needed with bias. */
    const int32_t *places;
    /** Largest distance with a bias of its own, 0 to 2^20. */
    int32_t bias_reach;
    /** 0. */
    int32_t reserved0;
} moek_attention_args;

/** Sets every field but struct_size to 0 and NULL. */
MOEK_API void moek_attention_args_init(moek_attention_args *args);

/**
 * Bytes of workspace with which few rows over many positions run on the whole device.
 *
 * @param[out] bytes      receives them, 0 where one block a row is enough
 * @param      rows       query rows
 * @param      heads      query heads
 * @param      value_dim  elements of a value head
 * @param      positions  as in the call
 * @return MOEK_OK; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_attention_workspace(uint64_t *bytes, int32_t rows, int32_t heads,
                                              int32_t value_dim, int32_t positions);

/**
 * Attention of query rows over cached positions first..last, decode and prefill alike:
 * y = sum of softmax(scale q . k + bias) v. Windows are first and last; grouped queries share kv
 * heads. Encoders, padded sources and cross attention differ from causal attention in first, last
 * and mask alone; a row must see at least one position. A row's bits depend neither on the other
 * rows nor on the workspace.
 *
 * @param context  a context
 * @param args     read during the call; its arrays are device memory
 * @param stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_UNSUPPORTED; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_attention(moek_context *context, const moek_attention_args *args,
                                    void *stream);

/**
 * Clamp: x = min(max(x, -limit), limit), in place.
 *
 * @return as moek_add
 */
MOEK_API moek_status moek_clamp(float *x, moek_context *context, float limit, int64_t count,
                                void *stream);

/**
 * Gate: y[r, i] *= sigmoid(gate[r, i]); rows of gate are gate_stride floats apart.
 *
 * @return as moek_rms_norm
 */
MOEK_API moek_status moek_gate(float *y, moek_context *context, const float *gate, int64_t rows,
                               int32_t width, int64_t gate_stride, void *stream);

/**
 * Scales rows: x[r, i] *= factors[r], in place.
 *
 * @param      x        device, rows `stride` floats apart
 * @param      context  a context
 * @param      factors  device, [rows]; must not overlap x
 * @param      rows     0 allowed
 * @param      width    elements of a row
 * @param      stride   at least width
 * @param      stream   NULL or a stream
 * @return as moek_rms_norm
 */
MOEK_API moek_status moek_scale_rows(float *x, moek_context *context, const float *factors,
                                     int64_t rows, int32_t width, int64_t stride, void *stream);

/** A copy of heads between two layouts; strides in elements. */
typedef struct moek_heads_args {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** Heads of a row. */
    int32_t heads;
    /** Rows, 0 allowed. */
    int64_t rows;
    /** Elements of a head. */
    int32_t width;
    /** MOEK_F32 or MOEK_BF16. */
    int32_t x_dtype;
    /** MOEK_F32 or MOEK_BF16. */
    int32_t y_dtype;
    /** 0. */
    int32_t reserved0;
    /** [rows, heads, width] with the strides below. */
    const void *x;
    /** Receives [rows, heads, width]; must not overlap x. */
    void *y;
    /** Between rows of x. */
    int64_t x_stride;
    /** Between heads of x. */
    int64_t x_head_stride;
    /** Between rows of y. */
    int64_t y_stride;
    /** Between heads of y. Heads of y must not overlap. */
    int64_t y_head_stride;
} moek_heads_args;

/** Sets every field but struct_size to 0 and NULL. */
MOEK_API void moek_heads_args_init(moek_heads_args *args);

/**
 * Copies heads: y[r, h, i] = x[r, h, i], rounded to nearest even where y is bf16.
 *
 * With rows inside heads on one side, it leads into a product of each head with a matrix of its own
 * and out of it (moek_grouped_gemm, `expert_offsets` = 0, rows, 2 rows, ...), as absorbed latent
 * attention needs.
 *
 * @param context  a context
 * @param args     read during the call; its arrays are device memory
 * @param stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_copy_heads(moek_context *context, const moek_heads_args *args,
                                     void *stream);

/**
 * Converts fp32 to bf16, to nearest even, or bf16 to fp32.
 *
 * @param[out] y        device, [count] in `y_dtype`
 * @param      context  a context
 * @param      x        device, [count] in `x_dtype`; must not overlap y
 * @param      y_dtype  MOEK_F32 or MOEK_BF16
 * @param      x_dtype  the other one
 * @param      count    0 allowed
 * @param      stream   NULL or a stream
 * @return as moek_rms_norm
 */
MOEK_API moek_status moek_convert(void *y, moek_context *context, const void *x, int32_t y_dtype,
                                  int32_t x_dtype, int64_t count, void *stream);

#ifdef __cplusplus
}
#endif
#endif
