// wgmma: products that four warps start together and that are computed when they wait (PTX ISA, "wgmma").
#include "emulator/wgmma.hpp"

#include "emulator/machine.hpp"

namespace cuemu {
namespace {

/// A K-major operand in shared memory: rows of 16 elements of 16 bits, wherever the descriptor puts them.
class Operand {
public:
    explicit Operand(uint64_t descriptor)
        : start_(static_cast<uint32_t>(descriptor & 0x3FFF) * 16),
          leading_(static_cast<uint32_t>(descriptor >> 16 & 0x3FFF) * 16),
          stride_(static_cast<uint32_t>(descriptor >> 32 & 0x3FFF) * 16),
          layout_(static_cast<uint32_t>(descriptor >> 62)) {}

    /// Address of the 8 elements from k = 8 half on.
    uint32_t unit(unsigned row, unsigned half) const {
        if (layout_ == 0) return start_ + row / 8 * stride_ + half * leading_ + row % 8 * 16;
        // 1, 2, 3: rows of 128, 64, 32 bytes, whose units are exchanged by the address's bits from 7 on.
        const uint32_t row_bytes = 256u >> layout_, mask = row_bytes / 16 - 1;
        const uint32_t address = start_ + row / 8 * stride_ + row % 8 * row_bytes + half * 16;
        return address ^ ((address >> 7 & mask) << 4);
    }

    void read_row(unsigned row, float (&values)[16]) const {
        for (unsigned half = 0; half < 2; ++half) {
            uint16_t bits[8];
            std::memcpy(bits, shared_pointer(unit(row, half), sizeof bits, Site{}), sizeof bits);
            for (unsigned i = 0; i < 8; ++i) {
                const uint32_t wide = static_cast<uint32_t>(bits[i]) << 16;
                std::memcpy(&values[half * 8 + i], &wide, sizeof wide);
            }
        }
    }

    void note_row(unsigned row, Site site) const {
        for (unsigned half = 0; half < 2; ++half)
            note_proxy_read(*self()->block, shared_pointer(unit(row, half), 16, site), 16);
    }

private:
    uint32_t start_, leading_, stride_, layout_;
};

/// Every row of both operands is noted by some lane of the warpgroup.
void note_operands(const PendingWgmma& product, Site site) {
    const unsigned thread = self()->linear % 128;
    const Operand a(product.a), b(product.b);
    if (thread < 64) a.note_row(thread, site);
    for (auto row = thread; row < static_cast<unsigned>(product.columns); row += 128) b.note_row(row, site);
}

/// In the accumulator layout a thread holds rows g and g + 8 of its warp's 16, and columns 2 t, 2 t + 1 of every 8.
void compute(const PendingWgmma& product) {
    const unsigned thread = self()->linear % 128, lane = thread % 32;
    const Operand a(product.a), b(product.b);
    float rows[2][16], column[16];
    for (unsigned i = 0; i < 2; ++i) a.read_row(thread / 32 * 16 + lane / 4 + 8 * i, rows[i]);
    for (unsigned j = 0; j < static_cast<unsigned>(product.columns) / 4; ++j) {
        b.read_row(j / 2 * 8 + lane % 4 * 2 + j % 2, column);
        for (unsigned i = 0; i < 2; ++i) {
            float& d = product.accumulators[j / 2 * 4 + i * 2 + j % 2];
            float sum = product.accumulate ? d : 0.0f;
            for (unsigned k = 0; k < 16; ++k) sum += rows[i][k] * column[k];
            d = sum;
        }
    }
}

void compute_before(Fiber& fiber, unsigned group) {
    int kept = 0;
    for (int i = 0; i < fiber.num_wgmmas; ++i) {
        if (fiber.wgmmas[i].group >= group) {
            fiber.wgmmas[kept++] = fiber.wgmmas[i];
            continue;
        }
        note_operands(fiber.wgmmas[i], Site{});
        compute(fiber.wgmmas[i]);
    }
    fiber.num_wgmmas = kept;
    await_proxy(*fiber.block);
}

void meet_warp(Site site) {
    need_capability(9, 0, "wgmma needs compute capability 9.0", site);
    const Fiber& fiber = *self();
    if (fiber.block->fibers.size() - (fiber.linear & ~127u) < 128) fail("wgmma in an incomplete warpgroup", site);
    warp_meet(~0u, Collective::wgmma, 0, false, site);
}

}  // namespace

void wgmma_fence(Site site) {
    meet_warp(site);
    self()->wgmma_fenced = true;
}

void wgmma_m64k16_bf16(float* d, int columns, uint64_t a, uint64_t b, bool accumulate, Site site) {
    meet_warp(site);
    Fiber& fiber = *self();
    if (!fiber.wgmma_fenced) fail("wgmma before wgmma_fence", site);
    if ((a >> 49 & 7) != 0 || (b >> 49 & 7) != 0) fail("wgmma: a base offset is not emulated", site);
    if (fiber.num_wgmmas == kMaxPendingWgmmas) fail("too many wgmma in flight", site);
    fiber.wgmmas[fiber.num_wgmmas++] = {d, a, b, columns, accumulate, fiber.wgmma_group};
    note_operands(fiber.wgmmas[fiber.num_wgmmas - 1], site);
}

void wgmma_commit(Site site) {
    meet_warp(site);
    Fiber& fiber = *self();
    ++fiber.wgmma_group;
    if (random_order() && worker->random() % 2 == 0) compute_before(fiber, fiber.wgmma_group);
}

void wgmma_wait(unsigned pending_groups, Site site) {
    meet_warp(site);
    Fiber& fiber = *self();
    if (fiber.wgmma_group > pending_groups) compute_before(fiber, fiber.wgmma_group - pending_groups);
}

}  // namespace cuemu
