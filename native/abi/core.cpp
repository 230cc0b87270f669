#include "moek/core.h"

#include <cstdio>
#include <cstring>
#include <memory>

#include "abi/arguments.hpp"
#include "abi/context.hpp"

namespace moek {
namespace {

constexpr int kLeastCapability = 80;
constexpr uint64_t kAlignment = 256;

moek_context_desc default_desc() {
    moek_context_desc desc{};
    desc.struct_size = sizeof desc;
    return desc;
}

void check_desc(const moek_context_desc& desc) {
    if (desc.flags != 0 || desc.reserved0 != 0) fail(MOEK_E_ARGUMENT, "desc.flags and desc.reserved0 must be 0");
    if ((desc.alloc == nullptr) != (desc.free_ == nullptr)) {
        fail(MOEK_E_ARGUMENT, "desc.alloc and desc.free_ are given together or not at all");
    }
    int count = 0;
    check(cudaGetDeviceCount(&count), "counting devices");
    if (desc.device < 0 || desc.device >= count) {
        fail(MOEK_E_NO_DEVICE, "there is no device %d among %d", desc.device, count);
    }
}

void free_context(moek_context* context) noexcept {
    if (context->nonfinite != nullptr) cudaFreeHost(context->nonfinite);
    if (context->dictionary != nullptr) device_free(*context, context->dictionary);
    delete context;
}

}  // namespace

DeviceScope::DeviceScope(const moek_context& context) {
    check(cudaGetDevice(&previous_), "asking for the current device");
    if (previous_ == context.desc.device) return;
    check(cudaSetDevice(context.desc.device), "choosing a device");
    changed_ = true;
}

ContextReference::~ContextReference() {
    release(*context_);
}

void release(moek_context& context) noexcept {
    if (context.references.fetch_sub(1) > 1) return;
    try {
        DeviceScope scope(context);
        cudaDeviceSynchronize();
        free_context(&context);
    } catch (const Failure&) {
        // The device is gone, and its memory with it.
        delete &context;
    }
}

DeviceScope::~DeviceScope() {
    if (changed_) cudaSetDevice(previous_);
}

void* device_allocate(moek_context& context, uint64_t bytes) {
    void* pointer = nullptr;
    if (context.desc.alloc != nullptr) {
        pointer = context.desc.alloc(bytes, context.desc.user);
        if (pointer == nullptr) {
            fail(MOEK_E_MEMORY, "the caller's allocator has no %llu bytes", static_cast<unsigned long long>(bytes));
        }
        if (reinterpret_cast<uintptr_t>(pointer) % kAlignment != 0) {
            context.desc.free_(pointer, context.desc.user);
            fail(MOEK_E_ARGUMENT, "the caller's allocator gave memory that is not aligned to 256 bytes");
        }
        return pointer;
    }
    char what[64];
    std::snprintf(what, sizeof what, "allocating %llu bytes", static_cast<unsigned long long>(bytes));
    check(cudaMalloc(&pointer, bytes), what);
    return pointer;
}

void device_free(moek_context& context, void* pointer) noexcept {
    if (context.desc.free_ != nullptr) {
        context.desc.free_(pointer, context.desc.user);
    } else {
        cudaFree(pointer);
    }
}

void log(const moek_context& context, moek_log_level level, const char* message) noexcept {
    if (context.desc.log != nullptr) context.desc.log(level, message, context.desc.user);
}

DeviceBuffer DeviceBuffer::copy_of(moek_context& context, const void* host, uint64_t bytes) {
    DeviceBuffer buffer(context, bytes);
    if (bytes > 0) check(cudaMemcpy(buffer.get(), host, bytes, cudaMemcpyHostToDevice), "copying to the device");
    return buffer;
}

}  // namespace moek

using namespace moek;

uint32_t moek_abi(void) {
    return static_cast<uint32_t>(MOEK_ABI_MAJOR) << 16 | MOEK_ABI_MINOR;
}

const char* moek_version(void) {
    return MOEK_VERSION;
}

const char* moek_status_name(moek_status status) {
    static const char* const names[] = {
        "MOEK_OK",          "MOEK_E_ARGUMENT",   "MOEK_E_UNSUPPORTED", "MOEK_E_MEMORY",  "MOEK_E_DEVICE",
        "MOEK_E_NO_DRIVER", "MOEK_E_DRIVER_OLD", "MOEK_E_NO_DEVICE",   "MOEK_E_ABI",     "MOEK_E_WORKSPACE",
        "MOEK_E_TIMEOUT",   "MOEK_E_DATA",       "MOEK_E_NONFINITE",   "MOEK_E_INTERNAL"};
    const int number = -static_cast<int>(status);
    return number >= 0 && number < static_cast<int>(sizeof names / sizeof names[0]) ? names[number] : "unknown";
}

moek_status moek_device_count(int32_t* count) {
    return guarded([&] {
        require_pointer(count, "count");
        *count = 0;
        int found = 0;
        check(cudaGetDeviceCount(&found), "counting devices");
        if (found == 0) fail(MOEK_E_NO_DEVICE, "the driver knows no device");
        *count = found;
    });
}

void moek_context_desc_init(moek_context_desc* desc) {
    if (desc != nullptr) *desc = default_desc();
}

moek_status moek_context_create(moek_context** context, const moek_context_desc* desc) {
    return guarded([&] {
        require_pointer(context, "context");
        *context = nullptr;
        const moek_context_desc taken =
            desc == nullptr ? default_desc() : take(desc, default_desc(), sizeof(moek_context_desc), "desc");
        check_desc(taken);

        std::unique_ptr<moek_context, void (*)(moek_context*) noexcept> made(new moek_context{}, free_context);
        made->desc = taken;
        made->references = 1;
        check(cudaGetDeviceProperties(&made->properties, taken.device), "reading the device's properties");
        if (capability(*made) < kLeastCapability) {
            fail(MOEK_E_UNSUPPORTED, "device %d has compute capability %d.%d, and 8.0 is the least", taken.device,
                 made->properties.major, made->properties.minor);
        }
        DeviceScope scope(*made);
        void* word = nullptr;
        check(cudaHostAlloc(&word, sizeof(int32_t), cudaHostAllocMapped), "allocating page-locked memory");
        made->nonfinite = static_cast<int32_t*>(word);
        *made->nonfinite = 0;
        *context = made.release();
    });
}

void moek_context_destroy(moek_context* context) {
    if (context != nullptr) release(*context);
}

moek_status moek_context_info(moek_device_info* info, const moek_context* context) {
    return guarded([&] {
        require_pointer(context, "context");
        moek_device_info known{};
        const moek_device_info asked = take(info, known, sizeof known, "info");
        DeviceScope scope(*context);
        size_t free_bytes = 0;
        size_t total_bytes = 0;
        check(cudaMemGetInfo(&free_bytes, &total_bytes), "asking for free memory");
        known.struct_size = asked.struct_size;
        known.device = context->desc.device;
        known.capability = capability(*context);
        known.multiprocessors = context->properties.multiProcessorCount;
        known.emulated = MOEK_EMULATED;
        known.total_bytes = total_bytes;
        known.free_bytes = free_bytes;
        std::memcpy(known.name, context->properties.name, sizeof known.name - 1);
        *info = known;
    });
}
