// What the tests of packed products share: routings, inputs, guarded outputs.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "device/types.cuh"
#include "device_array.hpp"
#include "kernels/call.hpp"

namespace moek::test {

// TSan starts a CUDA thread in half a millisecond: it gets the smaller cases.
#ifdef __SANITIZE_THREAD__
constexpr bool kUnderTsan = true;
#else
constexpr bool kUnderTsan = false;
#endif

// Choices of tokens in expert order, as the permute room plans them; some choices have no slot.
struct Routing {
    int32_t tokens = 0, top_k = 1, experts = 1, max_slots = 0;
    std::vector<int32_t> offsets, choice_of_slot;
    std::vector<float> weights;

    int32_t slots() const { return offsets.back(); }
    int32_t expert_of(int32_t slot) const {
        int32_t expert = 0;
        while (offsets[static_cast<size_t>(expert) + 1] <= slot) ++expert;
        return expert;
    }
};

// Every token chooses top_k of the experts from `first` on; one choice in eight is dropped when `drops`.
inline Routing make_routing(Random& random, int32_t tokens, int32_t top_k, int32_t experts, int32_t first, bool drops) {
    Routing routing;
    routing.tokens = tokens;
    routing.top_k = top_k;
    routing.experts = experts;
    routing.max_slots = tokens * top_k;
    std::vector<std::vector<int32_t>> chosen(static_cast<size_t>(experts));
    for (int32_t choice = 0; choice < tokens * top_k; ++choice) {
        routing.weights.push_back(0.25f + 0.5f * std::fabs(random.uniform()));
        if (drops && random.below(8) == 0) continue;
        const auto expert = first + static_cast<int32_t>(random.below(static_cast<uint32_t>(experts - first)));
        chosen[static_cast<size_t>(expert)].push_back(choice);
    }
    routing.offsets.push_back(0);
    for (const auto& choices : chosen) {
        routing.choice_of_slot.insert(routing.choice_of_slot.end(), choices.begin(), choices.end());
        routing.offsets.push_back(static_cast<int32_t>(routing.choice_of_slot.size()));
    }
    routing.choice_of_slot.resize(static_cast<size_t>(routing.max_slots), -1);
    return routing;
}

// Values of a type of rows, and their widened form.
inline std::vector<uint8_t> store(const std::vector<float>& values, Element type) {
    const size_t size = type == Element::kF32 ? 4 : 2;
    std::vector<uint8_t> bytes(values.size() * size);
    for (size_t i = 0; i < values.size(); ++i) {
        const uint16_t half = from_float<bf16>(values[i]).bits;
        std::memcpy(bytes.data() + i * size, type == Element::kF32 ? static_cast<const void*>(&values[i]) : &half,
                    size);
    }
    return bytes;
}

inline std::vector<float> widen(const std::vector<uint8_t>& bytes, Element type) {
    const size_t size = type == Element::kF32 ? 4 : 2;
    std::vector<float> values(bytes.size() / size);
    for (size_t i = 0; i < values.size(); ++i) {
        uint16_t half;
        std::memcpy(&half, bytes.data() + i * size, 2);
        std::memcpy(&values[i], bytes.data() + i * size, size);
        if (type != Element::kF32) values[i] = to_float(bf16{half});
    }
    return values;
}

inline float rounded(float value, Element type) {
    return type == Element::kF32 ? value : to_float(from_float<bf16>(value));
}

// Near-normal inputs with a few large ones, rounded to the type.
inline std::vector<float> make_rows(Random& random, size_t count, Element type) {
    std::vector<float> values(count);
    for (float& value : values) {
        value = random.uniform() + random.uniform() + random.uniform();
        if (random.below(64) == 0) value *= 6.0f;
        value = rounded(value, type);
    }
    return values;
}

// An output of `rows` rows of poison with a guard behind it; only rows named as written may change.
class GuardedOutput {
public:
    GuardedOutput(int64_t rows, int32_t width, Element type)
        : type_(type),
          row_bytes_(static_cast<size_t>(width) * (type == Element::kF32 ? 4 : 2)),
          bytes_(static_cast<size_t>(rows) * row_bytes_),
          memory_(bytes_ + kGuard) {
        CHECK_CUDA(cudaMemset(memory_.get(), 0xFF, bytes_ + kGuard));
    }
    void* get() const { return memory_.get(); }

    // Waits, checks the guard and everything from row `written` on, and returns the rows before it.
    std::vector<float> read(int64_t written) const {
        std::vector<uint8_t> bytes = memory_.read();
        const size_t used = static_cast<size_t>(written) * row_bytes_;
        for (size_t i = used; i < bytes.size(); ++i) {
            if (bytes[i] == 0xFF) continue;
            fail(__FILE__, __LINE__, i < bytes_ ? "a row beyond the slots was written" : "the guard was written");
            break;
        }
        bytes.resize(used);
        return widen(bytes, type_);
    }

private:
    static constexpr size_t kGuard = 256;
    Element type_;
    size_t row_bytes_;
    size_t bytes_;
    DeviceArray<uint8_t> memory_;
};

inline Launch test_launch(int capability = 90, int multiprocessors = kUnderTsan ? 1 : 8) {
    Launch launch;
    launch.capability = capability;
    launch.multiprocessors = multiprocessors;
    return launch;
}

// Emulates a device of another compute capability for the rest of the case.
inline void use_capability(int capability) {
    cuemu::config.capability_major = capability / 10;
    cuemu::config.capability_minor = capability % 10;
}

inline void check_same(const std::vector<float>& actual, const std::vector<float>& expected, const char* what) {
    CHECK_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < std::min(actual.size(), expected.size()); ++i) {
        if (float_bits(actual[i]) == float_bits(expected[i])) continue;
        if (std::isnan(actual[i]) && std::isnan(expected[i])) continue;
        std::ostringstream text;
        text.precision(9);
        text << what << "[" << i << "] is " << actual[i] << ", not " << expected[i];
        fail(__FILE__, __LINE__, text.str());
        return;
    }
}

// The activation of an expert's inner value, written from its definition; `gelu` by erf of the C library.
inline double reference_activation(const Activation& activation, double gate, double up) {
    const double x = activation.gated ? gate : up;
    double y = 0;
    switch (activation.kind) {
        case ActivationKind::kSilu:
            y = x / (1 + std::exp(-x));
            break;
        case ActivationKind::kRelu:
            y = std::max(x, 0.0);
            break;
        case ActivationKind::kGelu:
            y = x * 0.5 * std::erfc(-x / std::sqrt(2.0));
            break;
        case ActivationKind::kGeluTanh:
            y = 0.5 * x * (1 + std::tanh(0.7978845608028654 * (x + 0.044715 * x * x * x)));
            break;
        case ActivationKind::kClampedSwiGlu: {
            const double g = std::min(gate, static_cast<double>(activation.limit));
            const double u =
                std::max(-static_cast<double>(activation.limit), std::min(up, static_cast<double>(activation.limit)));
            return (u + 1) * g / (1 + std::exp(-activation.alpha * g));
        }
    }
    return activation.gated ? y * up : y;
}

}  // namespace moek::test
