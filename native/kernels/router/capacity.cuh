// Capacity: drops the choices that find their expert full. First choices look for places before second ones, tokens by
// index or by importance inside a choice: a choice's place is the number of earlier choices of the same expert.
#pragma once

#include "device/stable_count.cuh"
#include "kernels/router/router.hpp"

namespace moek {

constexpr int32_t kDigits = 256;

struct CapacityCall {
    int32_t* topk_ids;               // [T, k]
    const int32_t* sequence_starts;  // [segments], or null for one segment of all tokens
    uint64_t* order;                 // [2, T]: importance in the high f16, token in the low half; null: by index
    int32_t segments, tokens, top_k, experts;
    int32_t capacity;  // places of an expert in a segment
};

// Shared memory of the block: 32 words, then offsets [kDigits], then counts [warps][max(E, kDigits)].
struct CapacityScratch {
    int32_t *scratch, *offsets, *counts;

    static size_t bytes(int32_t experts, int warps) {
        return sizeof(int32_t) * (32 + kDigits + static_cast<size_t>(warps) * (experts > kDigits ? experts : kDigits));
    }

    __device__ explicit CapacityScratch(int32_t* shared)
        : scratch(shared), offsets(shared + 32), counts(shared + 32 + kDigits) {}
};

MOEK_DEVICE void clear_counts(int32_t* counts, int32_t buckets) {
    for (int32_t i = threadIdx.x; i < static_cast<int32_t>(blockDim.x / 32) * buckets; i += blockDim.x) counts[i] = 0;
    __syncthreads();
}

// One pass of a radix sort: from [first, end) to the same range of `to`, by 8 bits from `shift` on, stably.
MOEK_DEVICE void sort_pass(const CapacityScratch& memory, const uint64_t* from, uint64_t* to, Run items, int shift) {
    const int warp = threadIdx.x / 32;
    const int warps = blockDim.x / 32;
    const auto digit = [=](int64_t i) { return static_cast<int32_t>(from[i] >> shift & (kDigits - 1)); };
    clear_counts(memory.counts, kDigits);
    const Run run = run_of_warp(items, warp, warps);
    count_run(memory.counts + warp * kDigits, run, digit);
    __syncthreads();
    for (int32_t d = threadIdx.x; d < kDigits; d += blockDim.x) {
        int32_t total = 0;
        for (int w = 0; w < warps; ++w) total += memory.counts[w * kDigits + d];
        memory.offsets[d] = total;
    }
    __syncthreads();
    exclusive_scan(memory.offsets, kDigits, memory.scratch);
    start_cursors(memory.counts, warps, kDigits, [=](int32_t d) { return memory.offsets[d]; });
    __syncthreads();
    place_run(memory.counts + warp * kDigits, run, digit,
              [=](int64_t i, int32_t, int32_t place) { to[items.first + place] = from[i]; });
    __syncthreads();
}

// Drops the choices of a segment beyond the capacity.
//
// Grid    one block a segment: a sequence, or all tokens.
// Block   8 or 16 warps; shared memory as CapacityScratch says.
// Needs   `order` from route_kernel, if tokens have priorities.
// Moves   12 bytes a choice, and 128 a token for its priority, from L2 (derived); made for the short prefills of models
//         with capacities, not for the longest.
__global__ void __launch_bounds__(512) capacity_kernel(CapacityCall call) {
    MOEK_DYNAMIC_SHARED(int32_t, shared);
    const CapacityScratch memory(shared);
    const int segment = blockIdx.x;
    const int warp = threadIdx.x / 32;
    const int warps = blockDim.x / 32;
    int32_t first = 0;
    int32_t end = call.tokens;
    if (call.sequence_starts != nullptr) {
        first = max(0, min(call.sequence_starts[segment], call.tokens));
        if (segment + 1 < call.segments) end = max(first, min(call.sequence_starts[segment + 1], call.tokens));
    }
    uint64_t* order = call.order;
    if (order != nullptr) {
        // Four passes: the result is where it began.
        for (int pass = 0; pass < 4; ++pass) {
            uint64_t* from = order + (pass % 2 == 0 ? 0 : call.tokens);
            uint64_t* to = order + (pass % 2 == 0 ? call.tokens : 0);
            sort_pass(memory, from, to, {first, end}, 32 + 8 * pass);
        }
    }
    const uint32_t tokens = static_cast<uint32_t>(end - first);
    int32_t* topk_ids = call.topk_ids;
    const int32_t top_k = call.top_k;
    const auto choice_of = [=](int64_t i) {
        const uint32_t j = static_cast<uint32_t>(i) / tokens;
        const uint32_t at = first + static_cast<uint32_t>(i) % tokens;
        const int64_t token = order == nullptr ? at : static_cast<uint32_t>(order[at]);
        return topk_ids + token * top_k + j;
    };
    const auto expert_of = [=](int64_t i) { return *choice_of(i); };
    const int32_t capacity = call.capacity;
    clear_counts(memory.counts, call.experts);
    const Run run = run_of_warp({0, static_cast<int64_t>(tokens) * top_k}, warp, warps);
    count_run(memory.counts + warp * call.experts, run, expert_of);
    __syncthreads();
    start_cursors(memory.counts, warps, call.experts, [](int32_t) { return 0; });
    __syncthreads();
    place_run(memory.counts + warp * call.experts, run, expert_of, [=](int64_t i, int32_t, int32_t place) {
        if (place >= capacity) *choice_of(i) = -1;
    });
}

}  // namespace moek
