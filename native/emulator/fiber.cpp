#include "emulator/fiber.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include "emulator/sanitizers.hpp"

#ifndef CUEMU_UCONTEXT
// Saves the callee-saved registers of the System V ABI on the old stack and takes them from the new one: a tenth of
// what swapcontext costs, which makes a system call for the signal mask.
extern "C" void cuemu_switch(void** save, void* to);
asm(R"(
.text
.globl cuemu_switch
.hidden cuemu_switch
.type cuemu_switch,@function
cuemu_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
.size cuemu_switch,.-cuemu_switch
)");
#endif

namespace cuemu {
char* map_stack() {
    void* memory =
        mmap(nullptr, kStackBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    if (mprotect(memory, static_cast<size_t>(sysconf(_SC_PAGESIZE)), PROT_NONE) != 0) {
        munmap(memory, kStackBytes);
        return nullptr;
    }
    return static_cast<char*>(memory);
}

void unmap_stack(char* stack) {
    unpoison(stack, kStackBytes);
    munmap(stack, kStackBytes);
}

#ifdef CUEMU_UCONTEXT

void Context::prepare(char* stack, void (*entry)()) {
    getcontext(&context_);
    context_.uc_stack.ss_sp = stack;
    context_.uc_stack.ss_size = kStackBytes;
    context_.uc_link = nullptr;
    makecontext(&context_, entry, 0);
}

void Context::swap(Context& from, Context& to) {
    swapcontext(&from.context_, &to.context_);
}

#else

void Context::prepare(char* stack, void (*entry)()) {
    // The ABI wants rsp = 16 n + 8 on entry to a function: a null return address stands above the entry's own.
    auto** top = reinterpret_cast<void**>(stack + kStackBytes - 64);
    *--top = nullptr;
    *--top = reinterpret_cast<void*>(entry);
    for (int saved = 0; saved < 6; ++saved) *--top = nullptr;
    stack_pointer_ = top;
}

void Context::swap(Context& from, Context& to) {
    cuemu_switch(&from.stack_pointer_, to.stack_pointer_);
}

#endif

}  // namespace cuemu
