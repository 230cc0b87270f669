// Bulk copies by the TMA unit (compute capability 9.0): one thread starts them, bytes and addresses are multiples
// of 16.
#pragma once
#include "device/launch.cuh"
#include "device/tensor_map.hpp"
#if MOEK_EMULATED
#include "emulator/async.hpp"
#endif

#if MOEK_HAS_SM90
namespace moek {

/// Shows what this thread wrote to shared memory, or saw written before a barrier, to bulk stores and to wgmma.
MOEK_DEVICE void fence_async_proxy() {
#if MOEK_EMULATED
    cuemu::fence_proxy();
#else
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
#endif
}

/// Starts a copy of `bytes` from global to shared memory; `barrier` counts them down.
MOEK_DEVICE void bulk_load(void* shared, const void* global, uint32_t bytes, uint64_t* barrier MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::bulk_load(shared, global, bytes, barrier, site);
#else
    asm volatile("cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1], %2, [%3];" ::"r"(
                     static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
                 "l"(global), "r"(bytes), "r"(static_cast<uint32_t>(__cvta_generic_to_shared(barrier)))
                 : "memory");
#endif
}

/// Starts a load of the map's box from column x and row y on; what lies outside the array becomes zero. `barrier`
/// counts the bytes of the whole box. The map is a __grid_constant__ parameter of the kernel.
MOEK_DEVICE void tile_load_2d(void* shared, const CUtensorMap& map, int32_t x, int32_t y, uint64_t* barrier MOEK_SITE) {
#if MOEK_EMULATED
    const int32_t start[2] = {x, y};
    cuemu::tile_load(shared, &map, start, 2, barrier, site);
#else
    asm volatile(
        "cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
        "[%4];" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
        "l"(&map), "r"(x), "r"(y), "r"(static_cast<uint32_t>(__cvta_generic_to_shared(barrier)))
        : "memory");
#endif
}

/// The same from plane z of an array of three axes.
MOEK_DEVICE void tile_load_3d(void* shared, const CUtensorMap& map, int32_t x, int32_t y, int32_t z,
                              uint64_t* barrier MOEK_SITE) {
#if MOEK_EMULATED
    const int32_t start[3] = {x, y, z};
    cuemu::tile_load(shared, &map, start, 3, barrier, site);
#else
    asm volatile(
        "cp.async.bulk.tensor.3d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3, %4}], "
        "[%5];" ::"r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))),
        "l"(&map), "r"(x), "r"(y), "r"(z), "r"(static_cast<uint32_t>(__cvta_generic_to_shared(barrier)))
        : "memory");
#endif
}

/// Fetches the map itself ahead of its first use.
MOEK_DEVICE void prefetch_tensor_map([[maybe_unused]] const CUtensorMap& map) {
#if !MOEK_EMULATED
    asm volatile("prefetch.tensormap [%0];" ::"l"(&map) : "memory");
#endif
}

/// Starts a copy of `bytes` from shared to global memory, into the group that bulk_store_commit() closes.
MOEK_DEVICE void bulk_store(void* global, const void* shared, uint32_t bytes MOEK_SITE) {
#if MOEK_EMULATED
    cuemu::bulk_store(global, shared, bytes, site);
#else
    asm volatile("cp.async.bulk.global.shared::cta.bulk_group [%0], [%1], %2;" ::"l"(global),
                 "r"(static_cast<uint32_t>(__cvta_generic_to_shared(shared))), "r"(bytes)
                 : "memory");
#endif
}

MOEK_DEVICE void bulk_store_commit() {
#if MOEK_EMULATED
    cuemu::bulk_store_commit();
#else
    asm volatile("cp.async.bulk.commit_group;" ::: "memory");
#endif
}

/// Waits until at most kPending of this thread's youngest groups are under way.
template <int kPending>
MOEK_DEVICE void bulk_store_wait() {
#if MOEK_EMULATED
    cuemu::bulk_store_wait(kPending);
#else
    asm volatile("cp.async.bulk.wait_group %0;" ::"n"(kPending) : "memory");
#endif
}

}  // namespace moek
#endif
