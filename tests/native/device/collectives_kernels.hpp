// One kernel for each of CUDA's warp collectives and atomics that the library uses.
#pragma once
#include "device/launch.cuh"

namespace moek::test {

constexpr int kNumShuffles = 9;
/// out[kNumShuffles, 64] of two warps, from values[64].
cudaError_t launch_shuffles(int* out, const int* values, cudaStream_t stream = nullptr);

constexpr int kNumVotes = 11;
/// out[kNumVotes, 64] of two warps, from values[64].
cudaError_t launch_votes(unsigned* out, const int* values, cudaStream_t stream = nullptr);

constexpr int kNumAtomics = 9;
/// Every thread of 3 blocks of 64 applies its value to out[kNumAtomics]; sum is a float.
cudaError_t launch_atomics(int* out, float* sum, cudaStream_t stream = nullptr);

/// sums[3, n]: warp_sum, warp_inclusive_sum and block_sum of values[n]; largest[2, n]: warp_max and block_max. One
/// block.
cudaError_t launch_reductions(int* sums, int* largest, const int* values, int n, cudaStream_t stream = nullptr);

}  // namespace moek::test
