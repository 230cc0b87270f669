// What the code inside a kernel reaches of the emulator. Every function here belongs to the running CUDA thread.
#pragma once
#include <cstddef>
#include <cstdint>

#include "emulator/vector_types.hpp"

#define __global__
#define __device__
#define __host__
#define __constant__
#define __grid_constant__
#define __launch_bounds__(...)
#define __cluster_dims__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __align__(n) alignas(n)

namespace cuemu {

/// A place in a kernel's source, for checks and reports.
struct Site {
    const char* file = nullptr;
    int line = 0;
};

/// As a default argument, the place of the call.
constexpr Site here(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
}

/// What threadIdx and its like read.
struct Thread {
    uint3 thread_index, block_index;
    dim3 block_dim, grid_dim;
    unsigned linear;  ///< x fastest, over the block
};
extern __thread Thread* current __attribute__((tls_model("initial-exec")));

/// Ends the launch with cudaErrorLaunchFailure; `what` becomes the report's first line. Does not return.
[[noreturn]] void fail(const char* what, Site site);

// Shared memory.
/// The block's array of this tag; made on first use, filled with 0xFF, with red zones around it.
void* shared_array(const void* tag, size_t bytes, size_t alignment, Site site);
void* dynamic_shared(Site site);
/// The 32-bit address of the shared window, as PTX operands hold it, and back. Checks that it is one.
uint32_t shared_address(const void* pointer, Site site);
void* shared_pointer(uint32_t address, size_t bytes, Site site);

// Barriers. `count` counts threads; id 0 is __syncthreads.
void barrier_sync(int id, int count, Site site);
void barrier_arrive(int id, int count, Site site);

// Warps.
/// What a lane does: lanes that meet must do the same.
enum class Collective {
    syncwarp,
    shfl,
    shfl_xor,
    shfl_down,
    shfl_up,
    vote,
    reduce,
    match,
    mma,
    mma_done,
    ldmatrix,
    wgmma
};
/// Leaves `value`, waits for every lane of `mask`, and returns what all 32 lanes left. Orders memory only if `fence`.
const uint64_t* warp_meet(unsigned mask, Collective what, uint64_t value, bool fence, Site site);

// Progress.
/// Told by whatever others may wait for: a flag was raised, a counter moved.
void made_progress();
/// A thread that only polls gives way, so that the one it waits for can run.
void poll(Site site);
/// A moment at which another thread may run; happens in random order only.
void preempt();

/// Fails unless the emulated device has at least this compute capability.
void need_capability(int major, int minor, const char* what, Site site);

}  // namespace cuemu

#define threadIdx (cuemu::current->thread_index)
#define blockIdx (cuemu::current->block_index)
#define blockDim (cuemu::current->block_dim)
#define gridDim (cuemu::current->grid_dim)
constexpr int warpSize = 32;
