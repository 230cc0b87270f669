// Checks of arguments. Each throws a Failure that names the argument.
#pragma once

#include <cstdint>
#include <cstring>

#include "abi/context.hpp"
#include "abi/failure.hpp"

namespace moek {

// Throws MOEK_E_ARGUMENT for null.
void require_pointer(const void* pointer, const char* name);

// Throws MOEK_E_ARGUMENT unless low <= value <= high.
void require_range(int64_t value, int64_t low, int64_t high, const char* name);

// Throws MOEK_E_ARGUMENT unless `pointer` is device memory of the context's device (or page-locked host memory that it
// can reach), aligned to `alignment`. `bytes` = 0 allows null.
void require_device(const moek_context& context, const void* pointer, uint64_t bytes, uint64_t alignment,
                    const char* name);

// As require_device, but null is allowed.
void require_device_or_null(const moek_context& context, const void* pointer, uint64_t bytes, uint64_t alignment,
                            const char* name);

// Throws MOEK_E_ARGUMENT when two ranges share a byte.
void require_apart(const void* a, uint64_t a_bytes, const char* a_name, const void* b, uint64_t b_bytes,
                   const char* b_name);

// Throws MOEK_E_WORKSPACE when it is too small, MOEK_E_ARGUMENT when it is no aligned device memory.
void require_workspace(const moek_context& context, const void* workspace, uint64_t bytes, uint64_t needed);

// a * b, or MOEK_E_ARGUMENT when it leaves 63 bits.
uint64_t product(uint64_t a, uint64_t b, const char* what);

// Bytes of an element of MOEK_F32, MOEK_F16 or MOEK_BF16; MOEK_E_ARGUMENT for others.
uint64_t element_bytes(int32_t dtype, const char* name);

// The part of a caller's option struct that this library knows, the rest as `defaults` says. A shorter struct of an
// older caller is taken; a longer one only when what is beyond is zero, since it then asks for nothing unknown.
void take_bytes(void* target, const void* given, uint32_t known, uint32_t least, const char* name);

template <typename T>
T take(const T* given, const T& defaults, size_t least, const char* name) {
    T taken = defaults;
    take_bytes(&taken, given, sizeof(T), static_cast<uint32_t>(least), name);
    taken.struct_size = sizeof(T);
    return taken;
}

}  // namespace moek
