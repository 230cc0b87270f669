// Norms, rotary positions, gates and elementwise operations against plain loops.
#include "device/math.cuh"
#include "guarded.hpp"
#include "kernels/ops/ops.hpp"

using namespace moek;
using test::DeviceArray;
using test::first_difference;
using test::Guarded;
using test::Random;
using test::random_values;

namespace {

// Rows [rows, width] of `values`, `stride` apart, the gaps NaN.
std::vector<float> spread(const std::vector<float>& values, int32_t width, int64_t stride) {
    const size_t rows = values.size() / width;
    std::vector<float> all(rows * stride, std::nanf(""));
    for (size_t r = 0; r < rows; ++r) std::copy_n(values.begin() + r * width, width, all.begin() + r * stride);
    return all;
}

// Halves an ulp for each operation on a value of this size.
double rounding(double operations, double magnitude) {
    return operations * 0x1p-24 * magnitude;
}

void check_rms(int32_t rows, int32_t width, int64_t x_stride, int64_t y_stride, bool weighted, size_t shift) {
    Random random(width + rows);
    const std::vector<float> x = random_values<float>(random, static_cast<size_t>(rows) * width, 5.0f);
    const std::vector<float> weight = random_values<float>(random, width);
    Guarded<float> device_x(spread(x, width, x_stride), shift), device_weight(weight);
    Guarded<float> y(static_cast<size_t>(rows) * y_stride);
    RmsNorm call;
    call.y = y.get();
    call.x = device_x.get();
    call.weight = weighted ? device_weight.get() : nullptr;
    call.offset = 1.0f;
    call.epsilon = 0.5f;
    call.rows = rows;
    call.width = width;
    call.x_stride = x_stride;
    call.y_stride = y_stride;
    CHECK_CUDA(launch_rms_norm(call, {}));
    const std::vector<float> actual = y.read();
    for (int32_t r = 0; r < rows; ++r) {
        double squares = 0;
        for (int32_t i = 0; i < width; ++i) squares += static_cast<double>(x[r * width + i]) * x[r * width + i];
        for (int32_t i = 0; i < width; ++i) {
            const double w = weighted ? weight[i] + 1.0 : 1.0;
            const double expected = x[r * width + i] / std::sqrt(squares / width + 0.5) * w;
            // The sum passes through at most width / 32 + 16 additions, its root halves their error; then 7 operations.
            const double tolerance = rounding((width / 32 + 16) / 2 + 7, std::fabs(expected)) + 1e-30;
            CHECK_NEAR(actual[r * y_stride + i], expected, tolerance);
        }
        CHECK(Guarded<float>::untouched(actual.data() + r * y_stride + width, y_stride - width));
    }
}

void check_layer(int32_t rows, int32_t width, bool weighted, bool biased, size_t shift) {
    Random random(width + rows);
    std::vector<float> x = random_values<float>(random, static_cast<size_t>(rows) * width, 5.0f);
    for (float& value : x) value += 2.0f;
    const std::vector<float> weight = random_values<float>(random, width), bias = random_values<float>(random, width);
    Guarded<float> device_weight(weight), device_bias(bias), y(x, shift);
    LayerNorm call;
    call.y = y.get();
    call.x = y.get();
    call.weight = weighted ? device_weight.get() : nullptr;
    call.bias = biased ? device_bias.get() : nullptr;
    call.epsilon = 0.5f;
    call.rows = rows;
    call.width = width;
    CHECK_CUDA(launch_layer_norm(call, {}));
    const std::vector<float> actual = y.read();
    for (int32_t r = 0; r < rows; ++r) {
        double sum = 0, squares = 0, magnitude = 0;
        for (int32_t i = 0; i < width; ++i) sum += x[r * width + i];
        for (int32_t i = 0; i < width; ++i) {
            squares += std::pow(x[r * width + i] - sum / width, 2);
            magnitude += std::fabs(x[r * width + i]) / width;
        }
        const double scale = 1 / std::sqrt(squares / width + 0.5);
        for (int32_t i = 0; i < width; ++i) {
            const double w = weighted ? weight[i] : 1.0, b = biased ? bias[i] : 0.0;
            const double centred = x[r * width + i] - sum / width;
            // The mean is off by its additions times the mean magnitude; the rest as for the RMS norm, plus the bias.
            const double additions = width / 32 + 20;
            const double tolerance = rounding(additions, magnitude * scale * std::fabs(w)) +
                                     rounding(additions / 2 + 8, std::fabs(centred * scale * w)) + rounding(2, 1);
            CHECK_NEAR(actual[r * width + i], centred * scale * w + b, tolerance);
        }
    }
}

void check_rope(int32_t rows, int32_t heads, int32_t dimensions, bool interleaved) {
    Random random(dimensions);
    const int64_t head_stride = dimensions + 3, row_stride = head_stride * heads + 5;
    const std::vector<float> x = random_values<float>(random, rows * row_stride);
    const std::vector<float> angles = random_values<float>(random, static_cast<size_t>(rows) * dimensions);
    std::vector<float> expected = x;
    const int32_t pairs = dimensions / 2;
    for (int32_t r = 0; r < rows; ++r) {
        for (int32_t h = 0; h < heads; ++h) {
            for (int32_t i = 0; i < pairs; ++i) {
                const size_t head = r * row_stride + h * head_stride;
                const size_t first = head + (interleaved ? 2 * i : i),
                             second = head + (interleaved ? 2 * i + 1 : i + pairs);
                const float c = angles[r * dimensions + i], s = angles[r * dimensions + pairs + i];
                expected[first] = x[first] * c - x[second] * s;
                expected[second] = x[second] * c + x[first] * s;
            }
        }
    }
    Guarded<float> device_x(x);
    DeviceArray<float> device_angles(angles);
    Rope call;
    call.x = device_x.get();
    call.angles = device_angles.get();
    call.rows = rows;
    call.heads = heads;
    call.dimensions = dimensions;
    call.interleaved = interleaved;
    call.row_stride = row_stride;
    call.head_stride = head_stride;
    CHECK_CUDA(launch_rope(call, {}));
    CHECK_EQ(first_difference(device_x.read(), expected), -1);
}

template <class T>
constexpr Element element_of() {
    return std::is_same_v<T, float> ? Element::kF32 : std::is_same_v<T, f16> ? Element::kF16 : Element::kBF16;
}

// Where heads lie: rows inside heads or heads inside rows, with gaps.
struct HeadStrides {
    int64_t row, head;
    size_t at(int32_t r, int32_t h) const { return static_cast<size_t>(r * row + h * head); }
};

template <class Y, class X>
void check_copy_heads(int32_t rows, int32_t heads, int32_t width, HeadStrides x_strides, HeadStrides y_strides,
                      size_t shift) {
    Random random(width + heads);
    const std::vector<X> x = random_values<X>(random, x_strides.at(rows - 1, heads - 1) + width, 300.0f);
    std::vector<Y> expected(y_strides.at(rows - 1, heads - 1) + width);
    std::memset(static_cast<void*>(expected.data()), 0xFF, expected.size() * sizeof(Y));
    for (int32_t r = 0; r < rows; ++r)
        for (int32_t h = 0; h < heads; ++h)
            for (int32_t i = 0; i < width; ++i)
                expected[y_strides.at(r, h) + i] = from_float<Y>(to_float(x[x_strides.at(r, h) + i]));
    Guarded<X> device_x(x, shift);
    Guarded<Y> y(expected.size(), shift);
    CopyHeads call;
    call.y = y.get();
    call.x = device_x.get();
    call.y_type = element_of<Y>();
    call.x_type = element_of<X>();
    call.rows = rows;
    call.heads = heads;
    call.width = width;
    call.x_stride = x_strides.row;
    call.x_head_stride = x_strides.head;
    call.y_stride = y_strides.row;
    call.y_head_stride = y_strides.head;
    CHECK_CUDA(launch_copy_heads(call, {}));
    CHECK_EQ(first_difference(y.read(), expected), -1);
}

template <class X, class W>
void check_shared_gate(int32_t rows, int32_t width, int32_t inputs, bool biased, size_t shift) {
    Random random(inputs + rows);
    const std::vector<X> x = random_values<X>(random, static_cast<size_t>(rows) * inputs);
    const std::vector<W> weight = random_values<W>(random, inputs);
    const std::vector<float> y = random_values<float>(random, static_cast<size_t>(rows) * width);
    Guarded<X> device_x(x, shift);
    Guarded<W> device_weight(weight, shift);
    Guarded<float> device_y(y);
    DeviceArray<float> bias(std::vector<float>{0.25f});
    SharedGate call;
    call.y = device_y.get();
    call.x = device_x.get();
    call.io = element_of<X>();
    call.weight = device_weight.get();
    call.weight_type = element_of<W>();
    call.bias = biased ? bias.get() : nullptr;
    call.rows = rows;
    call.width = width;
    call.inputs = inputs;
    CHECK_CUDA(launch_shared_gate(call, {}));
    const std::vector<float> actual = device_y.read();
    for (int32_t r = 0; r < rows; ++r) {
        double dot = biased ? 0.25 : 0, magnitude = std::fabs(dot);
        for (int32_t i = 0; i < inputs; ++i) {
            const double term = static_cast<double>(to_float(x[r * inputs + i])) * to_float(weight[i]);
            dot += term;
            magnitude += std::fabs(term);
        }
        // The sigmoid's slope is at most a quarter of its value's distance; its own error is 4 ulp.
        const double factor = 1 / (1 + std::exp(-dot));
        const double error = rounding(inputs / 32 + 16, magnitude) * factor + rounding(8, factor);
        for (int32_t i = 0; i < width; ++i)
            CHECK_NEAR(actual[r * width + i], y[r * width + i] * factor, error * std::fabs(y[r * width + i]) + 1e-30);
    }
}

template <class To, class From>
void check_convert(size_t count) {
    Random random(count);
    std::vector<From> x = random_values<From>(random, count, 300.0f);
    x[0] = from_float<From>(std::numeric_limits<float>::infinity());
    std::vector<To> expected(count);
    for (size_t i = 0; i < count; ++i) expected[i] = from_float<To>(to_float(x[i]));
    DeviceArray<From> device_x(x);
    Guarded<To> y(count);
    CHECK_CUDA(launch_convert(y.get(), element_of<To>(), device_x.get(), element_of<From>(), count, {}));
    CHECK_EQ(first_difference(y.read(), expected), -1);
}

}  // namespace

