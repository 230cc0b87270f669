#include "abi/arguments.hpp"

namespace moek {

void require_pointer(const void* pointer, const char* name) {
    if (pointer == nullptr) fail(MOEK_E_ARGUMENT, "%s is null", name);
}

void require_range(int64_t value, int64_t low, int64_t high, const char* name) {
    if (value < low || value > high) {
        fail(MOEK_E_ARGUMENT, "%s is %lld, not in %lld..%lld", name, static_cast<long long>(value),
             static_cast<long long>(low), static_cast<long long>(high));
    }
}

void require_device(const moek_context& context, const void* pointer, uint64_t bytes, uint64_t alignment,
                    const char* name) {
    if (bytes == 0) return;
    require_pointer(pointer, name);
    if (reinterpret_cast<uintptr_t>(pointer) % alignment != 0) {
        fail(MOEK_E_ARGUMENT, "%s is not aligned to %llu bytes", name, static_cast<unsigned long long>(alignment));
    }
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, pointer), name);
    if (attributes.type == cudaMemoryTypeUnregistered || attributes.devicePointer == nullptr) {
        fail(MOEK_E_ARGUMENT, "%s is not device memory", name);
    }
    if (attributes.type == cudaMemoryTypeDevice && attributes.device != context.desc.device) {
        fail(MOEK_E_ARGUMENT, "%s is memory of device %d, not of device %d", name, attributes.device,
             context.desc.device);
    }
}

void require_device_or_null(const moek_context& context, const void* pointer, uint64_t bytes, uint64_t alignment,
                            const char* name) {
    if (pointer != nullptr) require_device(context, pointer, bytes, alignment, name);
}

void require_apart(const void* a, uint64_t a_bytes, const char* a_name, const void* b, uint64_t b_bytes,
                   const char* b_name) {
    const uintptr_t first = reinterpret_cast<uintptr_t>(a);
    const uintptr_t second = reinterpret_cast<uintptr_t>(b);
    if (a_bytes > 0 && b_bytes > 0 && first < second + b_bytes && second < first + a_bytes) {
        fail(MOEK_E_ARGUMENT, "%s and %s overlap", a_name, b_name);
    }
}

void require_workspace(const moek_context& context, const void* workspace, uint64_t bytes, uint64_t needed) {
    if (bytes < needed) {
        fail(MOEK_E_WORKSPACE, "the workspace has %llu bytes where %llu are needed",
             static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(needed));
    }
    require_device(context, workspace, needed, 256, "workspace");
}

uint64_t product(uint64_t a, uint64_t b, const char* what) {
    uint64_t result = 0;
    if (__builtin_mul_overflow(a, b, &result) || result > INT64_MAX) fail(MOEK_E_ARGUMENT, "%s: too large", what);
    return result;
}

uint64_t element_bytes(int32_t dtype, const char* name) {
    switch (dtype) {
        case MOEK_F32:
            return 4;
        case MOEK_F16:
        case MOEK_BF16:
            return 2;
        default:
            fail(MOEK_E_ARGUMENT, "%s is %d, not MOEK_F32, MOEK_F16 or MOEK_BF16", name, dtype);
    }
}

void take_bytes(void* target, const void* given, uint32_t known, uint32_t least, const char* name) {
    require_pointer(given, name);
    uint32_t size = 0;
    std::memcpy(&size, given, sizeof size);
    if (size < least) {
        fail(MOEK_E_ABI, "%s: struct_size is %u, and %u bytes are the least that was ever used", name, size, least);
    }
    const auto* bytes = static_cast<const unsigned char*>(given);
    for (uint32_t i = known; i < size; i++) {
        if (bytes[i] != 0) {
            fail(MOEK_E_ABI, "%s: byte %u is set, and this library knows only %u", name, i, known);
        }
    }
    std::memcpy(target, given, size < known ? size : known);
}

}  // namespace moek
