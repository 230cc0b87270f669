// QMoE's codewords, decoded and multiplied in one go.
//
// The paper's kernel walks the codewords of a row one by one and lets 28 lanes look at the weights of each, 2.5 of them
// not zero. Here 32 lanes take 64 codewords: a prefix sum of their lengths tells each lane its columns, and it visits
// three weights of a codeword, the most that are not zero in the published dictionary. Levels are factored out:
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
// Zeros behind a row of inputs: an odd row's last codeword has a weight more, and lanes without a codeword point there.
constexpr int kQmoePadding = 2;

// y[slot] = activation(stacks x[slot]), with one stack or with gate and up.
struct QmoeCall {
    Groups groups;
    Inputs inputs;
    QmoeStack stacks[2];
    int32_t num_stacks = 1;
    Outputs outputs;
};

// Inputs of a run of slots in shared memory, [column, kSlots], with their padding.
template <int kSlots>
struct SharedInputs {
    const float* x;

    MOEK_DEVICE void read(float (&values)[kSlots], int32_t column) const {
        if constexpr (kSlots == 4) {
            const float4 four = reinterpret_cast<const float4*>(x)[column];
            values[0] = four.x, values[1] = four.y, values[2] = four.z, values[3] = four.w;
        } else {
#pragma unroll
            for (int i = 0; i < kSlots; ++i) values[i] = x[column * kSlots + i];
        }
    }
};

// The same where they are, for rows that shared memory does not hold.
template <int kSlots>
struct GlobalInputs {
    InputRow rows[kSlots];
    int32_t columns;

    MOEK_DEVICE void read(float (&values)[kSlots], int32_t column) const {
#pragma unroll
        for (int i = 0; i < kSlots; ++i) values[i] = column < columns ? rows[i][column] : 0.0f;
    }
};

// Adds the inputs of a codeword that begins at column `first` to those of its level.
template <int kSlots, class RowInputs>
MOEK_DEVICE void add_codeword(const QmoeEntry& entry, int32_t first, const RowInputs& inputs, float (&low)[kSlots],
                              float (&high)[kSlots]) {
#pragma unroll
    for (int n = 0; n < QmoeEntry::kMostNonzeros; ++n) {
        float x[kSlots];
        inputs.read(x, first + entry.place(n));
#pragma unroll
        for (int i = 0; i < kSlots; ++i) {
            if (entry.is_low(n)) low[i] += x[i];
            if (entry.is_high(n)) high[i] += x[i];
        }
    }
}

// One row times the inputs, in all lanes. Lane i adds up codewords i, i + 32, ... in ascending order of columns, then
// the lanes meet in a fixed tree: the bits depend on the row and its input alone. Called by whole warps.
template <int kSlots, class RowInputs>
MOEK_DEVICE void qmoe_dot(float (&result)[kSlots], const QmoeStack& stack, int64_t row, const RowInputs& inputs) {
    const uint32_t lane = threadIdx.x % 32;
    const int64_t begin = stack.row_offsets[row];
    const uint16_t* codewords = stack.codewords + begin;
    const uint32_t count = static_cast<uint32_t>(stack.row_offsets[row + 1] - begin);
    float low[kSlots] = {};
    float high[kSlots] = {};
    int32_t column = 0;  // of the first of 64 codewords
    for (uint32_t at = 0; at < count; at += 64) {
        QmoeEntry entry[2];
        if (at + lane < count) entry[0] = stack.entries[codewords[at + lane]];
        if (at + 32 + lane < count) entry[1] = stack.entries[codewords[at + 32 + lane]];
        // Half a word each: 32 codewords are 896 weights at most.
        const uint32_t weights = entry[0].weights() | entry[1].weights() << 16;
        const uint32_t through = warp_inclusive_sum(weights), before = through - weights;
        const uint32_t total = __shfl_sync(~0u, through, 31);
        const int32_t middle = column + static_cast<int32_t>(total & 0xFFFF);
        add_codeword(entry[0], column + static_cast<int32_t>(before & 0xFFFF), inputs, low, high);
        add_codeword(entry[1], middle + static_cast<int32_t>(before >> 16), inputs, low, high);
        column = middle + static_cast<int32_t>(total >> 16);
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
// Moves   per run: 2 bytes a codeword, 4 of its entry (L1 and L2), 4 K a slot. About 105 warp instructions for
//         64 codewords, 1266 weights at .885 zeros (derived).
template <int kSlots, bool kShared>
__global__ void __launch_bounds__(kQmoeThreads, kSlots == 1 ? 5 : 3) qmoe_kernel(QmoeCall call) {
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
        rows.columns = call.inputs.columns;
#pragma unroll
        for (int i = 0; i < kSlots; ++i) rows.rows[i] = input_row(call.inputs, run.first + min(i, run.count - 1));
        if constexpr (kShared) {
            __syncthreads();
            for (int32_t c = threadIdx.x; c < rows.columns + kQmoePadding; c += kQmoeThreads) {
                float values[kSlots];
                rows.read(values, c);
#pragma unroll
                for (int i = 0; i < kSlots; ++i) x[c * kSlots + i] = values[i];
            }
            __syncthreads();
            qmoe_rows<kSlots>(call, run, tile, SharedInputs<kSlots>{x});
        } else {
            qmoe_rows<kSlots>(call, run, tile, rows);
        }
    }
}

}  // namespace moek
