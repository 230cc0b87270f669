// QMoE's codewords, decoded and multiplied in one go.
//
// The paper's kernel walks the codewords of a row one by one and lets 28 lanes look at the weights of each, 2.5 of them
// not zero. Here 32 lanes take 32 codewords: a prefix sum of their lengths tells each lane its columns, and it visits
// only the weights that are not zero, at most three in a codeword of the published dictionary. Levels are factored out:
// y = min * (sum of x where the symbol is 1) + max * (sum of x where it is 2).
#pragma once

#include "device/reduce.cuh"
#include "kernels/packed/outputs.cuh"
#include "kernels/packed/qmoe.hpp"
#include "kernels/packed/slots.cuh"

namespace moek {

constexpr int kQmoeThreads = 256;
constexpr int kQmoeWarps = kQmoeThreads / 32;
constexpr int kQmoeRowsPerWarp = 4;
constexpr int kQmoeRowsPerBlock = kQmoeWarps * kQmoeRowsPerWarp;
constexpr int kWeightsPerWord = 14;  // of the two words of an entry; bits 0-3 hold the pairs of the entry

// y[slot] = activation(stacks x[slot]), with one stack or with gate and up.
struct QmoeCall {
    Groups groups;
    Inputs inputs;
    QmoeStack stacks[2];
    int32_t num_stacks = 1;
    Outputs outputs;
};

// Inputs of a run of slots in shared memory, [column, kSlots].
template <int kSlots>
struct SharedInputs {
    const float* x;

    MOEK_DEVICE void add(float (&sums)[kSlots], int32_t column) const {
        const float* values = x + static_cast<int64_t>(column) * kSlots;
        if constexpr (kSlots == 4) {
            const float4 four = *reinterpret_cast<const float4*>(values);
            sums[0] += four.x;
            sums[1] += four.y;
            sums[2] += four.z;
            sums[3] += four.w;
        } else {
#pragma unroll
            for (int i = 0; i < kSlots; ++i) sums[i] += values[i];
        }
    }
};

// The same where they are, for rows that shared memory does not hold.
template <int kSlots>
struct GlobalInputs {
    InputRow rows[kSlots];

    MOEK_DEVICE void add(float (&sums)[kSlots], int32_t column) const {
#pragma unroll
        for (int i = 0; i < kSlots; ++i) sums[i] += rows[i][column];
    }
};

// One row times the inputs, in all lanes. Lane i adds up codewords i, i + 32, ... in ascending order of columns, then
// the lanes meet in a fixed tree: the bits depend on the row and its input alone. Called by whole warps.
template <int kSlots, class RowInputs>
MOEK_DEVICE void qmoe_dot(float (&result)[kSlots], const QmoeStack& stack, int64_t row, const RowInputs& inputs) {
    const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
    const int64_t end = stack.row_offsets[row + 1];
    float low[kSlots] = {};
    float high[kSlots] = {};
    int32_t column = 0;  // of the first of 32 codewords
    for (int64_t at = stack.row_offsets[row]; at < end; at += 32) {
        uint2 entry = make_uint2(0, 0);
        if (at + lane < end) {
            entry = reinterpret_cast<const uint2*>(stack.dictionary)[stack.codewords[at + lane]];
        }
        const int32_t weights = static_cast<int32_t>(entry.x & 15) * 2;
        const int32_t through = warp_inclusive_sum(weights);
        const int32_t first = column + through - weights;
        column += __shfl_sync(~0u, through, 31);
#pragma unroll
        for (int word = 0; word < 2; ++word) {
            const uint32_t symbols = (word == 0 ? entry.x : entry.y) >> 4;
            for (uint32_t left = (symbols | symbols >> 1) & 0x05555555u; left != 0; left &= left - 1) {
                const int32_t bit = __ffs(static_cast<int>(left)) - 1;
                const int32_t place = first + word * kWeightsPerWord + bit / 2;
                if (place >= stack.columns) continue;  // the second weight of the last pair of an odd row
                if (symbols >> bit & 1) {
                    inputs.add(low, place);
                } else {
                    inputs.add(high, place);
                }
            }
        }
    }
    const float low_level = to_float(bf16{stack.min_max[2 * row]});
    const float high_level = to_float(bf16{stack.min_max[2 * row + 1]});
#pragma unroll
    for (int i = 0; i < kSlots; ++i) {
        const float sum_low = warp_sum(low[i]);
        const float sum_high = warp_sum(high[i]);
        result[i] = fmaf(high_level, sum_high, low_level * sum_low);
    }
}

// The rows of a block for a run of slots.
template <int kSlots, class RowInputs>
MOEK_DEVICE void qmoe_rows(const QmoeCall& call, const SlotRun& run, int32_t tile, const RowInputs& inputs) {
    const int32_t warp = static_cast<int32_t>(threadIdx.x) / 32;
    const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
    const int32_t rows = call.stacks[0].rows;
    for (int i = 0; i < kQmoeRowsPerWarp; ++i) {
        const int32_t row = tile * kQmoeRowsPerBlock + i * kQmoeWarps + warp;
        if (row >= rows) break;
        const int64_t row_of_stack = static_cast<int64_t>(run.expert) * rows + row;
        float first[kSlots], second[kSlots] = {};
        qmoe_dot<kSlots>(first, call.stacks[0], row_of_stack, inputs);
        if (call.num_stacks > 1) qmoe_dot<kSlots>(second, call.stacks[1], row_of_stack, inputs);
#pragma unroll
        for (int s = 0; s < kSlots; ++s) {
            if (lane == s && s < run.count) call.outputs.store(run.first + s, run.expert, row, first[s], second[s]);
        }
    }
}

// Grid    any number of blocks over slots x tiles of rows, slots fastest; a slot in the middle of a run of kSlots
//         gives no work.
// Block   256 threads, a warp a row, four rows each; with kShared [columns, kSlots] floats of shared memory.
// Needs   codewords that cover every row's columns (qmoe_first_bad_row).
// Moves   per run: 2 bytes a codeword, 8 of the dictionary (L2), 4 K a slot. About 45 warp instructions for 32
//         codewords, 695 weights at .885 zeros (derived).
template <int kSlots, bool kShared>
__global__ void __launch_bounds__(kQmoeThreads) qmoe_kernel(QmoeCall call) {
    MOEK_DYNAMIC_SHARED(float, x);
    const int32_t tiles = (call.stacks[0].rows + kQmoeRowsPerBlock - 1) / kQmoeRowsPerBlock;
    const int32_t slots = call.groups.max_slots;
    const int64_t items = static_cast<int64_t>(slots) * tiles;
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const int32_t slot = static_cast<int32_t>(item % slots);
        const SlotRun run = run_at(call.groups, slot, 0, slots, kSlots);
        if (run.count == 0) continue;
        const int32_t tile = static_cast<int32_t>(item / slots);
        GlobalInputs<kSlots> rows;
#pragma unroll
        for (int i = 0; i < kSlots; ++i) rows.rows[i] = input_row(call.inputs, run.first + min(i, run.count - 1));
        if constexpr (kShared) {
            const int32_t columns = call.inputs.columns;
            __syncthreads();
            for (int32_t c = threadIdx.x; c < columns; c += kQmoeThreads) {
#pragma unroll
                for (int i = 0; i < kSlots; ++i) x[c * kSlots + i] = rows.rows[i][c];
            }
            __syncthreads();
            qmoe_rows<kSlots>(call, run, tile, SharedInputs<kSlots>{x});
        } else {
            qmoe_rows<kSlots>(call, run, tile, rows);
        }
    }
}

}  // namespace moek
