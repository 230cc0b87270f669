// Clusters of blocks (compute capability 9.0), and the register budget of a warpgroup.
#pragma once
#include "device/launch.cuh"
#if MOEK_EMULATED
#include "emulator/cluster.hpp"
#endif

#if MOEK_HAS_SM90
namespace moek {

/// This block's position in its cluster.
MOEK_DEVICE uint32_t cluster_rank() {
#if MOEK_EMULATED
    return cuemu::cluster_rank();
#else
    uint32_t rank;
    asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
    return rank;
#endif
}

/// Blocks in the cluster; 1 without one.
MOEK_DEVICE uint32_t cluster_size() {
#if MOEK_EMULATED
    return cuemu::cluster_size();
#else
    uint32_t size;
    asm volatile("mov.u32 %0, %%cluster_nctarank;" : "=r"(size));
    return size;
#endif
}

/// Waits for all threads of the cluster and orders their memory. Also the last act of a block that others reach into.
MOEK_DEVICE void cluster_sync(MOEK_SITE_ONLY) {
#if MOEK_EMULATED
    cuemu::cluster_sync(site);
#else
    asm volatile("barrier.cluster.arrive.release.aligned;\nbarrier.cluster.wait.acquire.aligned;" ::: "memory");
#endif
}

/// The same variable in the shared memory of the cluster's block `rank`.
template <class T>
MOEK_DEVICE T* map_shared(T* shared, uint32_t rank MOEK_SITE) {
#if MOEK_EMULATED
    return static_cast<T*>(cuemu::map_shared(shared, rank, site));
#else
    uint64_t mapped;
    asm volatile("mapa.u64 %0, %1, %2;" : "=l"(mapped) : "l"(shared), "r"(rank));
    return reinterpret_cast<T*>(mapped);
#endif
}

/// Raises the registers of each thread of the warpgroup to kRegisters, or lowers them: a multiple of 8 in 24..256, in a
/// kernel with __launch_bounds__(threads, blocks). The emulator has no registers to give.
template <int kRegisters>
MOEK_DEVICE void raise_registers() {
#if !MOEK_EMULATED
    asm volatile("setmaxnreg.inc.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}
template <int kRegisters>
MOEK_DEVICE void lower_registers() {
#if !MOEK_EMULATED
    asm volatile("setmaxnreg.dec.sync.aligned.u32 %0;" ::"n"(kRegisters));
#endif
}

}  // namespace moek
#endif
