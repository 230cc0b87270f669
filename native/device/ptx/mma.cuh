// Matrix products of a warp (compute capability 8.0).
#pragma once
#include "device/launch.cuh"
#if MOEK_EMULATED
#include "emulator/tensor.hpp"
#endif

namespace moek {

/// d[16, 8] += a[16, 16] x b[16, 8]; bfloat16 in, float accumulators, by the whole warp.
/// With g = lane / 4 and t = lane % 4 a lane holds, two elements a register, the lower index in the lower half:
///   a[0..3]  rows g and g + 8 of columns 2 t, 2 t + 1; then the same rows of columns 2 t + 8, 2 t + 9
///   b[0..1]  column g of rows 2 t, 2 t + 1 and 2 t + 8, 2 t + 9
///   d[0..3]  row g of columns 2 t, 2 t + 1, then row g + 8 of the same
MOEK_DEVICE void mma_m16n8k16(float (&d)[4], const uint32_t (&a)[4], const uint32_t (&b)[2] MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::mma_m16n8k16_bf16(d, a, b, site);
#else
    asm volatile(
        "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
        "{%0, %1, %2, %3};"
        : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

/// Loads four 8x8 matrices of 16-bit elements from shared memory: lane i names row i % 8, 16 bytes, of matrix i / 8.
/// Register m of a lane holds row lane / 4, columns 2 (lane % 4) and the next, of matrix m.
MOEK_DEVICE void ldmatrix_x4(uint32_t (&registers)[4], const void* row MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::ldmatrix(registers, 4, false, row, site);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
                 : "memory");
#endif
}

/// As ldmatrix_x4, but each matrix is transposed on the way.
MOEK_DEVICE void ldmatrix_x4_trans(uint32_t (&registers)[4], const void* row MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::ldmatrix(registers, 4, true, row, site);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(registers[0]), "=r"(registers[1]), "=r"(registers[2]), "=r"(registers[3])
                 : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
                 : "memory");
#endif
}

/// Two matrices; the addresses of lanes 16 and above are not used.
MOEK_DEVICE void ldmatrix_x2(uint32_t (&registers)[2], const void* row MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::ldmatrix(registers, 2, false, row, site);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
                 : "memory");
#endif
}

/// As ldmatrix_x2, but each matrix is transposed on the way.
MOEK_DEVICE void ldmatrix_x2_trans(uint32_t (&registers)[2], const void* row MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::ldmatrix(registers, 2, true, row, site);
#else
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];"
                 : "=r"(registers[0]), "=r"(registers[1])
                 : "r"(static_cast<uint32_t>(__cvta_generic_to_shared(row)))
                 : "memory");
#endif
}

}  // namespace moek
