// A small mixture-of-experts layer for tests of the C ABI: weights in any stored type, and the layer in double
// precision.
#pragma once
#include <cmath>
#include <cstring>
#include <functional>
#include <vector>

#include "device_array.hpp"
#include "expect.hpp"
#include "guarded.hpp"

namespace moek::test {

inline uint16_t bf16_bits(float value) {
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof bits);
    return static_cast<uint16_t>((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

inline float bf16_value(uint16_t bits) {
    const uint32_t wide = static_cast<uint32_t>(bits) << 16;
    float value;
    std::memcpy(&value, &wide, sizeof value);
    return value;
}

struct Sizes {
    int experts = 5;
    int top_k = 2;
    int hidden = 24;
    int intermediate = 16;
};

// Matrices as the experts see them: gate and up [I, H], down [H, I].
struct DoubleExperts {
    std::function<double(int e, int r, int c)> gate, up, down;
};

inline double silu(double x) {
    return x / (1 + std::exp(-x));
}

// y = sum over the chosen experts of weight * down(silu(gate x) * up x), [tokens, hidden].
inline std::vector<double> reference_layer(const Sizes& sizes, const DoubleExperts& experts,
                                           const std::vector<float>& hidden, const std::vector<int32_t>& ids,
                                           const std::vector<float>& weights) {
    const int tokens = static_cast<int>(hidden.size()) / sizes.hidden;
    std::vector<double> output(hidden.size(), 0.0);
    for (int t = 0; t < tokens; t++) {
        const float* x = hidden.data() + t * sizes.hidden;
        for (int j = 0; j < sizes.top_k; j++) {
            const int e = ids[t * sizes.top_k + j];
            if (e < 0) continue;
            std::vector<double> a(sizes.intermediate);
            for (int i = 0; i < sizes.intermediate; i++) {
                double gate = 0, up = 0;
                for (int k = 0; k < sizes.hidden; k++) {
                    gate += experts.gate(e, i, k) * x[k];
                    up += experts.up(e, i, k) * x[k];
                }
                a[i] = silu(gate) * up;
            }
            for (int r = 0; r < sizes.hidden; r++) {
                double sum = 0;
                for (int i = 0; i < sizes.intermediate; i++) sum += experts.down(e, r, i) * a[i];
                output[t * sizes.hidden + r] += static_cast<double>(weights[t * sizes.top_k + j]) * sum;
            }
        }
    }
    return output;
}

// Softmax over all experts, the best k, divided by their sum: ids and weights of each token.
inline void reference_route(const Sizes& sizes, const std::vector<float>& router, const std::vector<float>& hidden,
                            std::vector<int32_t>& ids, std::vector<float>& weights) {
    const int tokens = static_cast<int>(hidden.size()) / sizes.hidden;
    ids.assign(tokens * sizes.top_k, -1);
    weights.assign(ids.size(), 0.0f);
    for (int t = 0; t < tokens; t++) {
        std::vector<double> logits(sizes.experts, 0.0);
        for (int e = 0; e < sizes.experts; e++) {
            for (int k = 0; k < sizes.hidden; k++) {
                logits[e] += static_cast<double>(router[e * sizes.hidden + k]) * hidden[t * sizes.hidden + k];
            }
        }
        double sum = 0;
        for (int j = 0; j < sizes.top_k; j++) {
            int best = -1;
            for (int e = 0; e < sizes.experts; e++) {
                bool taken = false;
                for (int i = 0; i < j; i++) taken |= ids[t * sizes.top_k + i] == e;
                if (!taken && (best < 0 || logits[e] > logits[best])) best = e;
            }
            ids[t * sizes.top_k + j] = best;
            sum += std::exp(logits[best]);
        }
        for (int j = 0; j < sizes.top_k; j++) {
            const double weight = std::exp(logits[ids[t * sizes.top_k + j]]) / sum;
            weights[t * sizes.top_k + j] = static_cast<float>(weight);
        }
    }
}

// Largest error against the root mean square of the reference.
inline double relative_error(const std::vector<float>& actual, const std::vector<double>& expected) {
    double square = 0, largest = 0;
    for (size_t i = 0; i < expected.size(); i++) {
        square += expected[i] * expected[i];
        const double error = std::fabs(actual[i] - expected[i]);
        largest = error > largest || std::isnan(error) ? error : largest;
    }
    return largest / std::sqrt(square / static_cast<double>(expected.size()));
}

inline std::vector<float> random_floats(uint64_t seed, size_t count, float scale = 1.0f) {
    Random random(seed);
    std::vector<float> values(count);
    for (float& value : values) value = random.uniform() * scale;
    return values;
}

// Owns the objects of one layer, freed in the order that a careless caller would.
struct Layer {
    ~Layer() {
        moek_context_destroy(context);
        moek_layer_destroy(layer);
        moek_experts_destroy(routed);
        moek_experts_destroy(shared);
    }

    moek_context* context = nullptr;
    moek_experts* routed = nullptr;
    moek_experts* shared = nullptr;
    moek_layer* layer = nullptr;
};

inline moek_router_desc router_desc(const Sizes& sizes, const std::vector<float>& router) {
    moek_router_desc desc;
    moek_router_desc_init(&desc);
    desc.experts = sizes.experts;
    desc.top_k = sizes.top_k;
    desc.norm = MOEK_NORM_SUM;
    desc.weight = router.data();
    return desc;
}

inline moek_experts_desc experts_desc(const Sizes& sizes) {
    moek_experts_desc desc;
    moek_experts_desc_init(&desc);
    desc.experts = sizes.experts;
    desc.hidden = sizes.hidden;
    desc.intermediate = sizes.intermediate;
    return desc;
}

inline void build(Layer& made, const Sizes& sizes, const moek_experts_desc& experts, const std::vector<float>& router) {
    // TSan bears some thousand threads a launch: a small device has fewer persistent blocks.
    if (kThreadSanitizer) cuemu::config.multiprocessors = 1;
    if (made.context == nullptr) EXPECT_OK(moek_context_create(&made.context, nullptr));
    EXPECT_OK(moek_experts_create(&made.routed, made.context, &experts));
    const moek_router_desc routing = router_desc(sizes, router);
    moek_layer_desc desc;
    moek_layer_desc_init(&desc);
    desc.router = &routing;
    desc.routed = made.routed;
    desc.shared = made.shared;
    EXPECT_OK(moek_layer_create(&made.layer, made.context, &desc));
}

// Runs a layer on fp32 tokens; ids and weights receive what its router chose.
inline std::vector<float> run(const Layer& made, const Sizes& sizes, const std::vector<float>& hidden,
                              std::vector<int32_t>* ids = nullptr, std::vector<float>* weights = nullptr,
                              uint32_t flags = 0) {
    const int64_t tokens = static_cast<int64_t>(hidden.size()) / sizes.hidden;
    uint64_t bytes = 0;
    EXPECT_OK(moek_layer_workspace(&bytes, nullptr, made.layer, tokens));
    DeviceArray<float> x(hidden);
    DeviceArray<float> y(hidden);
    DeviceArray<unsigned char> workspace(bytes);
    DeviceArray<int32_t> chosen(static_cast<size_t>(tokens) * sizes.top_k);
    DeviceArray<float> chosen_weights(chosen.size());
    moek_forward_args args;
    moek_forward_args_init(&args);
    args.flags = flags;
    args.tokens = tokens;
    args.hidden = x.get();
    args.output = y.get();
    args.workspace = workspace.get();
    args.workspace_bytes = bytes;
    args.expert_ids_out = chosen.get();
    args.expert_weights_out = chosen_weights.get();
    EXPECT_OK(moek_layer_forward(made.layer, &args));
    EXPECT_OK(moek_stream_synchronize(made.context, nullptr));
    if (ids != nullptr) *ids = chosen.read();
    if (weights != nullptr) *weights = chosen_weights.read();
    return y.read();
}

}  // namespace moek::test
