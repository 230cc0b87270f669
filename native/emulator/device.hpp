// The host's side of the emulated device: memory, streams and errors, behind one lock.
#pragma once
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <set>

#include "emulator/config.hpp"
#include "emulator/runtime_api.hpp"

namespace cuemu {

/// A piece of work on a stream.
struct Operation {
    uint64_t sequence;  ///< position among all operations of the device
    std::function<cudaError_t()> run;
    CUevent_st* after = nullptr;  ///< an event to await first, up to this record of it
    uint64_t after_record = 0;
    CUevent_st* marks = nullptr;  ///< an event whose record this is; done even after a failure, so that waits end
    uint64_t marks_record = 0;
};

struct Allocation {
    size_t bytes;
    char* memory;  ///< with the red zone before it
    bool on_device;
};

struct Device {
    std::recursive_mutex mutex;
    std::map<const char*, Allocation> allocations;  ///< by address
    size_t used_bytes = 0;
    std::set<CUstream_st*> streams;
    std::set<CUevent_st*> events;
    CUstream_st* legacy = nullptr;  ///< the stream called null
    uint64_t next_sequence = 0;
    cudaError_t sticky = cudaSuccess;               ///< of failed work; every later call returns it
    std::map<const void*, int> max_dynamic_shared;  ///< by kernel
};

Device& device();
using Lock = std::lock_guard<std::recursive_mutex>;

/// Remembers the error for cudaGetLastError and returns it.
cudaError_t report(cudaError_t error);

// memory.cpp
/// Null unless `bytes` from `pointer` on lie in one allocation.
const Allocation* find_allocation(const void* pointer, size_t bytes);
/// Checks every red zone; a broken one becomes a sticky error.
void check_red_zones();
void free_all();

// stream.cpp
/// Null handle means the legacy stream; null result means that there is no such stream.
CUstream_st* find_stream(cudaStream_t handle);
cudaError_t enqueue(CUstream_st* stream, std::function<cudaError_t()> run);
/// Runs everything on the stream and returns the sticky error.
cudaError_t drain(CUstream_st* stream);
cudaError_t drain_all();
void drop_all_streams();

/// Shared memory that a block may ask for on a device of this capability.
size_t max_shared_bytes(const Config& config);

}  // namespace cuemu

struct CUstream_st {
    bool blocking = true;  ///< takes turns with the legacy stream
    std::deque<cuemu::Operation> queue;
};

struct CUevent_st {
    bool timed = true;
    uint64_t recorded = 0;   ///< times that cudaEventRecord was called
    uint64_t completed = 0;  ///< the latest record that has run
    CUstream_st* stream = nullptr;
    std::chrono::steady_clock::time_point when{};
};
