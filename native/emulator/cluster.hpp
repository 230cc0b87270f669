// Clusters of the device wrappers: what device/ptx calls when it is emulated.
#pragma once
#include "emulator/kernel_api.hpp"

namespace cuemu {

unsigned cluster_rank();
unsigned cluster_size();
void cluster_sync(Site site);

/// The same place in the shared memory of the cluster's block `rank`.
void* map_shared(const void* pointer, unsigned rank, Site site);

}  // namespace cuemu
