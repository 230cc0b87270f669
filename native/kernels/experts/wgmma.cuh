// Tiles of grouped products on Hopper's tensor cores: weights by TMA, gathered inputs by cp.async, products by wgmma.
#pragma once

#include "device/ptx.cuh"
#include "kernels/experts/tile_store.cuh"

namespace moek {

constexpr int kWgmmaDepth = 64;  // k of a stage: rows of 128 bytes in the 128-byte swizzle
constexpr int kWgmmaStages = 4;
constexpr int kWgmmaBoxRows = 32;  // weight rows of one TMA load

// Two halves of kHalf weight rows: gate and up of the same outputs, or 2 kHalf neighbouring outputs. Either way a
// thread's accumulators of both halves belong to the same slots.
template <int kHalf, int kConsumers>
struct WgmmaTile {
    static constexpr int kSlots = 64 * kConsumers;
    static constexpr int kThreads = 128 * (kConsumers + 1);
    static constexpr int kInputBytes = kSlots * 128;
    static constexpr int kHalfBytes = kHalf * 128;
    static constexpr int kStageBytes = kInputBytes + 2 * kHalfBytes;
    static constexpr int kStagedBytes = kStagedFloats * 4;  // of a consumer's warp
    static constexpr int kBarriers = kWgmmaStages * kStageBytes + 4 * kConsumers * kStagedBytes;
    static constexpr int kSharedBytes = kBarriers + 2 * kWgmmaStages * 8;
};

#if MOEK_HAS_SM90

// Shared memory: the ring's stages, sums on their way out, the ring's barriers. Aligned to 1024 bytes, as the swizzle
// needs.
template <class Tile>
struct WgmmaRing {
    unsigned char* shared;

    MOEK_DEVICE unsigned char* inputs(uint32_t step) const { return shared + step % kWgmmaStages * Tile::kStageBytes; }
    MOEK_DEVICE unsigned char* weights(uint32_t step, int half) const {
        return inputs(step) + Tile::kInputBytes + half * Tile::kHalfBytes;
    }
    MOEK_DEVICE uint64_t* full(uint32_t step) const { return barriers() + step % kWgmmaStages; }
    MOEK_DEVICE uint64_t* empty(uint32_t step) const { return barriers() + kWgmmaStages + step % kWgmmaStages; }
    // What warp `warp` of the consumers stages.
    MOEK_DEVICE float* staged(int warp) const {
        return reinterpret_cast<float*>(shared + kWgmmaStages * Tile::kStageBytes + warp * Tile::kStagedBytes);
    }
    // Of the turn that `step` is of its stage.
    static MOEK_DEVICE uint32_t parity(uint32_t step) { return step / kWgmmaStages % 2; }

private:
    MOEK_DEVICE uint64_t* barriers() const { return reinterpret_cast<uint64_t*>(shared + Tile::kBarriers); }
};

// Starts the loads of a stage's weights; by one thread. Boxes beyond the matrix become zero or another matrix's rows,
// whose sums are never stored.
template <int kHalf, class Tile>
MOEK_DEVICE void load_weights(const GroupedCall& call, const GroupedTile& tile, const WgmmaRing<Tile>& ring,
                              uint32_t step, int32_t k) {
    const int parts = parts_of(call);
    mbarrier_arrive_expect(ring.full(step), 2 * Tile::kHalfBytes);
    for (int half = 0; half < 2; ++half) {
        for (int box = 0; box < kHalf / kWgmmaBoxRows; ++box) {
            unsigned char* target = ring.weights(step, half) + box * kWgmmaBoxRows * 128;
            const int32_t rows = box * kWgmmaBoxRows;
            if (parts == 2 && call.order == GateUpOrder::kInterleaved) {
                const int32_t pair = tile.expert * call.width + tile.column * kHalf + rows;
                tile_load_3d(target, call.w.map, k, half, pair, ring.full(step));
            } else if (parts == 2) {
                tile_load_3d(target, call.w.map, k, tile.column * kHalf + rows, 2 * tile.expert + half,
                             ring.full(step));
            } else {
                tile_load_3d(target, call.w.map, k, (2 * tile.column + half) * kHalf + rows, tile.expert,
                             ring.full(step));
            }
        }
    }
}

// A producer thread's share of the inputs: one 16-byte unit of every 16th slot.
template <class Tile>
class InputFetch {
public:
    static constexpr int kRows = Tile::kSlots / 16;

    MOEK_DEVICE InputFetch(const GroupedCall& call, const GroupedTile& tile) : call_(call) {
        const int thread = static_cast<int>(threadIdx.x) % 128;
        unit_ = thread % 8;
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
            const int row = thread / 8 + 16 * i;
            has_slot_[i] = row < tile.slots;
            rows_[i] = input_row(call, tile.first_slot + (has_slot_[i] ? row : 0));
        }
    }

    // Starts bringing in a stage; what has a factor is stored at once.
    MOEK_DEVICE void fetch(int32_t k, unsigned char* stage) const {
        const int first = static_cast<int>(threadIdx.x) % 128 / 8;
        const int32_t column = k + unit_ * 8;
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
            const int row = first + 16 * i;
            unsigned char* target = stage + row * 128 + ((unit_ ^ (row & 7)) << 4);
            const bool there = has_slot_[i] && column < call_.w.columns;
            const unsigned char* source = rows_[i].data + (there ? static_cast<int64_t>(column) * 2 : 0);
            if (call_.gather.weights == nullptr) {
                cp_async<16>(target, source, there);
            } else {
                uint4 units = make_uint4(0, 0, 0, 0);
                if (there) units = scale_eight(*reinterpret_cast<const uint4*>(source), rows_[i].factor);
                *reinterpret_cast<uint4*>(target) = units;
            }
        }
        cp_async_commit();
    }

private:
    const GroupedCall& call_;
    InputRow rows_[kRows];
    bool has_slot_[kRows];
    int unit_;
};

#endif

}  // namespace moek
