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
// rows that ldmatrix reads at once lie in different banks. Eight rows further on it is 512 more, two units further 32
// more or less: an exclusive or with 32.
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

// Eight weights of another type than bf16 on their way to a stage, with the scale they share, if they have one.
template <Element kType>
struct MmaWeights {
    FourBits<kType> four[2];
    float scale;

    MOEK_DEVICE uint4 rounded() const {
        uint32_t pairs[4];
#pragma unroll
        for (int i = 0; i < 4; ++i) pairs[i] = pack(from_float<bf16>(value(2 * i)), from_float<bf16>(value(2 * i + 1)));
        return make_uint4(pairs[0], pairs[1], pairs[2], pairs[3]);
    }

private:
    MOEK_DEVICE float value(int j) const {
        const float element = widen<kType>(four[j / 4], j % 4);
        return kType == Element::kF16 ? element : element * scale;
    }
};

// What a thread brings in of each stage: one unit of kRows / 64 slots and of two weight rows.
//
// Inputs without a factor and bf16 weights go straight to shared memory (cp.async); others pass through registers,
// read a step before they are stored.
template <Element kType, int kRows, bool kWeighted>
class MmaFetch {
public:
    static constexpr bool kDirect = kType == Element::kBF16;
    static constexpr int kSlots = kRows < 64 ? 1 : kRows / 64;

    MOEK_DEVICE MmaFetch(const GroupedCall& call, const GroupedTile& tile) : call_(call) {
        const int line = static_cast<int>(threadIdx.x) / 4, unit = static_cast<int>(threadIdx.x) % 4;
        column_ = unit * 8;
        target_ = mma_unit(line, unit);
        takes_inputs_ = line < kRows;
#pragma unroll
        for (int i = 0; i < kSlots; ++i) {
            const bool has_slot = line + 64 * i < tile.slots;
            const InputRow row = input_row(call, tile.first_slot + (has_slot ? line + 64 * i : 0));
            inputs_[i] = row.data + column_ * 2;
            factors_[i] = row.factor;
            input_end_[i] = has_slot ? call.w.columns : 0;
        }
#pragma unroll
        for (int i = 0; i < 2; ++i) {
            const int32_t row = mma_weight_row(call, tile, line + 64 * i);
            weights_[i] =
                weight_address<kType>(call.w, tile.expert, max(row, 0), 0) + column_ * element_bits(kType) / 8;
            scales_[i] = RowScale<kType>(call.w, tile.expert, max(row, 0), column_);
            weight_end_[i] = row >= 0 ? call.w.columns : 0;
        }
    }

    // Starts the copies of the stage at `k` that need no registers.
    MOEK_DEVICE void copy(int32_t k, unsigned char* xs, unsigned char* ws) const {
        const int32_t column = k + column_;
        if constexpr (!kWeighted) {
            if (takes_inputs_) {
#pragma unroll
                for (int i = 0; i < kSlots; ++i) {
                    cp_async<16>(xs + target_ + i * kLinesApart, inputs_[i] + static_cast<int64_t>(k) * 2,
                                 column < input_end_[i]);
                }
            }
        }
        if constexpr (kDirect) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                cp_async<16>(ws + target_ + i * kLinesApart, weights_[i] + static_cast<int64_t>(k) * 2,
                             column < weight_end_[i]);
            }
        }
    }

    // Reads what passes through registers.
    MOEK_DEVICE void read(int32_t k) {
        const int32_t column = k + column_;
        if constexpr (kWeighted) {
#pragma unroll
            for (int i = 0; i < kSlots; ++i) {
                inputs_read_[i] = make_uint4(0, 0, 0, 0);
                if (column < input_end_[i]) {
                    inputs_read_[i] = *reinterpret_cast<const uint4*>(inputs_[i] + static_cast<int64_t>(k) * 2);
                }
            }
        }
        if constexpr (!kDirect) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                weights_read_[i] = {};
                if (column >= weight_end_[i]) continue;
                const unsigned char* address = weights_[i] + static_cast<int64_t>(k) * element_bits(kType) / 8;
                weights_read_[i].four[0] = read_four<kType>(address);
                weights_read_[i].four[1] = read_four<kType>(address + element_bits(kType) / 2);
                weights_read_[i].scale = scales_[i].at(call_.w, column);
            }
        }
    }

    // Stores what was read.
    MOEK_DEVICE void store(unsigned char* xs, unsigned char* ws) const {
        if constexpr (kWeighted) {
            if (takes_inputs_) {
#pragma unroll
                for (int i = 0; i < kSlots; ++i) {
                    *reinterpret_cast<uint4*>(xs + target_ + i * kLinesApart) =
                        scale_eight(inputs_read_[i], factors_[i]);
                }
            }
        }
        if constexpr (!kDirect) {
#pragma unroll
            for (int i = 0; i < 2; ++i) {
                *reinterpret_cast<uint4*>(ws + target_ + i * kLinesApart) = weights_read_[i].rounded();
            }
        }
    }

private:
    static constexpr int kLinesApart = 64 * 64;  // bytes of 64 lines

    const GroupedCall& call_;
    const unsigned char* inputs_[kSlots];
    float factors_[kSlots];
    int32_t input_end_[kSlots], weight_end_[2];  // 0 where there is no row
    const unsigned char* weights_[2];
    RowScale<kType> scales_[2];
    MmaWeights<kDirect ? Element::kF16 : kType> weights_read_[kDirect ? 1 : 2];
    uint4 inputs_read_[kSlots] = {};
    int32_t column_;
    int target_;
    bool takes_inputs_;
};

}  // namespace moek
