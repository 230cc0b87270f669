// A kernel for each wrapper of device/ptx that needs compute capability 9.0.
#pragma once
#include "device/tensor_map.hpp"

namespace moek::test {

/// sums[blocks] of in[blocks, tiles, 128] through a ring of two slots, filled by bulk_load, freed by mbarrier_arrive.
cudaError_t launch_bulk_ring(int* sums, const int* in, int blocks, int tiles);

/// out[256] = in[256] + 1, by bulk_load and, in two groups, bulk_store.
cudaError_t launch_bulk_store(int* out, const int* in);

/// out[box bytes] is shared memory as one tile load of the map leaves it. z < 0 means a map of two axes.
cudaError_t launch_tile_load(uint8_t* out, const CUtensorMap& map, int32_t x, int32_t y, int32_t z, uint32_t bytes);

/// d[64, columns] = a[64, k] x b[columns, k]^T in bfloat16 by one warpgroup: both by tile loads in the 128-byte
/// swizzle, 64 columns of k at a time. The maps' boxes are [64, 64] and [columns, 64]. cudaErrorInvalidValue unless
/// `columns` is a shape of wgmma.
cudaError_t launch_wgmma(float* d, const CUtensorMap& a, const CUtensorMap& b, int columns, int k);

/// The same product with operands stored by threads in a layout of `swizzle_bytes` (0, 32, 64 or 128), 16 of k at most
/// a row; k is a multiple of 16, a[64, k] and b[16, k] are plain arrays.
cudaError_t launch_wgmma_layout(float* d, const uint16_t* a, const uint16_t* b, int k, int swizzle_bytes);

/// out[clusters, 4] by clusters of 4 blocks: each block puts its number into its neighbour's shared memory, arrives at
/// the neighbour's mbarrier, waits at its own, and stores what it was given plus 10 times its rank.
cudaError_t launch_cluster_ring(int* out, int clusters);

}  // namespace moek::test
