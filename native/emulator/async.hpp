// Asynchronous work of the device wrappers: what device/ptx calls when it is emulated.
#pragma once
#include "emulator/kernel_api.hpp"
#include "emulator/runtime_api.hpp"

namespace cuemu {

/// cp.async: `bytes` are copied and the rest of `total` is zero; lands at a wait at the latest, and not much sooner.
void cp_async(void* destination, const void* source, uint32_t bytes, uint32_t total, Site site);
void cp_async_commit();
void cp_async_wait(unsigned pending_groups);

// mbarrier objects.
void mbarrier_init(uint64_t* barrier, uint32_t count, Site site);
/// One arrival; the phase then also waits for `expected_bytes` of bulk copies.
void mbarrier_arrive(uint64_t* barrier, uint32_t expected_bytes, Site site);
/// Gives way once when the phase of this parity has not completed.
bool mbarrier_has_completed(uint64_t* barrier, uint32_t parity, Site site);
/// What is wrong, or null. Called by the copy, not by a thread.
const char* mbarrier_complete_bytes(uint64_t* barrier, uint32_t bytes);

// Bulk copies: global to shared memory by an mbarrier, shared to global by groups.
void bulk_load(void* destination, const void* source, uint32_t bytes, uint64_t* mbarrier, Site site);
void tile_load(void* destination, const void* map, const int32_t* start, int rank, uint64_t* mbarrier, Site site);
void bulk_store(void* destination, const void* source, uint32_t bytes, Site site);
void bulk_store_commit();
void bulk_store_wait(unsigned pending_groups);

/// An array in global memory and the box that tile loads take of it, fastest axis first.
struct TileShape {
    const void* data;
    uint32_t rank;  ///< 2 or 3
    uint32_t element_bytes;
    uint64_t size[3];          ///< elements
    uint64_t stride_bytes[3];  ///< the first is the element's
    uint32_t box[3];
    uint32_t swizzle_bytes;  ///< 0, 32, 64 or 128
};
/// Writes the emulator's form of a CUtensorMap, after the checks that the driver makes.
cudaError_t encode_map(void* map, const TileShape& shape);

void fence_proxy();

}  // namespace cuemu
