// The dispatch plan: a stable counting sort of the choices by expert. Few choices: one block does everything. Many:
// every block counts its chunk, the counts become first places, every block places its chunk.
#pragma once

#include "device/launch.cuh"
#include "device/stable_count.cuh"
#include "kernels/permute/permute.hpp"

namespace moek {

constexpr int kPlanThreads = 256;
// Blocks that share a plan; also the rows of the workspace.
constexpr int kPlanMaxBlocks = 256;
// Below this many choices a second block costs more than it saves.
constexpr int64_t kPlanChunk = 4096;

// Ids that name no expert are the same as none.
struct ExpertOf {
    const int32_t* topk_ids;
    int32_t experts;
    MOEK_DEVICE int32_t operator()(int64_t choice) const {
        int32_t id = topk_ids[choice];
        return id >= 0 && id < experts ? id : -1;
    }
};

MOEK_DEVICE Run chunk_of_block(int64_t choices, int64_t chunk) {
    int64_t first = min(choices, blockIdx.x * chunk);
    return {first, min(choices, first + chunk)};
}

// Counts a chunk: block_counts[block, e].
//
// Grid    ceil(choices / chunk) blocks.
// Block   kPlanThreads; shared memory holds the counts, [experts].
// Moves   4 bytes a choice (derived), bound by memory.
__global__ void __launch_bounds__(kPlanThreads)
    plan_count_kernel(int32_t* block_counts, ExpertOf expert_of, int64_t choices, int64_t chunk) {
    MOEK_DYNAMIC_SHARED(int32_t, counts);
    const int32_t experts = expert_of.experts;
    for (int32_t e = threadIdx.x; e < experts; e += kPlanThreads) counts[e] = 0;
    __syncthreads();
    Run run = run_of_warp(chunk_of_block(choices, chunk), threadIdx.x / 32, kPlanThreads / 32);
    count_run(counts, run, expert_of);
    __syncthreads();
    int32_t* row = block_counts + static_cast<int64_t>(blockIdx.x) * experts;
    for (int32_t e = threadIdx.x; e < experts; e += kPlanThreads) row[e] = counts[e];
}

// Turns block_counts into what the blocks before had, expert by expert, and writes expert_counts.
//
// Grid    ceil(experts / 32) blocks.
// Block   32 experts x 8 runs of up to 32 blocks' rows.
// Moves   12 bytes for each count (derived); short.
__global__ void __launch_bounds__(256)
    plan_prefix_kernel(int32_t* block_counts, int32_t* expert_counts, int32_t experts, int32_t blocks) {
    MOEK_SHARED(int32_t, sums, [8][32]);
    const int lane = threadIdx.x % 32;
    const int run = threadIdx.x / 32;
    const int32_t e = blockIdx.x * 32 + lane;
    const int32_t first = run * (kPlanMaxBlocks / 8);
    const int32_t end = e < experts ? min(blocks, first + kPlanMaxBlocks / 8) : 0;
    int32_t* column = block_counts + e;
    int32_t sum = 0;
#pragma unroll 8
    for (int32_t b = first; b < end; ++b) sum += column[static_cast<int64_t>(b) * experts];
    sums[run][lane] = sum;
    __syncthreads();
    int32_t next = 0;
    for (int r = 0; r < run; ++r) next += sums[r][lane];
    if (run == 7 && e < experts) expert_counts[e] = next + sum;
    for (int32_t b = first; b < end; ++b) {
        int32_t count = column[static_cast<int64_t>(b) * experts];
        column[static_cast<int64_t>(b) * experts] = next;
        next += count;
    }
}

// Places a chunk. Without block_counts the block is the only one, and expert_counts comes from its own counting.
//
// Grid    ceil(choices / chunk) blocks, or one.
// Block   a multiple of 32 threads; shared memory holds 32 + (warps + 1) * experts integers.
// Needs   plan_prefix_kernel before it, unless block_counts is null.
// Moves   16 bytes a choice, the ids twice (derived).
__global__ void __launch_bounds__(kPlanThreads) plan_place_kernel(DispatchPlan plan, const int32_t* block_counts,
                                                                  ExpertOf expert_of, int64_t choices, int64_t chunk) {
    MOEK_DYNAMIC_SHARED(int32_t, shared);
    const int32_t experts = plan.experts;
    const int warp = threadIdx.x / 32;
    const int warps = blockDim.x / 32;
    int32_t* scratch = shared;
    int32_t* offsets = shared + 32;
    int32_t* counts = offsets + experts;
    for (int32_t i = threadIdx.x; i < warps * experts; i += blockDim.x) counts[i] = 0;
    __syncthreads();
    Run run = run_of_warp(chunk_of_block(choices, chunk), warp, warps);
    count_run(counts + warp * experts, run, expert_of);
    __syncthreads();
    for (int32_t e = threadIdx.x; e < experts; e += blockDim.x) {
        int32_t total = 0;
        for (int w = 0; block_counts == nullptr && w < warps; ++w) total += counts[w * experts + e];
        if (block_counts == nullptr) plan.expert_counts[e] = total;
        offsets[e] = block_counts == nullptr ? total : plan.expert_counts[e];
    }
    __syncthreads();
    int32_t slots = exclusive_scan(offsets, experts, scratch);
    for (int32_t e = threadIdx.x; blockIdx.x == 0 && e < experts; e += blockDim.x) plan.expert_offsets[e] = offsets[e];
    if (blockIdx.x == 0 && threadIdx.x == 0) plan.expert_offsets[experts] = slots;
    const int32_t* before =
        block_counts == nullptr ? nullptr : block_counts + static_cast<int64_t>(blockIdx.x) * experts;
    start_cursors(counts, warps, experts, [=](int32_t e) { return offsets[e] + (before == nullptr ? 0 : before[e]); });
    __syncthreads();
    place_run(counts + warp * experts, run, expert_of, [=](int64_t choice, int32_t, int32_t slot) {
        plan.slot_of[choice] = slot;
        if (slot >= 0) plan.choice_of_slot[slot] = static_cast<int32_t>(choice);
    });
}

}  // namespace moek
