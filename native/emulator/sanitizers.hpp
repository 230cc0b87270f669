// The sanitizers' interfaces for fibers, as weak symbols: null in a program built without the sanitizer.
// Only the ordering that CUDA promises is told to TSan, so a missing barrier is a data race in every schedule.
#pragma once
#include <cstddef>

extern "C" {
__attribute__((weak)) void* __tsan_get_current_fiber();
__attribute__((weak)) void* __tsan_create_fiber(unsigned flags);
__attribute__((weak)) void __tsan_destroy_fiber(void* fiber);
__attribute__((weak)) void __tsan_switch_to_fiber(void* fiber, unsigned flags);
__attribute__((weak)) void __tsan_acquire(void* address);
__attribute__((weak)) void __tsan_release(void* address);
__attribute__((weak)) void __tsan_read_range(void* address, unsigned long bytes);
__attribute__((weak)) void __tsan_write_range(void* address, unsigned long bytes);
__attribute__((weak)) void __asan_poison_memory_region(const volatile void* address, size_t bytes);
__attribute__((weak)) void __asan_unpoison_memory_region(const volatile void* address, size_t bytes);
__attribute__((weak)) void __sanitizer_start_switch_fiber(void** save, const void* bottom, size_t bytes);
__attribute__((weak)) void __sanitizer_finish_switch_fiber(void* saved, const void** bottom, size_t* bytes);
}

namespace cuemu {

inline bool under_tsan() {
    return __tsan_create_fiber != nullptr;
}
inline bool under_asan() {
    return __asan_poison_memory_region != nullptr;
}

/// What was released at `address` happened before what follows.
inline void order_acquire(void* address) {
    if (__tsan_acquire) __tsan_acquire(address);
}
inline void order_release(void* address) {
    if (__tsan_release) __tsan_release(address);
}

/// Announce an access by the emulator on behalf of the current CUDA thread.
inline void note_read(const void* address, size_t bytes) {
    if (__tsan_read_range) __tsan_read_range(const_cast<void*>(address), bytes);
}
inline void note_write(void* address, size_t bytes) {
    if (__tsan_write_range) __tsan_write_range(address, bytes);
}

inline void poison(const volatile void* address, size_t bytes) {
    if (__asan_poison_memory_region) __asan_poison_memory_region(address, bytes);
}
inline void unpoison(const volatile void* address, size_t bytes) {
    if (__asan_unpoison_memory_region) __asan_unpoison_memory_region(address, bytes);
}

constexpr unsigned kSwitchWithoutOrder = 1;

}  // namespace cuemu