CASE(rms_norms) {
    check_rms(2, 1030, 1032, 1030, true, 0);
    if (test::kThreadSanitizer) return;
    check_rms(3, 64, 64, 64, true, 0);
    check_rms(2, 513, 520, 514, false, 0);
    check_rms(1, 1, 1, 1, true, 0);
    check_rms(4, 8, 8, 9, true, 1);
}

CASE(layer_norms) {
    check_layer(2, 1030, true, true, 0);
    if (test::kThreadSanitizer) return;
    check_layer(3, 64, true, false, 0);
    check_layer(2, 515, false, true, 1);
    check_layer(2, 513, true, false, 0);
    check_layer(1, 1, true, true, 0);
}

// Aligned or not, alone or not: the same bits, as the order of sums depends on the width alone.
HOST_CASE(norms_repeat_their_bits) {
    Random random(5);
    const int32_t width = 700;
    const std::vector<float> x = random_values<float>(random, width);
    std::vector<std::vector<float>> results;
    for (size_t shift : {0, 1, 4}) {
        Guarded<float> device_x(x, shift), y(width, shift);
        RmsNorm call;
        call.y = y.get();
        call.x = device_x.get();
        call.rows = 1;
        call.width = width;
        call.x_stride = call.y_stride = width;
        CHECK_CUDA(launch_rms_norm(call, {}));
        results.push_back(y.read());
        CHECK_EQ(first_difference(results.back(), results.front()), -1);
    }
}

