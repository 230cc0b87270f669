// Copies from global to shared memory that land later (compute capability 8.0).
#pragma once
#include "device/launch.cuh"
#if MOEK_EMULATED
#include "emulator/async.hpp"
#endif

namespace moek {

/// Starts a copy of kBytes (4, 8 or 16, which both addresses are multiples of) into shared memory. With `valid` false
/// nothing is read and zero is written. 16-byte copies pass by L1.
template <int kBytes>
MOEK_DEVICE void cp_async(void* shared, const void* global, bool valid = true MOEK_SITE) {
    static_assert(kBytes == 4 || kBytes == 8 || kBytes == 16, "cp.async copies 4, 8 or 16 bytes");
#if MOEK_EMULATED
    cuemu::cp_async(shared, global, valid ? kBytes : 0, kBytes, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(shared));
    const int bytes = valid ? kBytes : 0;
    if constexpr (kBytes == 16)
        asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(address), "l"(global), "r"(bytes)
                     : "memory");
    else
        asm volatile("cp.async.ca.shared.global [%0], [%1], %3, %2;" ::"r"(address), "l"(global), "r"(bytes),
                     "n"(kBytes)
                     : "memory");
#endif
}

/// Closes a group of the copies that this thread started since the last one.
MOEK_DEVICE void cp_async_commit() {
#if MOEK_EMULATED
    cuemu::cp_async_commit();
#else
    asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}

/// Waits until at most kPending of this thread's youngest groups are under way. The copies are then visible to this
/// thread; to others after a barrier.
template <int kPending>
MOEK_DEVICE void cp_async_wait() {
#if MOEK_EMULATED
    cuemu::cp_async_wait(kPending);
#else
    asm volatile("cp.async.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

}  // namespace moek
