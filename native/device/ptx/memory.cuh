// Memory order between blocks, and shared addresses.
#pragma once
#include "device/launch.cuh"

namespace moek {

/// The 32-bit address of shared memory, as PTX operands take it.
MOEK_DEVICE uint32_t shared_address(const void* pointer MOEK_SITE) {
#if MOEK_EMULATED
    return cuemu::shared_address(pointer, site);
#else
    return static_cast<uint32_t>(__cvta_generic_to_shared(pointer));
#endif
}

/// Reads a flag of the device. What its writer did before a release store is visible after reading the stored value.
MOEK_DEVICE uint32_t ld_acquire(const uint32_t* address MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::poll(site);
    return __atomic_load_n(address, __ATOMIC_ACQUIRE);
#else
    uint32_t value;
    asm volatile("ld.acquire.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    return value;
#endif
}
MOEK_DEVICE uint64_t ld_acquire(const uint64_t* address MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::poll(site);
    return __atomic_load_n(address, __ATOMIC_ACQUIRE);
#else
    uint64_t value;
    asm volatile("ld.acquire.gpu.global.u64 %0, [%1];" : "=l"(value) : "l"(address) : "memory");
    return value;
#endif
}

/// Reads what other blocks write, without ordering anything.
MOEK_DEVICE uint32_t ld_relaxed(const uint32_t* address MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::poll(site);
    return __atomic_load_n(address, __ATOMIC_RELAXED);
#else
    uint32_t value;
    asm volatile("ld.relaxed.gpu.global.u32 %0, [%1];" : "=r"(value) : "l"(address) : "memory");
    return value;
#endif
}

/// Raises a flag after everything that the thread did, and saw done, before.
MOEK_DEVICE void st_release(uint32_t* address, uint32_t value) {
#if MOEK_EMULATED
    cuemu::preempt();
    __atomic_store_n(address, value, __ATOMIC_RELEASE);
    cuemu::made_progress();
#else
    asm volatile("st.release.gpu.global.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
#endif
}
MOEK_DEVICE void st_release(uint64_t* address, uint64_t value) {
#if MOEK_EMULATED
    cuemu::preempt();
    __atomic_store_n(address, value, __ATOMIC_RELEASE);
    cuemu::made_progress();
#else
    asm volatile("st.release.gpu.global.u64 [%0], %1;" ::"l"(address), "l"(value) : "memory");
#endif
}

/// Writes what other blocks may read at the same time, without ordering anything.
MOEK_DEVICE void st_relaxed(uint32_t* address, uint32_t value) {
#if MOEK_EMULATED
    __atomic_store_n(address, value, __ATOMIC_RELAXED);
    cuemu::made_progress();
#else
    asm volatile("st.relaxed.gpu.global.u32 [%0], %1;" ::"l"(address), "r"(value) : "memory");
#endif
}

/// Adds after everything before it; returns the old value.
MOEK_DEVICE uint32_t add_release(uint32_t* address, uint32_t value) {
#if MOEK_EMULATED
    cuemu::preempt();
    cuemu::made_progress();
    return __atomic_fetch_add(address, value, __ATOMIC_RELEASE);
#else
    uint32_t old;
    asm volatile("atom.add.release.gpu.global.u32 %0, [%1], %2;" : "=r"(old) : "l"(address), "r"(value) : "memory");
    return old;
#endif
}

/// Adds after everything before it and before everything after it; returns the old value.
MOEK_DEVICE uint32_t add_acq_rel(uint32_t* address, uint32_t value) {
#if MOEK_EMULATED
    cuemu::preempt();
    cuemu::made_progress();
    return __atomic_fetch_add(address, value, __ATOMIC_ACQ_REL);
#else
    uint32_t old;
    asm volatile("atom.add.acq_rel.gpu.global.u32 %0, [%1], %2;" : "=r"(old) : "l"(address), "r"(value) : "memory");
    return old;
#endif
}

/// Named barrier 1..15 (0 is __syncthreads): waits until `count` threads, a multiple of 32, have synced or arrived.
MOEK_DEVICE void named_barrier_sync(int id, int count MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::barrier_sync(id, count, site);
#else
    asm volatile("bar.sync %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}

/// Counts at a named barrier without waiting.
MOEK_DEVICE void named_barrier_arrive(int id, int count MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::barrier_arrive(id, count, site);
#else
    asm volatile("bar.arrive %0, %1;" ::"r"(id), "r"(count) : "memory");
#endif
}

}  // namespace moek
