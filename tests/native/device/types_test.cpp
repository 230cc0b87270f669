// Conversions of the small float types against arithmetic in double, over all of their bits and around every tie.
#include "device/types.cuh"

#include <limits>
#include <vector>

#include "check.hpp"

using namespace moek;
using test::Random;

namespace {

/// Value of a number with `fraction` bits of fraction and an exponent bias, infinities and NaN aside.
double value_of(uint32_t magnitude, int fraction, int bias) {
    const int exponent = static_cast<int>(magnitude >> fraction);
    const double significand = magnitude & ((1u << fraction) - 1);
    const double hidden = exponent == 0 ? 0.0 : static_cast<double>(1u << fraction);
    return std::ldexp(significand + hidden, (exponent == 0 ? 1 : exponent) - bias - fraction);
}

struct Format {
    int fraction, bias;
    uint32_t largest;   ///< magnitude of the largest number
    uint32_t overflow;  ///< magnitude that what rounds beyond it becomes
    uint32_t (*from)(float);
};

/// The nearest magnitude, ties to the even one, by comparing distances.
uint32_t nearest(const Format& format, double value) {
    if (std::isinf(value)) return format.overflow;
    uint32_t low = 0, high = format.largest + 1;  // the number after the largest would stand at its regular place
    while (high - low > 1) {
        const uint32_t middle = (low + high) / 2;
        (value_of(middle, format.fraction, format.bias) <= value ? low : high) = middle;
    }
    const double below = value - value_of(low, format.fraction, format.bias);
    const double above = value_of(high, format.fraction, format.bias) - value;
    const uint32_t rounded = below < above || (below == above && low % 2 == 0) ? low : high;
    return rounded > format.largest ? format.overflow : rounded;
}

void check_rounding(const Format& format, uint32_t sign) {
    const auto check = [&](double magnitude) {
        const float value = static_cast<float>(magnitude);
        CHECK_EQ(format.from(value), nearest(format, value));
        CHECK_EQ(format.from(-value), nearest(format, value) | sign);
    };
    for (uint32_t m = 0; m <= format.largest; ++m) {
        const double here = value_of(m, format.fraction, format.bias);
        const double tie = (here + value_of(m + 1, format.fraction, format.bias)) / 2;
        for (const double value : {here, tie}) {
            const auto exact = static_cast<float>(value);
            check(value);
            check(std::nextafterf(exact, 0.0f));
            check(std::nextafterf(exact, std::numeric_limits<float>::infinity()));
        }
    }
    check(std::numeric_limits<float>::max());
    check(std::numeric_limits<float>::infinity());
    check(std::numeric_limits<float>::denorm_min());
    Random random(9);
    for (int i = 0; i < 100000; ++i) {
        const uint32_t bits = random.bits() & 0x7FFFFFFF;
        if (bits <= 0x7F800000) check(float_from_bits(bits));
    }
}

const float kNan = std::numeric_limits<float>::quiet_NaN();

}  // namespace

HOST_CASE(bf16_rounds_to_nearest_even) {
    check_rounding({7, 127, 0x7F7F, 0x7F80, [](float v) -> uint32_t { return from_float<bf16>(v).bits; }}, 0x8000);
    const bf16 nan = from_float<bf16>(kNan);
    CHECK(std::isnan(to_float(nan)));
    // A NaN whose payload is in the lower half must not become infinity.
    CHECK(std::isnan(to_float(from_float<bf16>(float_from_bits(0x7F800001)))));
    for (uint32_t bits = 0; bits < 0x7F80; ++bits)
        CHECK_EQ(to_float(bf16{static_cast<uint16_t>(bits)}), static_cast<float>(value_of(bits, 7, 127)));
}

HOST_CASE(f16_rounds_to_nearest_even) {
    check_rounding({10, 15, 0x7BFF, 0x7C00, [](float v) -> uint32_t { return from_float<f16>(v).bits; }}, 0x8000);
    CHECK(std::isnan(to_float(from_float<f16>(kNan))));
    CHECK(std::isinf(to_float(f16{0x7C00})));
    CHECK(std::isnan(to_float(f16{0x7C01})));
    for (uint32_t bits = 0; bits < 0x7C00; ++bits) {
        CHECK_EQ(to_float(f16{static_cast<uint16_t>(bits)}), static_cast<float>(value_of(bits, 10, 15)));
        CHECK_EQ(to_float(f16{static_cast<uint16_t>(bits | 0x8000)}), -static_cast<float>(value_of(bits, 10, 15)));
    }
}

HOST_CASE(e4m3_rounds_to_nearest_even_and_saturates) {
    check_rounding({3, 7, 0x7E, 0x7E, [](float v) -> uint32_t { return from_float<e4m3>(v).bits; }}, 0x80);
    CHECK_EQ(from_float<e4m3>(kNan).bits & 0x7F, 0x7F);
    CHECK(std::isnan(to_float(e4m3{0x7F})) && std::isnan(to_float(e4m3{0xFF})));
    for (uint32_t bits = 0; bits < 0x7F; ++bits) {
        CHECK_EQ(to_float(e4m3{static_cast<uint8_t>(bits)}), static_cast<float>(value_of(bits, 3, 7)));
        CHECK_EQ(to_float(e4m3{static_cast<uint8_t>(bits | 0x80)}), -static_cast<float>(value_of(bits, 3, 7)));
    }
}

HOST_CASE(microscaling_types) {
    const float expected[8] = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
    for (uint32_t nibble = 0; nibble < 8; ++nibble) {
        CHECK_EQ(e2m1_to_float(nibble), expected[nibble]);
        CHECK_EQ(e2m1_to_float(nibble | 8), -expected[nibble]);
    }
    CHECK(std::signbit(e2m1_to_float(8)));
    for (uint32_t bits = 0; bits < 255; ++bits)
        CHECK_EQ(to_float(e8m0{static_cast<uint8_t>(bits)}), std::ldexp(1.0f, static_cast<int>(bits) - 127));
    CHECK(std::isnan(to_float(e8m0{255})));
    CHECK_EQ(pack(bf16{0x1234}, bf16{0xABCD}), 0xABCD1234u);
}
