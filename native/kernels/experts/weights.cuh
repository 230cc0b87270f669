// Reading weights of every dense type, four neighbours of a row at a time.
#pragma once

#include <type_traits>

#include "device/types.cuh"
#include "kernels/experts/dense.hpp"

namespace moek {

// Bits of an element in memory.
__host__ __device__ constexpr int element_bits(Element type) {
    return type == Element::kF32 ? 32 : type == Element::kF8E4M3 ? 8 : type == Element::kMxfp4 ? 4 : 16;
}

// Calls `function` with the type of weights as a constant: its argument's ::value.
template <class Function>
cudaError_t for_weight_type(Element type, const Function& function) {
    switch (type) {
        case Element::kF32:
            return function(std::integral_constant<Element, Element::kF32>());
        case Element::kF16:
            return function(std::integral_constant<Element, Element::kF16>());
        case Element::kBF16:
            return function(std::integral_constant<Element, Element::kBF16>());
        case Element::kF8E4M3:
            return function(std::integral_constant<Element, Element::kF8E4M3>());
        case Element::kMxfp4:
            return function(std::integral_constant<Element, Element::kMxfp4>());
        default:
            return cudaErrorNotSupported;
    }
}

// Four neighbouring elements as they lie in memory: Word holds them, kWords of them.
template <Element kType>
struct FourBits {
    uint32_t word[kType == Element::kF32 ? 4 : element_bits(kType) == 16 ? 2 : 1];
};

// Byte of element [matrix, row, column]; for MXFP4 the column is even.
template <Element kType>
MOEK_DEVICE const unsigned char* weight_address(const DenseStack& stack, int64_t matrix, int64_t row, int64_t column) {
    const int64_t element = (matrix * stack.rows + row) * stack.columns + column;
    return static_cast<const unsigned char*>(stack.data) + element * element_bits(kType) / 8;
}

// Reads four elements. Their address is a multiple of their size.
template <Element kType>
MOEK_DEVICE FourBits<kType> read_four(const void* address) {
    FourBits<kType> four;
    if constexpr (kType == Element::kF32) {
        const uint4 raw = *static_cast<const uint4*>(address);
        four.word[0] = raw.x, four.word[1] = raw.y, four.word[2] = raw.z, four.word[3] = raw.w;
    } else if constexpr (element_bits(kType) == 16) {
        const uint2 raw = *static_cast<const uint2*>(address);
        four.word[0] = raw.x, four.word[1] = raw.y;
    } else if constexpr (kType == Element::kF8E4M3) {
        four.word[0] = *static_cast<const uint32_t*>(address);
    } else {
        four.word[0] = *static_cast<const uint16_t*>(address);
    }
    return four;
}

// Reads `count` of four elements one by one, the rest as zeros.
template <Element kType>
MOEK_DEVICE FourBits<kType> read_some(const void* address, int count) {
    FourBits<kType> four = {};
    if constexpr (kType == Element::kF32) {
        for (int j = 0; j < 4; ++j) {
            if (j < count) four.word[j] = static_cast<const uint32_t*>(address)[j];
        }
    } else if constexpr (element_bits(kType) == 16) {
        for (int j = 0; j < 4; ++j) {
            if (j < count) {
                four.word[j / 2] |= static_cast<uint32_t>(static_cast<const uint16_t*>(address)[j]) << (16 * (j & 1));
            }
        }
    } else if constexpr (kType == Element::kF8E4M3) {
        for (int j = 0; j < 4; ++j) {
            if (j < count) four.word[0] |= static_cast<uint32_t>(static_cast<const uint8_t*>(address)[j]) << (8 * j);
        }
    } else {
        // MXFP4 rows are whole blocks of 32: there are four or none.
        if (count > 0) four.word[0] = *static_cast<const uint16_t*>(address);
    }
    return four;
}

// The value of element j of four, without scale.
template <Element kType>
MOEK_DEVICE float widen(const FourBits<kType>& four, int j) {
    if constexpr (kType == Element::kF32) {
        return float_from_bits(four.word[j]);
    } else if constexpr (kType == Element::kF16) {
        return to_float(f16{static_cast<uint16_t>(four.word[j / 2] >> (16 * (j & 1)))});
    } else if constexpr (kType == Element::kBF16) {
        return float_from_bits(j & 1 ? four.word[j / 2] & 0xFFFF0000u : four.word[j / 2] << 16);
    } else if constexpr (kType == Element::kF8E4M3) {
        return to_float(e4m3{static_cast<uint8_t>(four.word[0] >> (8 * j))});
    } else {
        return e2m1_to_float(four.word[0] >> (4 * j) & 15u);
    }
}

// The scales along one row, asked for with ascending columns: blocks are counted, not divided.
template <Element kType>
class RowScale {
public:
    MOEK_DEVICE RowScale() {}
    MOEK_DEVICE RowScale(const DenseStack&, int64_t, int64_t, int32_t) {}
    MOEK_DEVICE float at(const DenseStack&, int32_t) { return 1.0f; }
};

template <>
class RowScale<Element::kF8E4M3> {
public:
    MOEK_DEVICE RowScale() {}
    MOEK_DEVICE RowScale(const DenseStack& stack, int64_t matrix, int64_t row, int32_t column) {
        const int64_t block_rows = (stack.rows + stack.scale_block_rows - 1) / stack.scale_block_rows;
        const int64_t blocks = (stack.columns + stack.scale_block_columns - 1) / stack.scale_block_columns;
        const int64_t block_row = matrix * block_rows + row / stack.scale_block_rows;
        const int32_t block = column / stack.scale_block_columns;
        next_ = static_cast<const float*>(stack.scales) + block_row * blocks + block;
        end_ = block * stack.scale_block_columns;
    }
    // Columns beyond the row have the last scale.
    MOEK_DEVICE float at(const DenseStack& stack, int32_t column) {
        while (column >= end_ && end_ < stack.columns) {
            scale_ = *next_++;
            end_ += stack.scale_block_columns;
        }
        return scale_;
    }

private:
    const float* next_ = nullptr;
    int32_t end_ = 0;
    float scale_ = 0.0f;
};

template <>
class RowScale<Element::kMxfp4> {
public:
    MOEK_DEVICE RowScale() {}
    MOEK_DEVICE RowScale(const DenseStack& stack, int64_t matrix, int64_t row, int32_t) {
        scales_ = static_cast<const uint8_t*>(stack.scales) + (matrix * stack.rows + row) * (stack.columns / 32);
    }
    MOEK_DEVICE float at(const DenseStack&, int32_t column) const {
        return to_float(e8m0{scales_[static_cast<uint32_t>(column) / 32]});
    }

private:
    const uint8_t* scales_ = nullptr;
};

// Four weights of a row on their way: read early, widened when they are needed.
template <Element kType>
struct WeightFour {
    FourBits<kType> bits = {};
    // One scale, or where scale blocks cut through the four one for each.
    float scale[kType == Element::kF8E4M3 ? 4 : 1] = {};

    MOEK_DEVICE float value(int j) const {
        const float element = widen<kType>(bits, j);
        if constexpr (kType == Element::kF8E4M3) return element * scale[j];
        if constexpr (kType == Element::kMxfp4) return element * scale[0];
        return element;
    }
};

}  // namespace moek