CASE(rotary_positions) {
    check_rope(3, 2, 8, false);
    if (test::kThreadSanitizer) return;
    check_rope(2, 3, 64, true);
    check_rope(2, 5, 130, false);
    check_rope(1, 1, 2, true);
}

CASE(gates) {
    const int32_t rows = 3, width = 37, stride = 40;
    Random random(9);
    const std::vector<float> y = random_values<float>(random, rows * width),
                             gate = random_values<float>(random, rows * width, 9);
    std::vector<float> expected = y;
    for (size_t i = 0; i < expected.size(); ++i) expected[i] *= sigmoid(gate[i]);
    Guarded<float> device_y(y);
    DeviceArray<float> device_gate(spread(gate, width, stride));
    CHECK_CUDA(launch_gate(device_y.get(), device_gate.get(), rows, width, stride, {}));
    CHECK_EQ(first_difference(device_y.read(), expected), -1);
}

CASE(scaled_rows) {
    const int32_t rows = 3, width = 301, stride = 304;
    Random random(11);
    const std::vector<float> x = random_values<float>(random, rows * width), factors = {0.5f, -3.25f, 1.1f};
    std::vector<float> expected = x;
    for (size_t i = 0; i < expected.size(); ++i) expected[i] *= factors[i / width];
    Guarded<float> device_x(spread(x, width, stride));
    DeviceArray<float> device_factors(factors);
    CHECK_CUDA(launch_scale_rows(device_x.get(), device_factors.get(), rows, width, stride, {}));
    CHECK_EQ(first_difference(device_x.read(), spread(expected, width, stride)), -1);
}

