// Execution contexts: a stack and the registers saved on it. Knows nothing of CUDA.
#pragma once
#include <cstddef>
#if !defined(__x86_64__) && !defined(CUEMU_UCONTEXT)
#define CUEMU_UCONTEXT
#endif
#ifdef CUEMU_UCONTEXT
#include <ucontext.h>
#endif

namespace cuemu {

constexpr size_t kStackBytes = 256u << 10;

/// A stack of kStackBytes with a guard page at its low end; null when the system gives no more.
char* map_stack();

void unmap_stack(char* stack);

/// Saved registers of whoever is not running.
class Context {
public:
    /// Makes the next switch to this context call `entry`, which must never return, on `stack`.
    void prepare(char* stack, void (*entry)());

    /// Saves the running context in `from` and goes on in `to`. Both belong to the calling OS thread.
    static void swap(Context& from, Context& to);

private:
#ifdef CUEMU_UCONTEXT
    ucontext_t context_;
#else
    void* stack_pointer_ = nullptr;
#endif
};

}  // namespace cuemu
