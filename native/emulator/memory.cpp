// Device and pinned memory, copies and fills.
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "emulator/device.hpp"
#include "emulator/machine.hpp"

namespace cuemu {
namespace {

constexpr size_t kMargin = 256;  // before and behind every allocation; also its alignment
constexpr int kMarginByte = 0xC5;
constexpr int kFreshByte = 0xFF;

size_t padded(size_t bytes) {
    return (bytes + kMargin - 1) / kMargin * kMargin + 2 * kMargin;
}

cudaError_t allocate(void** pointer, size_t bytes, bool on_device) {
    if (!pointer) return cudaErrorInvalidValue;
    *pointer = nullptr;
    if (device().sticky != cudaSuccess) return device().sticky;
    if (bytes == 0) return cudaSuccess;
    if (config.fail_allocation > 0 && --config.fail_allocation == 0) return cudaErrorMemoryAllocation;
    if (on_device && (bytes > config.memory_bytes || device().used_bytes + bytes > config.memory_bytes))
        return cudaErrorMemoryAllocation;
    auto* memory = static_cast<char*>(std::aligned_alloc(kMargin, padded(bytes)));
    if (!memory) return cudaErrorMemoryAllocation;
    char* start = memory + kMargin;
    std::memset(memory, kMarginByte, kMargin);
    std::memset(start, kFreshByte, bytes);
    std::memset(start + bytes, kMarginByte, padded(bytes) - kMargin - bytes);
    poison(memory, kMargin);
    poison(start + bytes, padded(bytes) - kMargin - bytes);
    device().allocations[start] = {bytes, memory, on_device};
    if (on_device) device().used_bytes += bytes;
    *pointer = start;
    return cudaSuccess;
}

bool margins_intact(const Allocation& allocation) {
    const auto* memory = reinterpret_cast<const unsigned char*>(allocation.memory);
    for (size_t i = 0; i < kMargin; ++i)
        if (memory[i] != kMarginByte) return false;
    for (size_t i = kMargin + allocation.bytes; i < padded(allocation.bytes); ++i)
        if (memory[i] != kMarginByte) return false;
    return true;
}

void check_margins(const Allocation& allocation) {
    unpoison(allocation.memory, kMargin);
    const size_t behind = kMargin + allocation.bytes;
    unpoison(allocation.memory + behind, padded(allocation.bytes) - behind);
    if (!margins_intact(allocation) && device().sticky == cudaSuccess) {
        device().sticky = cudaErrorIllegalAddress;
        set_report("memory was written outside an allocation of " + std::to_string(allocation.bytes) + " bytes");
    }
    poison(allocation.memory, kMargin);
    poison(allocation.memory + behind, padded(allocation.bytes) - behind);
}

void release(std::map<const char*, Allocation>::iterator found) {
    const Allocation allocation = found->second;
    device().allocations.erase(found);
    if (allocation.on_device) device().used_bytes -= allocation.bytes;
    unpoison(allocation.memory, padded(allocation.bytes));
    std::free(allocation.memory);
}

cudaError_t deallocate(void* pointer, bool on_device) {
    if (!pointer) return device().sticky;
    const auto found = device().allocations.find(static_cast<const char*>(pointer));
    if (found == device().allocations.end() || found->second.on_device != on_device) return cudaErrorInvalidValue;
    drain_all();  // both calls wait for the device, in CUDA as well
    check_margins(found->second);
    release(found);
    return device().sticky;
}

bool is_device(const void* pointer) {
    const Allocation* allocation = find_allocation(pointer, 1);
    return allocation && allocation->on_device;
}

/// Sides of a copy, checked against its kind and against the allocations.
cudaError_t check_copy(const void* destination, const void* source, size_t bytes, cudaMemcpyKind kind) {
    if (!destination || !source) return cudaErrorInvalidValue;
    if (kind < cudaMemcpyHostToHost || kind > cudaMemcpyDefault) return cudaErrorInvalidMemcpyDirection;
    const bool to_device = is_device(destination), from_device = is_device(source);
    if (kind != cudaMemcpyDefault) {
        if (to_device != (kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice))
            return cudaErrorInvalidValue;
        if (from_device != (kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice))
            return cudaErrorInvalidValue;
    }
    if (to_device && !find_allocation(destination, bytes)) return cudaErrorInvalidValue;
    if (from_device && !find_allocation(source, bytes)) return cudaErrorInvalidValue;
    return cudaSuccess;
}

bool is_pageable(const void* pointer) {
    return find_allocation(pointer, 1) == nullptr;
}

struct CopyShape {
    size_t destination_pitch, source_pitch, width, height;
};

void copy_rows(void* destination, const void* source, const CopyShape& shape) {
    for (size_t row = 0; row < shape.height; ++row)
        std::memmove(static_cast<char*>(destination) + row * shape.destination_pitch,
                     static_cast<const char*>(source) + row * shape.source_pitch, shape.width);
}

/// Pageable memory is read before the call returns and written before it returns; all else when the stream gets there.
cudaError_t copy(void* destination, const void* source, const CopyShape& shape, cudaMemcpyKind kind,
                 cudaStream_t handle, bool wait) {
    CUstream_st* stream = find_stream(handle);
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (device().sticky != cudaSuccess) return device().sticky;
    if (shape.width == 0 || shape.height == 0) return cudaSuccess;
    const size_t span_to = shape.destination_pitch * (shape.height - 1) + shape.width;
    const size_t span_from = shape.source_pitch * (shape.height - 1) + shape.width;
    if (shape.destination_pitch < shape.width || shape.source_pitch < shape.width) return cudaErrorInvalidValue;
    const cudaError_t bad_to = check_copy(destination, source, span_to < span_from ? span_to : span_from, kind);
    if (bad_to != cudaSuccess) return bad_to;
    if ((is_device(destination) && !find_allocation(destination, span_to)) ||
        (is_device(source) && !find_allocation(source, span_from)))
        return cudaErrorInvalidValue;
    const bool staged = is_pageable(source) && !wait;
    std::shared_ptr<std::vector<char>> stage;
    if (staged) {
        const auto* first = static_cast<const char*>(source);
        stage = std::make_shared<std::vector<char>>(first, first + span_from);
    }
    enqueue(stream, [=] {
        copy_rows(destination, stage ? stage->data() : source, shape);
        return cudaSuccess;
    });
    return wait || is_pageable(destination) ? drain(stream) : cudaSuccess;
}

}  // namespace

const Allocation* find_allocation(const void* pointer, size_t bytes) {
    const auto* start = static_cast<const char*>(pointer);
    auto next = device().allocations.upper_bound(start);
    if (next == device().allocations.begin()) return nullptr;
    const auto& [address, allocation] = *--next;
    const size_t offset = static_cast<size_t>(start - address);
    return offset < allocation.bytes && bytes <= allocation.bytes - offset ? &allocation : nullptr;
}

void check_red_zones() {
    for (const auto& entry : device().allocations) check_margins(entry.second);
}

void free_all() {
    while (!device().allocations.empty()) release(device().allocations.begin());
}

}  // namespace cuemu

