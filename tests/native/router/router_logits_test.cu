// Router logits: near the exact products, and the same bits in every batch and tile.
#include "guarded.hpp"
#include "kernels/router/router.hpp"

using namespace moek;
using test::first_difference;
using test::Guarded;
using test::Random;
using test::random_values;

namespace {

template <class T>
constexpr Element element_of() {
    return std::is_same_v<T, float> ? Element::kF32 : std::is_same_v<T, f16> ? Element::kF16 : Element::kBF16;
}

// Multiprocessors decide about the tile.
template <class X, class W>
std::vector<float> logits_of(const std::vector<X>& x, const std::vector<W>& weight, const std::vector<float>& bias,
                             int32_t experts, int32_t width, int multiprocessors, size_t shift) {
    Guarded<X> device_x(x, shift);
    Guarded<W> device_weight(weight, shift);
    Guarded<float> device_bias(bias);
    RouterLogits call;
    call.tokens = static_cast<int32_t>(x.size() / width);
    call.experts = experts;
    call.width = width;
    Guarded<float> logits(static_cast<size_t>(call.tokens) * experts);
    call.logits = logits.get();
    call.x = device_x.get();
    call.io = element_of<X>();
    call.weight = device_weight.get();
    call.weight_type = element_of<W>();
    call.bias = bias.empty() ? nullptr : device_bias.get();
    Launch launch;
    launch.multiprocessors = multiprocessors;
    CHECK_CUDA(launch_router_logits(call, launch));
    return logits.read();
}

template <class X, class W>
void check_logits(int32_t tokens, int32_t experts, int32_t width, bool biased) {
    Random random(tokens + 31 * experts + 1001 * width);
    const std::vector<X> x = random_values<X>(random, static_cast<size_t>(tokens) * width);
    const std::vector<W> weight = random_values<W>(random, static_cast<size_t>(experts) * width);
    const std::vector<float> bias = random_values<float>(random, biased ? experts : 0);
    const std::vector<float> actual = logits_of(x, weight, bias, experts, width, 1, 0);
    for (int32_t t = 0; t < tokens; ++t) {
        for (int32_t e = 0; e < experts; ++e) {
            double sum = biased ? bias[e] : 0, magnitude = std::fabs(sum);
            for (int32_t i = 0; i < width; ++i) {
                const double term = static_cast<double>(to_float(x[t * width + i])) * to_float(weight[e * width + i]);
                sum += term;
                magnitude += std::fabs(term);
            }
            // A term passes through at most width / 128 + 4 additions of its lane, 5 of the butterfly, 3 of the warps
            // and the bias, each off by half an ulp of a partial sum that is at most the sum of magnitudes.
            const double tolerance = (width / 128 + 13) * 0x1p-24 * magnitude;
            CHECK_NEAR(actual[t * experts + e], sum, tolerance);
        }
    }
    // The other tiles, and rows that are not aligned: the same bits.
    for (int multiprocessors : {2, 6, 1000})
        CHECK_EQ(first_difference(logits_of(x, weight, bias, experts, width, multiprocessors, 0), actual), -1);
    CHECK_EQ(first_difference(logits_of(x, weight, bias, experts, width, 1, 1), actual), -1);
}

}  // namespace

CASE(logits_of_all_types) {
    if (test::kThreadSanitizer) return;
    check_logits<float, float>(1, 5, 130, true);
    check_logits<float, bf16>(9, 9, 24, false);
    check_logits<bf16, bf16>(3, 17, 70, true);
    check_logits<f16, f16>(8, 8, 33, false);
    check_logits<bf16, float>(2, 3, 5, true);
}

HOST_CASE(logits_of_many_shapes) {
    if (test::kThreadSanitizer) return;
    check_logits<float, float>(17, 20, 1030, true);
    check_logits<float, f16>(5, 64, 513, true);
    check_logits<f16, bf16>(9, 12, 512, false);
    check_logits<f16, float>(1, 1, 1, false);
    check_logits<bf16, f16>(33, 9, 260, true);
}

// Products of one bit each: a wrong lane, expert or token cannot hide behind rounding.
CASE(logits_are_exact_for_small_integers) {
    const int32_t tokens = test::kThreadSanitizer ? 8 : 11, experts = test::kThreadSanitizer ? 8 : 10, width = 150;
    std::vector<float> x(tokens * width), weight(experts * width);
    for (int32_t i = 0; i < tokens * width; ++i) x[i] = static_cast<float>((i * 7) % 5 - 2);
    for (int32_t i = 0; i < experts * width; ++i) weight[i] = static_cast<float>((i * 11) % 7 - 3);
    for (int multiprocessors : {1, 4, 1000}) {
        if (test::kThreadSanitizer && multiprocessors == 1000) continue;
        const std::vector<float> actual = logits_of(x, weight, {}, experts, width, multiprocessors, 0);
        for (int32_t t = 0; t < tokens; ++t) {
            for (int32_t e = 0; e < experts; ++e) {
                float sum = 0;
                for (int32_t i = 0; i < width; ++i) sum += x[t * width + i] * weight[e * width + i];
                CHECK_EQ(actual[t * experts + e], sum);
            }
        }
    }
}

CASE(logits_of_no_tokens) {
    RouterLogits call;
    CHECK_EQ(launch_router_logits(call, {}), cudaSuccess);
    call.tokens = 1;
    call.io = Element::kQmoe;
    CHECK_EQ(launch_router_logits(call, {}), cudaErrorInvalidValue);
}
