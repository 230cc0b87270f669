// Matrix products of a warpgroup, four warps, with both operands in shared memory (compute capability 9.0).
//
//     wgmma_fence();                                        before the first product, and after touching accumulators
//     for (k = 0; k < 64; k += 16) wgmma_m64k16<N>(d, a + k * 2 / 16, b + k * 2 / 16);
//     wgmma_commit();
//     wgmma_wait<0>();                                      only now may d, and the operands, be touched
//
// Set d to zero even where the first product overwrites it: ptxas serialises products whose accumulators it cannot see
// defined before the loop (its remark C7515).
#pragma once
#include "device/launch.cuh"
#if MOEK_EMULATED
#include "emulator/wgmma.hpp"
#endif

#if MOEK_HAS_SM90
namespace moek {

/// Descriptor of a K-major operand in the 128-byte swizzle, as tile_load_2d writes it with boxes of 128 bytes: rows of
/// 64 elements of 16 bits, 8 rows to a group of 1024 bytes, the start aligned to 1024 bytes. Adding n to the descriptor
/// moves its start by 16 n bytes along K, within the 128.
MOEK_DEVICE uint64_t wgmma_descriptor(const void* shared MOEK_SITE) {
#if MOEK_EMULATED
    const uint32_t address = cuemu::shared_address(shared, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
#endif
    const uint64_t group_stride = 1024 >> 4, swizzle_128 = 1;
    return (address >> 4 & 0x3FFF) | uint64_t{1} << 16 | group_stride << 32 | swizzle_128 << 62;
}

/// Orders the accumulators' registers before the products that follow.
MOEK_DEVICE void wgmma_fence(MOEK_SITE_ONLY) {
#if MOEK_EMULATED
    cuemu::wgmma_fence(site);
#else
    asm volatile("wgmma.fence.sync.aligned;" ::: "memory");
#endif
}

/// Closes a group of products.
MOEK_DEVICE void wgmma_commit(MOEK_SITE_ONLY) {
#if MOEK_EMULATED
    cuemu::wgmma_commit(site);
#else
    asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory");
#endif
}

/// Waits until at most kPending of the youngest groups are under way.
template <int kPending>
MOEK_DEVICE void wgmma_wait(MOEK_SITE_ONLY) {
#if MOEK_EMULATED
    cuemu::wgmma_wait(kPending, site);
#else
    asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
#endif
}

/// d[64, kColumns] += a[64, 16] x b[kColumns, 16]^T (or = without `accumulate`), bfloat16 by descriptors, in float.
/// kColumns is a multiple of 8 up to 256. Of its warp's 16 rows a thread holds rows g = lane / 4 and g + 8, and of
/// every 8 columns 2 (lane % 4) and the next: d[4 j + 2 i + c] is row g + 8 i, column 8 j + 2 (lane % 4) + c.
template <int kColumns>
MOEK_DEVICE void wgmma_m64k16(float (&d)[kColumns / 2], uint64_t a, uint64_t b, bool accumulate = true MOEK_SITE);

#if MOEK_EMULATED
template <int kColumns>
MOEK_DEVICE void wgmma_m64k16(float (&d)[kColumns / 2], uint64_t a, uint64_t b, bool accumulate, cuemu::Site site) {
    static_assert(kColumns % 8 == 0 && kColumns >= 8 && kColumns <= 256, "a multiple of 8 up to 256");
    cuemu::wgmma_m64k16_bf16(d, kColumns, a, b, accumulate, site);
}
#else
#include "device/ptx/wgmma_shapes.inc"
#endif

}  // namespace moek
#endif
