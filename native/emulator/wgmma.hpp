// Warpgroup matrix products of the device wrappers: what device/ptx calls when it is emulated.
#pragma once
#include "emulator/kernel_api.hpp"

namespace cuemu {

void wgmma_fence(Site site);
/// d[64, columns] (+)= a[64, 16] x b[columns, 16]^T, operands in shared memory by descriptors; computed at the wait.
void wgmma_m64k16_bf16(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Site site);
void wgmma_commit(Site site);
void wgmma_wait(unsigned pending_groups, Site site);

}  // namespace cuemu
