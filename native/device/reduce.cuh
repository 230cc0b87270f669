// Reductions over a warp and over a block, in an order that depends on the sizes alone: the same bits in every run.
#pragma once
#include "device/launch.cuh"

namespace moek {

constexpr unsigned kWholeWarp = 0xFFFFFFFFu;

/// Sum over the 32 lanes, in all of them, as a tree of halves: lanes 16 apart are added first.
template <class T>
MOEK_DEVICE T warp_sum(T value MOEK_SITE) {
    for (int offset = 16; offset > 0; offset /= 2)
        value += __shfl_xor_sync(kWholeWarp, value, offset, 32 MOEK_FROM_SITE);
    return value;
}

/// Largest of the 32 lanes, in all of them.
template <class T>
MOEK_DEVICE T warp_max(T value MOEK_SITE) {
    for (int offset = 16; offset > 0; offset /= 2) {
        const T other = __shfl_xor_sync(kWholeWarp, value, offset, 32 MOEK_FROM_SITE);
        value = other > value ? other : value;
    }
    return value;
}

/// Sums of the lanes up to and including one's own.
template <class T>
MOEK_DEVICE T warp_inclusive_sum(T value MOEK_SITE) {
    const int lane = static_cast<int>(threadIdx.x) & 31;
    for (int offset = 1; offset < 32; offset *= 2) {
        const T other = __shfl_up_sync(kWholeWarp, value, static_cast<unsigned>(offset), 32 MOEK_FROM_SITE);
        if (lane >= offset) value += other;
    }
    return value;
}

/// Sum over a one-dimensional block of whole warps, in all of its threads: warps first, then their sums in order.
/// `scratch` is shared memory for blockDim.x / 32 values, free again after the next barrier.
template <class T>
MOEK_DEVICE T block_sum(T value, T* scratch MOEK_SITE) {
    value = warp_sum(value MOEK_FROM_SITE);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads(MOEK_FROM_SITE_ONLY);
    T total = scratch[0];
    for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) total += scratch[warp];
    return total;
}

/// Largest value of a one-dimensional block of whole warps, in all of its threads; `scratch` as for block_sum.
template <class T>
MOEK_DEVICE T block_max(T value, T* scratch MOEK_SITE) {
    value = warp_max(value MOEK_FROM_SITE);
    if (threadIdx.x % 32 == 0) scratch[threadIdx.x / 32] = value;
    __syncthreads(MOEK_FROM_SITE_ONLY);
    T largest = scratch[0];
    for (unsigned warp = 1; warp < blockDim.x / 32; ++warp) largest = scratch[warp] > largest ? scratch[warp] : largest;
    return largest;
}

}  // namespace moek
