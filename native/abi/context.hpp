// The context: a device, its allocator and the word in which kernels report NaN routers.
#pragma once

#include <cuda_runtime.h>
#include <atomic>
#include <cstdint>

#include "abi/failure.hpp"
#include "moek/core.h"

// Opaque to callers, so it lives in the global namespace under its C name.
struct moek_context {
    moek_context_desc desc;
    cudaDeviceProp properties;
    // Page-locked and mapped: kernels set it to 1 when a router meets NaN or infinity, the host reads and clears it
    // after a wait. An int32 because atomics need one.
    int32_t* nonfinite;
    // Handles made with this context that are still alive; they are freed before it.
    std::atomic<int64_t> children;
};

namespace moek {

// Makes a context's device the current one of this thread, and puts the caller's back.
class DeviceScope {
public:
    explicit DeviceScope(const moek_context& context);
    ~DeviceScope();
    DeviceScope(const DeviceScope&) = delete;
    DeviceScope& operator=(const DeviceScope&) = delete;

private:
    int previous_ = 0;
    bool changed_ = false;
};

// 10 * major + minor of the context's device.
inline int capability(const moek_context& context) {
    return 10 * context.properties.major + context.properties.minor;
}

// Device memory through the context's allocator; 256-byte aligned.
void* device_allocate(moek_context& context, uint64_t bytes);
void device_free(moek_context& context, void* pointer) noexcept;

// Sends a line to the context's log, if it has one.
void log(const moek_context& context, moek_log_level level, const char* message) noexcept;

inline cudaStream_t stream_of(void* stream) {
    return static_cast<cudaStream_t>(stream);
}

// Device memory that its owner frees: allocated, filled, then moved into a handle.
class DeviceBuffer {
public:
    DeviceBuffer() = default;
    DeviceBuffer(moek_context& context, uint64_t bytes)
        : context_(&context), pointer_(bytes == 0 ? nullptr : device_allocate(context, bytes)), bytes_(bytes) {}
    DeviceBuffer(DeviceBuffer&& other) noexcept { swap(other); }
    DeviceBuffer& operator=(DeviceBuffer&& other) noexcept {
        swap(other);
        return *this;
    }
    ~DeviceBuffer() {
        if (pointer_ != nullptr) device_free(*context_, pointer_);
    }

    // Allocates and copies from the host, before it returns.
    static DeviceBuffer copy_of(moek_context& context, const void* host, uint64_t bytes);

    void* get() const { return pointer_; }
    template <typename T>
    T* as() const {
        return static_cast<T*>(pointer_);
    }
    uint64_t bytes() const { return bytes_; }

private:
    void swap(DeviceBuffer& other) noexcept {
        std::swap(context_, other.context_);
        std::swap(pointer_, other.pointer_);
        std::swap(bytes_, other.bytes_);
    }

    moek_context* context_ = nullptr;
    void* pointer_ = nullptr;
    uint64_t bytes_ = 0;
};

}  // namespace moek
