// mbarrier objects: one 64-bit word in shared memory.
//
//   bit 63       phase, flips when a phase completes
//   bits 56..62  marker of an initialised barrier
//   bits 32..55  bytes still expected: announced before the copy starts, so never negative
//   bits 16..31  arrivals of a phase
//   bits 0..15   arrivals still missing
#include "emulator/async.hpp"
#include "emulator/machine.hpp"

namespace cuemu {
namespace {

constexpr uint64_t kMarker = uint64_t{0x2A} << 56;
constexpr uint64_t kMarkerMask = uint64_t{0x7F} << 56;
constexpr int64_t kMaxBytes = (1 << 20) - 1;

struct State {
    uint64_t word;
    unsigned phase() const { return static_cast<unsigned>(word >> 63); }
    unsigned missing() const { return static_cast<unsigned>(word & 0xFFFF); }
    unsigned count() const { return static_cast<unsigned>(word >> 16 & 0xFFFF); }
    int64_t bytes() const { return static_cast<int64_t>(word >> 32 & 0xFFFFFF); }
    static State make(unsigned phase, int64_t bytes, unsigned count, unsigned missing) {
        return {uint64_t{phase} << 63 | kMarker | static_cast<uint64_t>(bytes) << 32 | uint64_t{count} << 16 | missing};
    }
};

State state_of(const uint64_t* barrier, Site site) {
    if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("an mbarrier is not aligned to 8 bytes", site);
    const State state{*barrier};
    if ((state.word & kMarkerMask) != kMarker) fail("an mbarrier is used before mbarrier_init", site);
    return state;
}

/// TSan's sync object of a phase, inside the word itself.
void* order_of(uint64_t* barrier, unsigned phase) {
    return reinterpret_cast<char*>(barrier) + 4 * phase;
}

void store(uint64_t* barrier, unsigned phase, int64_t bytes, unsigned count, unsigned missing) {
    if (missing == 0 && bytes == 0) {
        phase ^= 1;
        missing = count;
    }
    *barrier = State::make(phase, bytes, count, missing).word;
    made_progress();
}

}  // namespace

void mbarrier_init(uint64_t* barrier, uint32_t count, Site site) {
    if (reinterpret_cast<uintptr_t>(barrier) % 8 != 0) fail("an mbarrier is not aligned to 8 bytes", site);
    shared_pointer(shared_address(barrier, site), 8, site);
    if (count < 1 || count > 0xFFFF) fail("mbarrier count outside 1..65535", site);
    note_write(barrier, sizeof *barrier);
    *barrier = State::make(0, 0, count, count).word;
}

void mbarrier_arrive(uint64_t* barrier, uint32_t expected_bytes, Site site) {
    note_read(barrier, sizeof *barrier);
    const State s = state_of(barrier, site);
    if (s.missing() == 0) fail("more arrivals at an mbarrier than its count", site);
    const int64_t bytes = s.bytes() + expected_bytes;
    if (bytes > kMaxBytes) fail("an mbarrier expects more than 2^20 - 1 bytes", site);
    order_release(order_of(barrier, s.phase()));
    store(barrier, s.phase(), bytes, s.count(), s.missing() - 1);
    preempt();
}

bool mbarrier_has_completed(uint64_t* barrier, uint32_t parity, Site site) {
    note_read(barrier, sizeof *barrier);
    if (state_of(barrier, site).phase() == (parity & 1)) {
        sleep_in(worker->spinning, "waits at an mbarrier", site);
        if (state_of(barrier, site).phase() == (parity & 1)) return false;
    }
    order_acquire(order_of(barrier, parity & 1));
    return true;
}

const char* mbarrier_complete_bytes(uint64_t* barrier, uint32_t bytes) {
    const State s{*barrier};
    if ((s.word & kMarkerMask) != kMarker) return "a bulk copy completes at an mbarrier that is not initialised";
    if (s.bytes() < bytes) return "a bulk copy completes more bytes than its mbarrier expects";
    order_release(order_of(barrier, s.phase()));
    store(barrier, s.phase(), s.bytes() - bytes, s.count(), s.missing());
    return nullptr;
}

}  // namespace cuemu
