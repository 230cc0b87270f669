// Lanes of a warp that meet: every *_sync operation is one meeting in which each lane leaves 64 bits.
#include "emulator/machine.hpp"

namespace cuemu {
namespace {

/// The meeting of this mask that is under way, or a free one.
WarpGroup& group_of(Fiber* fiber, unsigned mask, Site site) {
    WarpGroup* groups = &fiber->block->groups[fiber->linear / 32 * kMasksPerWarp];
    for (int i = 0; i < kMasksPerWarp; ++i)
        if (groups[i].mask == mask) return groups[i];
    for (int i = 0; i < kMasksPerWarp; ++i)
        if (groups[i].arrived == 0 && groups[i].reading == 0) {
            groups[i].mask = mask;
            return groups[i];
        }
    fail("too many warp masks in use at once", site);
}

/// The lanes of the mask that the block has; all of them must be alive.
unsigned existing_lanes(const Fiber* fiber, unsigned mask, Site site) {
    const auto threads = static_cast<unsigned>(fiber->block->fibers.size()) - (fiber->linear & ~31u);
    if (threads < 32) mask &= (1u << threads) - 1;
    if (mask & fiber->block->ended_lanes[fiber->linear / 32]) fail("a lane of the mask has ended", site);
    return mask;
}

}  // namespace

const uint64_t* warp_meet(unsigned mask, Collective what, uint64_t value, bool fence, Site site) {
    Fiber* fiber = self();
    const unsigned lane = fiber->linear & 31;
    ++worker->stats.collectives;
    if (!(mask >> lane & 1)) fail("warp operation by a lane outside its mask", site);
    mask = existing_lanes(fiber, mask, site);
    WarpGroup& group = group_of(fiber, mask, site);
    if (group.arrived == 0) {
        group.what = what;
        group.site = site;
    } else if (group.what != what) {
        fail("lanes of a warp meet in different operations", site);
    } else if (what != Collective::syncwarp && fiber->block->launch->config.strict &&
               (group.site.line != site.line || group.site.file != site.file)) {
        fail("lanes of a warp meet in an operation from different lines", site);
    }
    const unsigned parity = group.phase & 1;
    __atomic_store_n(&group.values[parity][lane], value, __ATOMIC_RELAXED);
    if (fence) order_release(&group.order[parity]);
    if (++group.arrived == __builtin_popcount(mask)) {
        group.reading += group.arrived;
        group.arrived = 0;
        ++group.phase;
        wake_all_from(group.waiting);
    } else {
        sleep_in(group.waiting, "waits for the other lanes", site);
    }
    if (fence) order_acquire(&group.order[parity]);
    --group.reading;
    return group.values[parity];
}

}  // namespace cuemu
