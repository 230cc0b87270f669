// What the card itself reaches: reading and copying memory, bf16 products from registers and from shared memory.
#pragma once
#include "kernels/call.hpp"

namespace moek::bench {

// *found = 1 if a 16-byte vector has words whose xor is not 0: a read that cannot be left out.
cudaError_t launch_read_roof(uint32_t* found, const void* data, uint64_t bytes, const Launch& launch);
cudaError_t launch_copy_roof(void* target, const void* source, uint64_t bytes, const Launch& launch);

// y[thread] = the least of the thread's results, all of which are mma_roof_value.
// `kind` 0: mma.sync from registers; 1: wgmma from shared memory, for compute capability 9.0.
cudaError_t launch_mma_roof(float* y, int kind, int rounds, const Launch& launch);
uint64_t mma_roof_outputs(int kind, const Launch& launch);
double mma_roof_flops(int kind, int rounds, const Launch& launch);
float mma_roof_value(int kind, int rounds);

}  // namespace moek::bench
