// QMoE's product of a matrix in codewords and one vector as the paper describes it (arXiv 2310.16795, section 4.2), to
// compare with. Not part of the library.
//
// As there: one launch a matrix and token, about as many blocks as an Ampere card has multiprocessors, a warp a row, 28
// lanes that look at the weights of one codeword at a time, the levels of a row in a private column of shared memory,
// inputs in fp32 followed by 28 zeros, an output in bfloat16 that is added to.
// Otherwise: sizes are run-time values; warps are synchronised after they store codewords and before they overwrite
// them, without which the paper's kernel relies on lanes that run in step; rows beyond the grid cannot exist.
#pragma once

#include "device/reduce.cuh"
#include "device/types.cuh"

namespace moek::bench {

// A matrix [rows, columns]; device memory.
struct QmoeBaseline {
    bf16* y = nullptr;        // [rows], added to
    const bf16* x = nullptr;  // [columns]
    const uint16_t* codewords = nullptr;
    const int32_t* row_offsets = nullptr;  // [rows + 1]
    const bf16* min_max = nullptr;         // [rows, 2]
    const uint32_t* dictionary = nullptr;  // [65536, 2]
    int32_t rows = 0;
    int32_t columns = 0;
};

// Rows and warps of a block.
struct QmoeBaselineShape {
    int32_t rows_per_block = 0;
    int32_t warps = 0;
};

// The paper's choice for its six matrices; zeros for any other, which its code leaves uncomputed without a word.
QmoeBaselineShape qmoe_baseline_shape(int32_t rows, int32_t columns);

// cudaErrorInvalidValue for a shape of zeros.
cudaError_t launch_qmoe_baseline(const QmoeBaseline& call, QmoeBaselineShape shape, cudaStream_t stream);

constexpr int kBaselineLanes = 28;  // weights of the longest codeword
constexpr int kBaselineWeightsPerWord = 14;

// Grid    ceil(rows / rows_per_block).
// Block   32 x warps; shared memory [columns + 28] inputs, [3, threads] levels, [threads] codewords.
// Moves   2 bytes a codeword, 8 of the dictionary (L2), 2 bytes an input and block.
template <int kUnused>
__global__ void qmoe_baseline_kernel(QmoeBaseline call, int32_t rows_per_block) {
    MOEK_DYNAMIC_SHARED(float, x);
    const int32_t threads = static_cast<int32_t>(blockDim.x);
    const int32_t thread = static_cast<int32_t>(threadIdx.x);
    const int32_t lane = thread % 32;
    const int32_t warp = thread / 32;
    float* levels = x + call.columns + kBaselineLanes;
    int32_t* codewords = reinterpret_cast<int32_t*>(levels + 3 * threads) + warp * 32;
    for (int32_t c = thread; c < call.columns + kBaselineLanes; c += threads)
        x[c] = c < call.columns ? to_float(call.x[c]) : 0.0f;
    __syncthreads();

    const int32_t first = static_cast<int32_t>(blockIdx.x) * rows_per_block;
    const int32_t end = min(first + rows_per_block, call.rows);
    levels[thread] = 0.0f;
    for (int32_t row = first + warp; row < end; row += threads / 32) {
        levels[threads + thread] = to_float(call.min_max[2 * row]);
        levels[2 * threads + thread] = to_float(call.min_max[2 * row + 1]);
        const int32_t last = call.row_offsets[row + 1];
        int32_t column = 0;
        float sum = 0.0f;
        for (int32_t at = call.row_offsets[row]; at < last; at += 32) {
            if (at + lane < last) codewords[lane] = call.codewords[at + lane];
            __syncwarp();
            for (int32_t i = 0; i < min(32, last - at); ++i) {
                const int32_t half = lane / kBaselineWeightsPerWord;
                if (lane >= kBaselineLanes) continue;
                const uint32_t word = call.dictionary[2 * codewords[i] + half];
                const uint32_t symbol = word >> (4 + 2 * (lane % kBaselineWeightsPerWord)) & 3;
                sum += levels[static_cast<int32_t>(symbol) * threads + thread] * x[column + lane];
                column += 2 * static_cast<int32_t>(word & 15);
            }
            __syncwarp();
        }
        sum = warp_sum(sum);
        if (lane == 0) call.y[row] = from_float<bf16>(to_float(call.y[row]) + to_float(from_float<bf16>(sum)));
    }
}

}  // namespace moek::bench
