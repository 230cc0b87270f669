// Matrix instructions of the device wrappers: what device/ptx calls when it is emulated.
#pragma once
#include "emulator/kernel_api.hpp"

namespace cuemu {

/// mma.sync m16n8k16, bf16 in, float accumulators: d[4] += a[4 registers] x b[2 registers], in the PTX layout.
void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site);

/// ldmatrix of `count` (1, 2 or 4) 8x8 matrices of 16-bit elements; lane i gives row i % 8 of matrix i / 8.
void ldmatrix(uint32_t* registers, int count, bool transpose, const void* row, Site site);

}  // namespace cuemu
