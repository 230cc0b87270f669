// Asynchronous work: copies into shared memory that land later.
#include "emulator/async.hpp"

#include "emulator/machine.hpp"

namespace cuemu {
namespace {

void land(const PendingCopy& copy) {
    note_read(copy.source, copy.bytes);
    note_write(copy.destination, copy.total);
    std::memcpy(copy.destination, copy.source, copy.bytes);
    std::memset(static_cast<char*>(copy.destination) + copy.bytes, 0, copy.total - copy.bytes);
}

/// Copies of the groups before `group`, in order of issue.
void land_before(Fiber& fiber, unsigned group) {
    int kept = 0;
    for (int i = 0; i < fiber.num_copies; ++i) {
        if (fiber.copies[i].group < group)
            land(fiber.copies[i]);
        else
            fiber.copies[kept++] = fiber.copies[i];
    }
    fiber.num_copies = kept;
}

}  // namespace

void cp_async(void* destination, const void* source, uint32_t bytes, uint32_t total, Site site) {
    need_capability(8, 0, "cp.async needs compute capability 8.0", site);
    if (total != 4 && total != 8 && total != 16) fail("cp.async copies 4, 8 or 16 bytes", site);
    if (bytes > total) fail("cp.async reads more than it writes", site);
    if ((reinterpret_cast<uintptr_t>(destination) | reinterpret_cast<uintptr_t>(source)) % total != 0)
        fail("cp.async: an address is not aligned to the size", site);
    shared_pointer(shared_address(destination, site), total, site);
    Fiber& fiber = *self();
    if (fiber.num_copies == kMaxPendingCopies) fail("too many cp.async of one thread in flight", site);
    // Both ends are in use from now on: whoever touches them before the wait races.
    note_read(source, bytes);
    note_write(destination, total);
    fiber.copies[fiber.num_copies++] = {destination, source, bytes, total, fiber.copy_group};
    if (random_order() && worker->random() % 4 == 0) land_before(fiber, fiber.copy_group + 1);
}

void cp_async_commit() {
    ++self()->copy_group;
}

void cp_async_wait(unsigned pending_groups) {
    Fiber& fiber = *self();
    if (fiber.copy_group > pending_groups) land_before(fiber, fiber.copy_group - pending_groups);
}

}  // namespace cuemu
