// Tiles of grouped products on tensor cores: bf16 inputs and weights, fp32 sums (compute capability 8.0).
#pragma once

#include "device/ptx.cuh"
#include "kernels/experts/grouped.cuh"
#include "kernels/experts/weights.cuh"

namespace moek {

constexpr int kMmaDepth = 32;  // k of a stage: rows of 64 bytes
constexpr int kMmaStages = 4;
constexpr int kMmaColumns = 128;  // weight rows of a tile
constexpr int kMmaThreads = 256;

// Byte of the 16-byte unit `unit` of a row in a stage. Units change places by two bits of the row, so that the eight
// rows that ldmatrix reads at once lie in different banks.
MOEK_DEVICE int mma_unit(int row, int unit) {
    return row * 64 + ((unit ^ (row >> 1 & 3)) << 4);
}

// A tile row and the weight row it holds, -1 beyond the matrix. With gates eight gate rows and the eight up rows of the
// same outputs take turns, so that a thread's accumulators hold both sums of an output.
MOEK_DEVICE int32_t mma_weight_row(const GroupedCall& call, const GroupedTile& tile, int line) {
    const int parts = parts_of(call);
    const int part = parts == 2 ? line / 8 % 2 : 0;
    const int32_t column = tile.column * (kMmaColumns / parts) + (parts == 2 ? line / 16 * 8 + line % 8 : line);
    return column < call.width ? weight_row(call, column, part) : -1;
}

// Eight weights of another type than bf16 on their way to a stage.
template <Element kType>
struct MmaWeights {
    WeightFour<kType> four[2];

    MOEK_DEVICE uint4 rounded() const {
        uint32_t pairs[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) {
            pairs[i] = pack(from_float<bf16>(four[i / 2].value(i % 2 * 2)),
                            from_float<bf16>(four[i / 2].value(i % 2 * 2 + 1)));
        }
        return make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    }
};

// What a thread brings in of each stage: one unit of kRows / 64 slots and of two weight rows.
//
// Inputs without a factor and bf16 weights go straight to shared memory (cp.async); others pass through registers,
// read a step before they are stored.
template <Element kType, int kRows>
class MmaFetch {
public:
    static constexpr bool kDirect = kType == Element::kBF16;
    static constexpr int kSlots = kRows < 64 ? 1 : kRows / 64;

    MOEK_DEVICE MmaFetch(const GroupedCall& call, const GroupedTile& tile) : call_(call) {
        const int line = static_cast<int>(threadIdx.x) / 4;
        unit_ = static_cast<int>(threadIdx.x) % 4;
#pragma unroll
        for (int i = 0; i < kSlots; ++i) {
            has_slot_[i] = line + 64 * i < tile.slots;
            inputs_[i] = input_row(call, tile.first_slot + (has_slot_[i] ? line + 64 * i : 0));
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int32_t row = mma_weight_row(call, tile, line + 64 * i);
            has_row_[i] = row >= 0;
            weights_[i] = weight_address<kType>(call.w, tile.expert, row < 0 ? 0 : row, 0);
            scales_[i] = RowScale<kType>(call.w, tile.expert, row < 0 ? 0 : row, unit_ * 8);
        }
    }

    // Starts the copies of the stage at `k` that need no registers.
    MOEK_DEVICE void copy(int32_t k, unsigned char* xs, unsigned char* ws) const {
        const int line = static_cast<int>(threadIdx.x) / 4;
        const int32_t column = k + unit_ * 8;
        const bool inside = column < call_.w.columns;
        if (call_.gather.weights == nullptr) {
#pragma unroll
            for (int i = 0; i < kSlots; ++i) {
                const bool there = inside && has_slot_[i];
                if (line + 64 * i >= kRows) continue;
                cp_async<16>(xs + mma_unit(line + 64 * i, unit_), inputs_[i].data + (there ? column * 2 : 0), there);
            }
        }
        if constexpr (kDirect) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                const bool there = inside && has_row_[i];
                cp_async<16>(ws + mma_unit(line + 64 * i, unit_), weights_[i] + (there ? column * 2 : 0), there);
            }
        }
    }

    // Reads what passes through registers.
    MOEK_DEVICE void read(int32_t k) {
        const int32_t column = k + unit_ * 8;
        const bool inside = column < call_.w.columns;
        if (call_.gather.weights != nullptr) {
#pragma unroll
            for (int i = 0; i < kSlots; ++i) {
                inputs_read_[i] = make_uint4(0, 0, 0, 0);
                if (inside && has_slot_[i]) {
                    inputs_read_[i] = *reinterpret_cast<const uint4*>(inputs_[i].data + column * 2);
                }
            }
        }
        if constexpr (!kDirect) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
#pragma unroll
                for (int h = 0; h < 2; ++h) {
                    WeightFour<kType>& four = weights_read_[i].four[h];
                    four = {};
                    if (!inside || !has_row_[i]) continue;
                    const int32_t at = column + 4 * h;
                    four.bits = read_four<kType>(weights_[i] + static_cast<int64_t>(at) * element_bits(kType) / 8);
                    for (int j = 0; j < (kType == Element::kF8E4M3 ? 4 : 1); ++j) {
                        four.scale[j] = scales_[i].at(call_.w, at + j);
                    }
                }
            }
        }
    }

    // Stores what was read.
    MOEK_DEVICE void store(unsigned char* xs, unsigned char* ws) const {
        const int line = static_cast<int>(threadIdx.x) / 4;
        if (call_.gather.weights != nullptr) {
#pragma unroll
            for (int i = 0; i < kSlots; ++i) {
                if (line + 64 * i >= kRows) continue;
                *reinterpret_cast<uint4*>(xs + mma_unit(line + 64 * i, unit_)) =
                    scale_eight(inputs_read_[i], inputs_[i].factor);
            }
        }
        if constexpr (!kDirect) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                *reinterpret_cast<uint4*>(ws + mma_unit(line + 64 * i, unit_)) = weights_read_[i].rounded();
            }
        }
    }

private:
    const GroupedCall& call_;
    InputRow inputs_[kSlots];
    const unsigned char* weights_[2];
    RowScale<kType> scales_[2];
    MmaWeights<kDirect ? Element::kF16 : kType> weights_read_[kDirect ? 1 : 2];
    uint4 inputs_read_[kSlots] = {};
    int unit_;
    bool has_slot_[kSlots], has_row_[2];
};

}  // namespace moek
