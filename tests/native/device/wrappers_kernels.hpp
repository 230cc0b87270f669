// A kernel for each wrapper of device/ptx that needs no more than compute capability 8.0.
#pragma once
#include "device/launch.cuh"

namespace moek::test {

/// Blocks pass a token around: block b waits for flags[b], adds its number to *total and raises flags[b + 1].
cudaError_t launch_token_ring(uint32_t* flags, uint64_t* total, int blocks);

/// Every block adds to *counter; the last to come sums data[blocks] that each has written. *sum is the last one's.
cudaError_t launch_last_block(uint32_t* counter, int* data, int* sum, int blocks);

/// Two producer warps and two consumer warps by named barriers: out[rounds, 64] is what the producers wrote, squared.
cudaError_t launch_named_barriers(int* out, const int* in, int rounds);

/// Copies in[blocks, 64 x 4] words through shared memory by cp.async of 16, 8 and 4 bytes, in two groups; columns from
/// `valid` on are not read and become zero. out[3, 256].
cudaError_t launch_cp_async(int* out, const int* in, int valid);

/// d[16, 8] = a[16, k] x b[8, k]^T in bfloat16 by one warp, fragments by ldmatrix: kind 0 loads x4 and x2, kind 1
/// loads b from its transpose [k, 8] by x2.trans, kind 2 a from its transpose [k, 16] by x4.trans.
cudaError_t launch_mma(float* d, const uint16_t* a, const uint16_t* b, int k, int kind);

}  // namespace moek::test
