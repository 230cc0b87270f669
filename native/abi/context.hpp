// The context: a device, its allocator and the word in which kernels report NaN routers.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <utility>

#include "abi/failure.hpp"
#include "device/launch.cuh"
#include "moek/core.h"

// Opaque to callers, so it lives in the global namespace under its C name.
struct moek_context {
    moek_context_desc desc;
    cudaDeviceProp properties;
    // Page-locked and mapped: kernels set it to 1 when a router meets NaN or infinity, the host reads and clears it
    // after a wait. An int32 because atomics need one.
    int32_t* nonfinite;
    // The caller's handle and every object made with it: the last one to go frees the context.
    std::atomic<int64_t> references;
    // Device form of QMoE's dictionary, made when the first codewords come.
    std::mutex dictionary_lock;
    void* dictionary;
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

// Keeps a context alive for as long as an object made with it.
class ContextReference {
public:
    explicit ContextReference(moek_context& context) : context_(&context) { context.references.fetch_add(1); }
    ~ContextReference();
    ContextReference(const ContextReference&) = delete;
    ContextReference& operator=(const ContextReference&) = delete;

    moek_context& operator*() const { return *context_; }
    moek_context* operator->() const { return context_; }

private:
    moek_context* context_;
};

// Gives up one reference; waits for the device and frees everything with the last one.
void release(moek_context& context) noexcept;

// Destroys an object that kernels may still read: waits for the device first. Null is allowed.
template <typename Object>
void destroy_on_device(Object* object) noexcept {
    if (object == nullptr) return;
    try {
        DeviceScope scope(*object->context);
        cudaDeviceSynchronize();
        delete object;
    } catch (const Failure&) {
        delete object;
    }
}

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
