// Matrix instructions on fragments that the lanes of a warp hold together (PTX ISA, section "Matrix fragments").
#include "emulator/tensor.hpp"

#include "emulator/machine.hpp"

namespace cuemu {
namespace {

float bf16_value(uint32_t bits) {
    bits <<= 16;
    float value;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

struct Fragments {
    const uint32_t *a, *b;
};

/// A[row, k] of [16 x 16] and B[k, column] of [16 x 8], from the registers of the lanes that hold them.
float a_at(const Fragments* const* lanes, unsigned row, unsigned k) {
    const uint32_t pair = lanes[row % 8 * 4 + k % 8 / 2]->a[row / 8 + k / 8 * 2];
    return bf16_value(k % 2 ? pair >> 16 : pair & 0xFFFF);
}
float b_at(const Fragments* const* lanes, unsigned k, unsigned column) {
    const uint32_t pair = lanes[column * 4 + k % 8 / 2]->b[k / 8];
    return bf16_value(k % 2 ? pair >> 16 : pair & 0xFFFF);
}

/// The 32 pointers left at a meeting.
template <class T>
void all_lanes(const T* (&lanes)[32], const uint64_t* values) {
    for (unsigned i = 0; i < 32; ++i) lanes[i] = reinterpret_cast<const T*>(values[i]);
}

void need_whole_warp(Site site) {
    const Fiber& fiber = *self();
    if (fiber.block->fibers.size() - (fiber.linear & ~31u) < 32) fail("matrix instruction in an incomplete warp", site);
}

}  // namespace

void mma_m16n8k16_bf16(float* d, const uint32_t* a, const uint32_t* b, Site site) {
    need_capability(8, 0, "mma.sync bf16 needs compute capability 8.0", site);
    need_whole_warp(site);
    const Fragments mine{a, b};
    const Fragments* lanes[32];
    all_lanes(lanes, warp_meet(~0u, Collective::mma, reinterpret_cast<uint64_t>(&mine), false, site));
    const unsigned lane = self()->linear & 31;
    float sums[4];
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned row = lane / 4 + i / 2 * 8, column = lane % 4 * 2 + i % 2;
        sums[i] = d[i];
        for (unsigned k = 0; k < 16; ++k) sums[i] += a_at(lanes, row, k) * b_at(lanes, k, column);
    }
    // Fragments live in their lanes' frames: nobody leaves before all have read.
    warp_meet(~0u, Collective::mma_done, 0, false, site);
    std::memcpy(d, sums, sizeof sums);
}

void ldmatrix(uint32_t* registers, int count, bool transpose, const void* row, Site site) {
    need_whole_warp(site);
    const unsigned lane = self()->linear & 31;
    if (lane < static_cast<unsigned>(count) * 8) {
        if (reinterpret_cast<uintptr_t>(row) % 16 != 0) fail("ldmatrix: a row is not aligned to 16 bytes", site);
        shared_pointer(shared_address(row, site), 16, site);
    }
    const uint16_t* rows[32];
    all_lanes(rows, warp_meet(~0u, Collective::ldmatrix, reinterpret_cast<uint64_t>(row), false, site));
    for (int m = 0; m < count; ++m) {
        uint16_t pair[2];
        for (unsigned half = 0; half < 2; ++half) {
            const unsigned across = lane % 4 * 2 + half, down = lane / 4;
            const uint16_t* element = transpose ? rows[m * 8 + static_cast<int>(across)] + down
                                                : rows[m * 8 + static_cast<int>(down)] + across;
            note_read(element, sizeof *element);
            std::memcpy(&pair[half], element, sizeof *element);
        }
        registers[m] = static_cast<uint32_t>(pair[1]) << 16 | pair[0];
    }
}

}  // namespace cuemu
