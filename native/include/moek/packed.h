/**
 * @file packed.h
 * Descriptions of matrices below 4 bits per weight, and weight stacks of every type.
 */
#ifndef MOEK_PACKED_H
#define MOEK_PACKED_H

#include "core.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Pointers are device memory, used in place: the caller keeps it alive. Else host, copied. */
#define MOEK_BORROW 1

/**
 * A stack of codebook matrices as it lies in a safetensors file (version 1 of the format).
 *
 * Row blocks B = ceil(rows / 64), entries G S with G = ceil(columns / dimension).
 */
typedef struct moek_codebook_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** R, 1 to 2^24. */
    int32_t rows;
    /** K, 1 to 2^24. */
    int32_t columns;
    /** D, 1 to 16 neighbouring weights of a row. */
    int32_t dimension;
    /** S, 1 to 4 codebooks whose vectors add up. */
    int32_t stages;
    /** E matrices. */
    int32_t matrices;
    /** C codebooks: 1 for all matrices or one for each. */
    int32_t codebooks;
    /** 0. */
    int32_t reserved0;
    /** fp16 scale of each row, [E, 64 B]. */
    const uint16_t *scales;
    /** Codes, [E, G S B, 64]. */
    const uint8_t *codes;
    /** Vectors, [C, S, 128, D]. */
    const int8_t *codebook;
    /** fp16 factors of the inputs, [C, K], or NULL for ones. */
    const uint16_t *inputs;
} moek_codebook_desc;

/** A stack of ternary matrices in QMoE's codewords (the published dictionary of 65536 entries). */
typedef struct moek_qmoe_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** R. */
    int32_t rows;
    /** K. */
    int32_t columns;
    /** E matrices. */
    int32_t matrices;
    /** Codewords of all rows of all matrices, one after the other. */
    const uint16_t *codewords;
    /** First codeword of each row and the number of them at the end, [E R + 1], ascending. */
    const int64_t *row_offsets;
    /** Least and greatest value of each row in bf16, [E, R, 2]. */
    const uint16_t *min_max;
} moek_qmoe_desc;

/** E matrices of one shape. */
typedef struct moek_weights moek_weights;

/** How a stack of matrices is given. */
typedef struct moek_weights_desc {
    /** Bytes of this struct as the caller knows it. */
    uint32_t struct_size;
    /** A moek_dtype. */
    int32_t dtype;
    /** E, at least 1. */
    int32_t matrices;
    /** R, outputs. */
    int32_t rows;
    /** K, inputs; a multiple of 32 for MOEK_MXFP4. */
    int32_t columns;
    /** MOEK_BORROW or 0. */
    uint32_t flags;
    /** Rows of a scale's block (MOEK_F8E4M3). */
    int32_t scale_block_rows;
    /** Columns of a scale's block (MOEK_F8E4M3). */
    int32_t scale_block_columns;
    /** [E, R, K] elements, 16-byte aligned; a moek_codebook_desc or moek_qmoe_desc for those. */
    const void *data;
    /**
     * MOEK_F8E4M3: fp32, [E, ceil(R / block rows), ceil(K / block columns)]; MOEK_MXFP4: e8m0
     * bytes, [E, R, K / 32]; else NULL.
     */
    const void *scales;
    /** Bytes at data, as a check; 0 for codebooks and codewords. */
    uint64_t data_bytes;
    /** Bytes at scales, as a check. */
    uint64_t scale_bytes;
} moek_weights_desc;

/** Sets every field but struct_size of a codebook description to 0 and NULL. */
MOEK_API void moek_codebook_desc_init(moek_codebook_desc *desc);

/** Sets every field but struct_size of a codeword description to 0 and NULL. */
MOEK_API void moek_qmoe_desc_init(moek_qmoe_desc *desc);

/** Sets every field but struct_size to 0 and NULL, and the blocks of scales to 128 x 128. */
MOEK_API void moek_weights_desc_init(moek_weights_desc *desc);

/**
 * Puts a stack on the device.
 *
 * Borrowed codebooks are used in the order of the file; tables that depend on the vectors only are
 * made here. Codes and codewords are checked against their description first.
 *
 * @param[out] weights  receives the handle, NULL on failure
 * @param      context  a context; it must outlive the weights
 * @param      desc     read during the call
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_ABI; MOEK_E_UNSUPPORTED; MOEK_E_DATA for a stack that
 *         contradicts itself; MOEK_E_MEMORY; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_weights_create(moek_weights **weights, moek_context *context,
                                         const moek_weights_desc *desc);

/** Frees a stack once the device no longer uses it. NULL is allowed. */
MOEK_API void moek_weights_destroy(moek_weights *weights);

/**
 * Device bytes that a stack takes, borrowed ones not counted.
 *
 * @param[out] bytes    receives them
 * @param      weights  a stack
 * @return MOEK_OK; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_weights_bytes(uint64_t *bytes, const moek_weights *weights);

/**
 * Bytes of workspace that a product of up to `rows` inputs takes.
 *
 * @param[out] bytes    receives them
 * @param      weights  a stack
 * @param      rows     inputs of a call
 * @return MOEK_OK; MOEK_E_ARGUMENT
 */
MOEK_API moek_status moek_linear_workspace(uint64_t *bytes, const moek_weights *weights,
                                           int64_t rows);

/**
 * Linear layer: y = x W' + bias with matrix 0 of a stack.
 *
 * Sums run in fp32 in a fixed order: a row's bits do not depend on the other rows.
 *
 * @param[out] y        device, [rows, R] in `io_dtype`, 16-byte aligned
 * @param      context  a context
 * @param      weights  a stack
 * @param      bias     device, [R] fp32, or NULL
 * @param      x        device, [rows, K] in `io_dtype`, 16-byte aligned; must not overlap y
 * @param      io_dtype MOEK_F32 or MOEK_BF16
 * @param      rows     0 allowed
 * @param      workspace device, 256-byte aligned
 * @param      workspace_bytes at least moek_linear_workspace
 * @param      stream   NULL or a stream
 * @return MOEK_OK; MOEK_E_ARGUMENT; MOEK_E_UNSUPPORTED; MOEK_E_WORKSPACE; MOEK_E_DEVICE
 */
MOEK_API moek_status moek_linear(void *y, moek_context *context, const moek_weights *weights,
                                 const float *bias, const void *x, int32_t io_dtype, int64_t rows,
                                 void *workspace, uint64_t workspace_bytes, void *stream);

/**
 * Grouped GEMM: rows [offsets[e], offsets[e + 1]) of y are those of x times matrix e.
 *
 * @param[out] y        device, [slots, R] in `io_dtype`; rows from offsets[E] on stay as they are
 * @param      context  a context
 * @param      weights  a stack
 * @param      bias     device, [E, R] fp32, or NULL
 * @param      x        device, [slots, K] in `io_dtype`; must not overlap y
 * @param      io_dtype MOEK_F32 or MOEK_BF16
 * @param      expert_offsets device, [E + 1], ascending from 0, at most `slots`
 * @param      slots    most rows, 0 allowed, below 2^31
 * @param      workspace device, 256-byte aligned
 * @param      workspace_bytes at least moek_linear_workspace for `slots`
 * @param      stream   NULL or a stream
 * @return as moek_linear
 */
MOEK_API moek_status moek_grouped_gemm(void *y, moek_context *context, const moek_weights *weights,
                                       const float *bias, const void *x, int32_t io_dtype,
                                       const int32_t *expert_offsets, int64_t slots,
                                       void *workspace, uint64_t workspace_bytes, void *stream);

#ifdef __cplusplus
}
#endif
#endif
