// Barriers in shared memory that also count bytes of bulk copies (compute capability 9.0).
//
// A barrier goes through phases: one completes when all of its arrivals have come and all announced bytes have landed.
// Wait for the first phase with parity 0, for the next with 1, and so on. A producer that waits for slots to be empty
// starts with parity 1, which a fresh barrier counts as completed.
#pragma once
#include "device/launch.cuh"
#if MOEK_EMULATED
#include "emulator/async.hpp"
#include "emulator/cluster.hpp"
#endif

#if MOEK_HAS_SM90
namespace moek {

/// Makes a barrier of `count` arrivals a phase. Others may use it after mbarrier_init_fence() and a barrier.
MOEK_DEVICE void mbarrier_init(uint64_t* barrier, uint32_t count MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::mbarrier_init(barrier, count, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
    asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(address), "r"(count) : "memory");
#endif
}

/// Shows new barriers to bulk copies and to the cluster.
MOEK_DEVICE void mbarrier_init_fence() {
#if !MOEK_EMULATED
    asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
#endif
}

MOEK_DEVICE void mbarrier_arrive(uint64_t* barrier MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::mbarrier_arrive(barrier, 0, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
    asm volatile("mbarrier.arrive.shared::cta.b64 _, [%0];" ::"r"(address) : "memory");
#endif
}

/// Arrives, and announces `bytes` of copies. Comes before the copies are started.
MOEK_DEVICE void mbarrier_arrive_expect(uint64_t* barrier, uint32_t bytes MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::mbarrier_arrive(barrier, bytes, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
    asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(address), "r"(bytes) : "memory");
#endif
}

/// Arrives at the same barrier of the cluster's block `rank`.
MOEK_DEVICE void mbarrier_arrive_remote(uint64_t* barrier, uint32_t rank MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::mbarrier_arrive(static_cast<uint64_t*>(cuemu::map_shared(barrier, rank, site)), 0, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
    asm volatile(
        "{\n.reg .b32 remote;\nmapa.shared::cluster.u32 remote, %0, %1;\n"
        "mbarrier.arrive.release.cluster.shared::cluster.b64 _, [remote];\n}" ::"r"(address),
        "r"(rank)
        : "memory");
#endif
}

/// True once the phase of this parity has completed: what was done before its arrivals, and its copies, are visible.
/// May return false after a while; loop until it is true.
MOEK_DEVICE bool mbarrier_try_wait(uint64_t* barrier, uint32_t parity MOEK_SITE) {
#if MOEK_EMULATED
    return cuemu::mbarrier_has_completed(barrier, parity, site);
#else
    const uint32_t address = static_cast<uint32_t>(__cvta_generic_to_shared(barrier));
    uint32_t completed;
    asm volatile("{\n.reg .pred p;\nmbarrier.try_wait.parity.shared::cta.b64 p, [%1], %2;\nselp.u32 %0, 1, 0, p;\n}"
                 : "=r"(completed)
                 : "r"(address), "r"(parity)
                 : "memory");
    return completed != 0;
#endif
}

MOEK_DEVICE void mbarrier_wait(uint64_t* barrier, uint32_t parity MOEK_SITE) {
    while (!mbarrier_try_wait(barrier, parity MOEK_FROM_SITE)) {
    }
}

}  // namespace moek
#endif
