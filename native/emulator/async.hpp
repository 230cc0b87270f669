// Asynchronous work of the device wrappers: what device/ptx calls when it is emulated.
#pragma once
#include "emulator/kernel_api.hpp"

namespace cuemu {

/// cp.async: `bytes` are copied and the rest of `total` is zero; lands at a wait at the latest, and not much sooner.
void cp_async(void* destination, const void* source, uint32_t bytes, uint32_t total, Site site);
void cp_async_commit();
void cp_async_wait(unsigned pending_groups);
void cp_async_wait_all();

}  // namespace cuemu