CASE(copied_heads) {
    check_copy_heads<bf16, float>(3, 5, 132, {5 * 140, 140}, {132, 3 * 132}, 0);
    if (test::kThreadSanitizer) return;
    check_copy_heads<float, bf16>(4, 3, 64, {64, 4 * 64}, {3 * 96, 96}, 0);
    check_copy_heads<float, float>(2, 3, 7, {50, 9}, {8, 21}, 0);
    check_copy_heads<bf16, bf16>(2, 9, 130, {9 * 131, 131}, {130, 2 * 130}, 0);
    check_copy_heads<float, float>(3, 2, 16, {32, 16}, {16, 48}, 1);
    check_copy_heads<bf16, float>(1, 1, 1, {0, 0}, {0, 0}, 0);
}

CASE(shared_gates) {
    check_shared_gate<bf16, float>(2, 20, 600, true, 0);
    if (test::kThreadSanitizer) return;
    check_shared_gate<float, float>(3, 5, 64, false, 0);
    check_shared_gate<f16, bf16>(2, 300, 33, true, 0);
    check_shared_gate<bf16, bf16>(1, 3, 16, false, 1);
}

CASE(sums_and_clamps) {
    const int64_t count = test::kThreadSanitizer ? 300 : 2500;
    Random random(3);
    const std::vector<float> x = random_values<float>(random, count, 4), y = random_values<float>(random, count);
    std::vector<float> sum = x, clamped = x;
    clamped[7] = std::nanf("");
    Guarded<float> device_sum(sum), device_clamped(clamped);
    DeviceArray<float> device_y(y);
    for (int64_t i = 0; i < count; ++i) {
        sum[i] = fmaf(0.3f, y[i], x[i]);
        clamped[i] = i == 7 ? clamped[i] : std::min(1.5f, std::max(-1.5f, x[i]));
    }
    CHECK_CUDA(launch_add(device_sum.get(), device_y.get(), 0.3f, count, {}));
    CHECK_CUDA(launch_clamp(device_clamped.get(), 1.5f, count, {}));
    CHECK_EQ(first_difference(device_sum.read(), sum), -1);
    CHECK_EQ(first_difference(device_clamped.read(), clamped), -1);
}

CASE(conversions) {
    check_convert<bf16, float>(300);
    if (test::kThreadSanitizer) return;
    check_convert<float, bf16>(1025);
    check_convert<f16, float>(65);
    check_convert<float, f16>(1);
}

HOST_CASE(nothing_to_do) {
    CHECK_CUDA(launch_rms_norm({}, {}));
    CHECK_CUDA(launch_layer_norm({}, {}));
    CHECK_CUDA(launch_rope({}, {}));
    CHECK_CUDA(launch_add(nullptr, nullptr, 1.0f, 0, {}));
    CHECK_CUDA(launch_gate(nullptr, nullptr, 0, 1, 1, {}));
    CHECK_CUDA(launch_scale_rows(nullptr, nullptr, 0, 1, 1, {}));
    CHECK_CUDA(launch_copy_heads({}, {}));
    CHECK_EQ(launch_convert(nullptr, Element::kMxfp4, nullptr, Element::kF32, 1, {}), cudaErrorInvalidValue);
    CHECK_EQ(launch_convert(nullptr, Element::kF32, nullptr, Element::kQmoe, 1, {}), cudaErrorInvalidValue);
}