using cuemu::device;
using cuemu::Lock;
using cuemu::report;

cudaError_t cudaMalloc(void** pointer, size_t bytes) {
    Lock lock(device().mutex);
    return report(cuemu::allocate(pointer, bytes, true));
}

cudaError_t cudaFree(void* pointer) {
    Lock lock(device().mutex);
    return report(cuemu::deallocate(pointer, true));
}

cudaError_t cudaMallocAsync(void** pointer, size_t bytes, cudaStream_t stream) {
    Lock lock(device().mutex);
    if (!cuemu::find_stream(stream)) return report(cudaErrorInvalidResourceHandle);
    return report(cuemu::allocate(pointer, bytes, true));
}

cudaError_t cudaFreeAsync(void* pointer, cudaStream_t handle) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream) return report(cudaErrorInvalidResourceHandle);
    const auto found = device().allocations.find(static_cast<const char*>(pointer));
    if (found == device().allocations.end() || !found->second.on_device) return report(cudaErrorInvalidValue);
    return report(cuemu::enqueue(stream, [pointer] {
        const auto now = device().allocations.find(static_cast<const char*>(pointer));
        if (now == device().allocations.end()) return cudaErrorInvalidValue;
        cuemu::check_margins(now->second);
        cuemu::release(now);
        return cudaSuccess;
    }));
}

