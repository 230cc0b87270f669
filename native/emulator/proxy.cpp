// The asynchronous proxy: TMA and tensor cores reach shared memory on another path than loads and stores do, and see
// what those wrote only after fence.proxy.async. TSan is shown their reads on a fiber of the block's own, which knows
// what was passed on by such a fence, or was written by a bulk copy, and nothing else.
#include "emulator/async.hpp"
#include "emulator/machine.hpp"

namespace cuemu {

void fence_proxy() {
    order_release(&self()->block->proxy.passed_on);
}

void note_proxy_read(Block& block, const void* address, size_t bytes) {
    if (!under_tsan()) return;
    void* reader = __tsan_get_current_fiber();
    __tsan_switch_to_fiber(block.proxy.tsan, kSwitchWithoutOrder);
    order_acquire(&block.proxy.passed_on);
    note_read(address, bytes);
    order_release(&block.proxy.done);
    order_release(&block.launch->finished);
    __tsan_switch_to_fiber(reader, kSwitchWithoutOrder);
}

void await_proxy(Block& block) {
    order_acquire(&block.proxy.done);
}

}  // namespace cuemu
