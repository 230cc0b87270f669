// Small float types as bits, with conversions that give the same bits under nvcc and under the emulator.
//
// No CUDA type headers: they take seconds to compile, and have no counterpart under g++. Rounding is to nearest, ties
// to even. On sm_90 __float2bfloat16_rn would be one instruction; that is only worth it in a hot epilogue.
#pragma once
#include <cmath>
#include <cstring>

#include "device/launch.cuh"

namespace moek {

MOEK_HOST_DEVICE uint32_t float_bits(float value) {
#ifdef __CUDA_ARCH__
    return __float_as_uint(value);
#else
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
#endif
}

MOEK_HOST_DEVICE float float_from_bits(uint32_t bits) {
#ifdef __CUDA_ARCH__
    return __uint_as_float(bits);
#else
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
#endif
}

/// bfloat16: the upper half of a float.
struct bf16 {
    uint16_t bits;
};
/// IEEE binary16.
struct f16 {
    uint16_t bits;
};
/// FP8 with 4 exponent and 3 fraction bits, no infinities, NaN 0x7F and 0xFF (OCP FP8, E4M3).
struct e4m3 {
    uint8_t bits;
};
/// A power of two, 2^(bits - 127); 0xFF is NaN (OCP MX, E8M0).
struct e8m0 {
    uint8_t bits;
};

MOEK_HOST_DEVICE float to_float(float value) {
    return value;
}
MOEK_HOST_DEVICE float to_float(bf16 value) {
    return float_from_bits(static_cast<uint32_t>(value.bits) << 16);
}

// The exponents of narrower types are moved by a product with a power of two, which is exact and takes denormals along.
MOEK_HOST_DEVICE float to_float(f16 value) {
    const uint32_t bits = static_cast<uint32_t>(value.bits & 0x8000) << 16 | (value.bits & 0x7FFFu) << 13;
    const float moved = float_from_bits(bits) * 0x1p112f;
    return (value.bits & 0x7FFF) < 0x7C00 ? moved : float_from_bits(bits | 0x7F800000);
}

MOEK_HOST_DEVICE float to_float(e4m3 value) {
    const int32_t top = static_cast<int32_t>(static_cast<uint32_t>(value.bits) << 24);
    const float moved = float_from_bits(static_cast<uint32_t>(top >> 4) & 0x87F00000) * 0x1p120f;
    return fabsf(moved) < 480.0f ? moved : float_from_bits(0x7FC00000);
}

MOEK_HOST_DEVICE float to_float(e8m0 value) {
    if (value.bits == 0xFF) return float_from_bits(0x7FC00000);
    return float_from_bits(value.bits == 0 ? 0x00400000u : static_cast<uint32_t>(value.bits) << 23);
}

/// FP4 with 2 exponent bits and 1 fraction bit, in the low nibble: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and their negatives
/// (MXFP4).
MOEK_HOST_DEVICE float e2m1_to_float(uint32_t nibble) {
    return float_from_bits((nibble & 8) << 28 | (nibble & 7) << 22) * 0x1p126f;
}

/// float to T, rounded to nearest, ties to even; what is too large becomes infinity, or for e4m3 the largest value.
template <class T>
MOEK_HOST_DEVICE T from_float(float value);

template <>
MOEK_HOST_DEVICE float from_float<float>(float value) {
    return value;
}

template <>
MOEK_HOST_DEVICE bf16 from_float<bf16>(float value) {
    const uint32_t bits = float_bits(value);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return {static_cast<uint16_t>(bits >> 16 | 0x40)};
    return {static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16)};
}

template <>
MOEK_HOST_DEVICE f16 from_float<f16>(float value) {
    const uint32_t bits = float_bits(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return {static_cast<uint16_t>(sign | 0x7E00)};
    if (magnitude >= 0x477FF000) return {static_cast<uint16_t>(sign | 0x7C00)};  // 65520 and up
    if (magnitude < 0x38800000) {
        // Adding 0.5 puts the last place of a denormal, 2^-24, at the last place of the sum: the addition rounds.
        const uint32_t rounded = float_bits(float_from_bits(magnitude) + 0.5f) - 0x3F000000;
        return {static_cast<uint16_t>(sign | rounded)};
    }
    const uint32_t rounded = magnitude - (112u << 23) + 0xFFF + (magnitude >> 13 & 1);
    return {static_cast<uint16_t>(sign | rounded >> 13)};
}

template <>
MOEK_HOST_DEVICE e4m3 from_float<e4m3>(float value) {
    const uint32_t bits = float_bits(value), sign = bits >> 24 & 0x80, magnitude = bits & 0x7FFFFFFF;
    if (magnitude > 0x7F800000) return {static_cast<uint8_t>(sign | 0x7F)};
    if (magnitude >= 0x43E00000) return {static_cast<uint8_t>(sign | 0x7E)};  // 448 and up
    if (magnitude < 0x3C800000) {
        // As for f16: the last place of a denormal is 2^-9, that of numbers from 2^14 up.
        const uint32_t rounded = float_bits(float_from_bits(magnitude) + 0x1p14f) - 0x46800000;
        return {static_cast<uint8_t>(sign | rounded)};
    }
    const uint32_t rounded = magnitude - (120u << 23) + 0x7FFFF + (magnitude >> 20 & 1);
    return {static_cast<uint8_t>(sign | rounded >> 20)};
}

/// Two elements in one register, the first in the lower half, as the matrix instructions take them.
MOEK_HOST_DEVICE uint32_t pack(bf16 low, bf16 high) {
    return static_cast<uint32_t>(high.bits) << 16 | low.bits;
}

}  // namespace moek