cudaError_t cudaHostAlloc(void** pointer, size_t bytes, unsigned) {
    Lock lock(device().mutex);
    return report(cuemu::allocate(pointer, bytes, false));
}

cudaError_t cudaMallocHost(void** pointer, size_t bytes) {
    return cudaHostAlloc(pointer, bytes, cudaHostAllocDefault);
}

cudaError_t cudaFreeHost(void* pointer) {
    Lock lock(device().mutex);
    return report(cuemu::deallocate(pointer, false));
}

cudaError_t cudaMemGetInfo(size_t* free_bytes, size_t* total_bytes) {
    Lock lock(device().mutex);
    if (!free_bytes || !total_bytes) return report(cudaErrorInvalidValue);
    *total_bytes = cuemu::config.memory_bytes;
    *free_bytes = *total_bytes - std::min<size_t>(*total_bytes, device().used_bytes);
    return report(device().sticky);
}

cudaError_t cudaPointerGetAttributes(cudaPointerAttributes* attributes, const void* pointer) {
    Lock lock(device().mutex);
    if (!attributes) return report(cudaErrorInvalidValue);
    const cuemu::Allocation* allocation = cuemu::find_allocation(pointer, 1);
    auto* address = const_cast<void*>(pointer);
    if (!allocation)
        *attributes = {cudaMemoryTypeUnregistered, -2, nullptr, address};
    else if (allocation->on_device)
        *attributes = {cudaMemoryTypeDevice, 0, address, nullptr};
    else
        *attributes = {cudaMemoryTypeHost, 0, address, address};
    return report(device().sticky);
}

cudaError_t cudaMemcpy(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind) {
    Lock lock(device().mutex);
    return report(cuemu::copy(destination, source, {bytes, bytes, bytes, 1}, kind, nullptr, true));
}

cudaError_t cudaMemcpyAsync(void* destination, const void* source, size_t bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
    Lock lock(device().mutex);
    return report(cuemu::copy(destination, source, {bytes, bytes, bytes, 1}, kind, stream, false));
}

cudaError_t cudaMemcpy2DAsync(void* destination, size_t destination_pitch, const void* source, size_t source_pitch,
                              size_t width_bytes, size_t height, cudaMemcpyKind kind, cudaStream_t stream) {
    Lock lock(device().mutex);
    const cuemu::CopyShape shape{destination_pitch, source_pitch, width_bytes, height};
    return report(cuemu::copy(destination, source, shape, kind, stream, false));
}

cudaError_t cudaMemsetAsync(void* pointer, int value, size_t bytes, cudaStream_t handle) {
    Lock lock(device().mutex);
    CUstream_st* stream = cuemu::find_stream(handle);
    if (!stream) return report(cudaErrorInvalidResourceHandle);
    if (bytes == 0) return report(device().sticky);
    if (!cuemu::find_allocation(pointer, bytes)) return report(cudaErrorInvalidValue);
    return report(cuemu::enqueue(stream, [=] {
        std::memset(pointer, value, bytes);
        return cudaSuccess;
    }));
}

cudaError_t cudaMemset(void* pointer, int value, size_t bytes) {
    return cudaMemsetAsync(pointer, value, bytes, nullptr);  // asynchronous for device memory in CUDA too
}
