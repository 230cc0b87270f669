// Stable counting sort inside a block: every warp owns a run of neighbouring items and walks it in order, so that an
// item's place is the number of equal items before it, whatever the schedule.
//
// Use: zero counts [warps][buckets]; count_run in each warp; barrier; start_cursors; barrier; place_run in each warp.
// An item of bucket -1 takes no place. Sums of integers only: the atomics' order does not show.
#pragma once

#include <cstdint>

#include "device/launch.cuh"

namespace moek {

struct Run {
    int64_t first, end;
};

// The part of `items` that a warp of the block walks: whole groups of 32, so that loads stay aligned.
MOEK_DEVICE Run run_of_warp(Run items, int warp, int warps) {
    int64_t length = ((items.end - items.first + warps - 1) / warps + 31) / 32 * 32;
    int64_t first = items.first + warp * length;
    int64_t end = first + length;
    return {first < items.end ? first : items.end, end < items.end ? end : items.end};
}

// Adds the items of a run to the counts of their buckets. `bucket(i)` is in [0, buckets) or -1.
template <typename Bucket>
MOEK_DEVICE void count_run(int32_t* counts, Run run, Bucket bucket) {
    for (int64_t i = run.first + threadIdx.x % 32; i < run.end; i += 32) {
        int32_t b = bucket(i);
        if (b >= 0) atomicAdd(&counts[b], 1);
    }
}

// Turns counts [warps][buckets] into the first place of every warp in every bucket, given the bucket's first place.
// All threads of the block; begin(b) is called once for each bucket.
template <typename Begin>
MOEK_DEVICE void start_cursors(int32_t* counts, int warps, int32_t buckets, Begin begin) {
    for (int32_t b = threadIdx.x; b < buckets; b += blockDim.x) {
        int32_t next = begin(b);
        for (int w = 0; w < warps; ++w) {
            int32_t count = counts[w * buckets + b];
            counts[w * buckets + b] = next;
            next += count;
        }
    }
}

// Gives the items of a run their places, in order, and moves the warp's cursors on: visit(i, bucket, place), with
// place -1 for items without bucket. All lanes of the warp.
template <typename Bucket, typename Visit>
MOEK_DEVICE void place_run(int32_t* cursors, Run run, Bucket bucket, Visit visit) {
    const int lane = threadIdx.x % 32;
    for (int64_t base = run.first; base < run.end; base += 32) {
        int64_t i = base + lane;
        int32_t b = i < run.end ? bucket(i) : -1;
        unsigned peers = __match_any_sync(~0u, b);
        int rank = __popc(peers & ((1u << lane) - 1));
        int32_t start = b >= 0 ? cursors[b] : 0;
        __syncwarp();
        if (b >= 0 && rank == 0) cursors[b] = start + __popc(peers);
        __syncwarp();
        if (i < run.end) visit(i, b, b >= 0 ? start + rank : -1);
    }
}

// Replaces values [count] in shared memory by the sums of the values before each; returns the sum of all.
// All threads of the block; `scratch` holds 32 integers. Ends with a barrier; the values must be visible at the start.
MOEK_DEVICE int32_t exclusive_scan(int32_t* values, int32_t count, int32_t* scratch) {
    const int lane = threadIdx.x % 32;
    const int warp = threadIdx.x / 32;
    const int warps = blockDim.x / 32;
    const int32_t length = (count + blockDim.x - 1) / blockDim.x;
    const int32_t first = min(count, static_cast<int32_t>(threadIdx.x) * length);
    const int32_t end = min(count, first + length);
    int32_t sum = 0;
    for (int32_t i = first; i < end; ++i) sum += values[i];
    int32_t inclusive = sum;
    for (int offset = 1; offset < 32; offset *= 2) {
        int32_t before = __shfl_up_sync(~0u, inclusive, offset);
        if (lane >= offset) inclusive += before;
    }
    if (lane == 31) scratch[warp] = inclusive;
    __syncthreads();
    int32_t next = inclusive - sum;
    int32_t total = 0;
    for (int w = 0; w < warps; ++w) {
        if (w < warp) next += scratch[w];
        total += scratch[w];
    }
    for (int32_t i = first; i < end; ++i) {
        int32_t value = values[i];
        values[i] = next;
        next += value;
    }
    __syncthreads();
    return total;
}

}  // namespace moek
