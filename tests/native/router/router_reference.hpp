// Routing in plain scalar code, as src/MoeKernels/Router defines it: ids are equal, weights bit-equal.
#pragma once
#include <algorithm>
#include <climits>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "kernels/router/router.hpp"

namespace moek::test {

inline float reference_exp(float x) {
    const auto power = [](int n) {
        const uint32_t bits = static_cast<uint32_t>(n + 127) << 23;
        float value;
        std::memcpy(&value, &bits, 4);
        return value;
    };
    x = std::min(89.0f, std::max(-104.0f, x));
    const float shift = 12582912.0f;
    const float n = std::fma(x, 1.44269504f, shift) - shift;
    const float r = std::fma(n, 2.12194440e-4f, std::fma(n, -0.693359375f, x));
    float p = 1.9875691500e-4f;
    for (float c : {1.3981999507e-3f, 8.3334519073e-3f, 4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f})
        p = std::fma(p, r, c);
    p = std::fma(p, r * r, r) + 1.0f;
    const int whole = static_cast<int>(n), half = whole >> 1;
    return p * power(half) * power(whole - half);
}

inline float reference_sigmoid(float x) {
    return 1.0f / (1.0f + reference_exp(-x));
}

inline float reference_max(const std::vector<float>& x) {
    float max = x[0];
    for (float value : x) max = value > max ? value : max;
    return max;
}

inline void reference_softmax(std::vector<float>& x) {
    const float max = reference_max(x);
    float sum = 0.0f;
    for (float& value : x) sum += value = reference_exp(value - max);
    for (float& value : x) value /= sum;
}

/// The k greatest of values [first, first + count), greatest first, equal ones by index, onto the end of `ids`.
inline void reference_top_k(const std::vector<float>& values, int first, int count, int k, std::vector<int32_t>& ids) {
    std::vector<int32_t> order(count);
    for (int i = 0; i < count; ++i) order[i] = first + i;
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return values[a] > values[b]; });
    ids.insert(ids.end(), order.begin(), order.begin() + k);
}

/// Bias and factors on the host: the pointers in the rules are the device's.
struct HostVectors {
    std::vector<float> choice_bias, expert_scale;
};

inline std::vector<int32_t> reference_choice(const RouterRules& rules, std::vector<float> values) {
    const int size = rules.experts / rules.groups;
    std::vector<int32_t> ids;
    if (rules.group_rule == GroupRule::kSame) {
        for (int g = 0; g < rules.groups; ++g) reference_top_k(values, g * size, size, rules.top_k / rules.groups, ids);
        return ids;
    }
    if (rules.group_rule != GroupRule::kNone) {
        std::vector<float> group_values;
        for (int g = 0; g < rules.groups; ++g) {
            std::vector<float> sorted(values.begin() + g * size, values.begin() + (g + 1) * size);
            std::stable_sort(sorted.begin(), sorted.end(), [](float a, float b) { return a > b; });
            const bool sums = rules.group_rule == GroupRule::kTopTwo && size > 1;
            group_values.push_back(sums ? sorted[0] + sorted[1] : sorted[0]);
        }
        std::vector<int32_t> kept;
        reference_top_k(group_values, 0, rules.groups, rules.kept_groups, kept);
        for (int e = 0; e < rules.experts; ++e)
            if (std::find(kept.begin(), kept.end(), e / size) == kept.end()) values[e] = rules.masked_choice;
    }
    reference_top_k(values, 0, rules.experts, rules.top_k, ids);
    return ids;
}

inline void reference_weigh(const RouterRules& rules, const HostVectors& vectors, const int32_t* ids, float* weights) {
    std::vector<float> w(weights, weights + rules.top_k);
    float sum = 0.0f;
    for (float value : w) sum += value;
    if (rules.norm == Norm::kSumEpsilon) sum += 1e-20f;
    if (rules.norm == Norm::kSumAtLeast) sum = sum > 1.1920929e-7f ? sum : 1.1920929e-7f;
    if (rules.norm == Norm::kSoftmax) reference_softmax(w);
    for (int j = 0; j < rules.top_k; ++j) {
        if (rules.norm == Norm::kSum || rules.norm == Norm::kSumEpsilon || rules.norm == Norm::kSumAtLeast) w[j] /= sum;
        if (rules.norm == Norm::kSigmoid) w[j] = reference_sigmoid(w[j]);
        w[j] *= rules.scale;
        if (!vectors.expert_scale.empty() && ids[j] >= 0) w[j] *= vectors.expert_scale[ids[j]];
        weights[j] = w[j];
    }
}

inline bool reference_can_drop(const RouterRules& rules) {
    return rules.capacity == Capacity::kSequence || rules.capacity == Capacity::kFraction ||
           (rules.capacity == Capacity::kFactor && rules.capacity_factor != 0);
}

inline int64_t reference_capacity(const RouterRules& rules, int64_t tokens) {
    const int64_t share = (tokens + rules.experts - 1) / rules.experts;
    if (rules.capacity == Capacity::kSequence) return rules.capacity_tokens;
    if (rules.capacity == Capacity::kFraction && rules.capacity_factor > 0)
        return static_cast<int64_t>(std::ceil(rules.capacity_factor * static_cast<double>(tokens)));
    if (rules.capacity == Capacity::kFraction) return rules.capacity_tokens > 0 ? rules.capacity_tokens : 2 * share;
    const double each = std::floor(std::fabs(rules.capacity_factor) * static_cast<double>(share));
    const auto places = static_cast<int64_t>(std::min<double>(rules.top_k * each, INT_MAX));
    const int64_t multiple = rules.capacity_alignment;
    return (places + multiple - 1) / multiple * multiple;
}

/// All of a call's inputs, on the host.
struct RouteInput {
    RouterRules rules;
    HostVectors vectors;
    int32_t tokens = 0;
    std::vector<float> logits;    // [T, E]
    std::vector<int32_t> starts;  // empty for one sequence
    std::vector<int32_t> mask;    // empty when nothing is padded
};

struct Routed {
    std::vector<int32_t> ids;
    std::vector<float> weights;
    bool nonfinite = false;
};

/// Drops what finds no place; `best` orders tokens that have priorities.
inline void reference_limit(const RouteInput& in, const std::vector<float>& best, Routed& out) {
    const RouterRules& rules = in.rules;
    std::vector<int32_t> starts = {0};
    if (rules.capacity == Capacity::kSequence && !in.starts.empty()) starts = in.starts;
    starts.push_back(in.tokens);
    for (size_t s = 0; s + 1 < starts.size(); ++s) {
        std::vector<int32_t> order;
        for (int32_t t = starts[s]; t < starts[s + 1]; ++t) order.push_back(t);
        if (rules.prioritized)
            std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return best[a] > best[b]; });
        std::vector<int64_t> taken(rules.experts, 0);
        for (int j = 0; j < rules.top_k; ++j) {
            for (int32_t t : order) {
                int32_t& id = out.ids[static_cast<size_t>(t) * rules.top_k + j];
                if (id >= 0 && taken[id]++ >= reference_capacity(rules, starts[s + 1] - starts[s])) id = -1;
            }
        }
    }
}

inline Routed reference_route(const RouteInput& in) {
    const RouterRules& rules = in.rules;
    const size_t k = rules.top_k;
    const bool survivors = reference_can_drop(rules) && rules.normalize_survivors;
    Routed out;
    std::vector<float> best(in.tokens, 0.0f);
    std::vector<bool> bad(in.tokens, false);
    for (int32_t t = 0; t < in.tokens; ++t) {
        std::vector<float> scores(in.logits.begin() + static_cast<int64_t>(t) * rules.experts,
                                  in.logits.begin() + static_cast<int64_t>(t + 1) * rules.experts);
        const bool skipped = rules.skip_padding && !in.mask.empty() && in.mask[t] == 0;
        bad[t] = !skipped && !std::all_of(scores.begin(), scores.end(), [](float x) { return std::isfinite(x); });
        out.nonfinite = out.nonfinite || bad[t];
        if (skipped || bad[t]) {
            out.ids.insert(out.ids.end(), k, -1);
            out.weights.insert(out.weights.end(), k, 0.0f);
            continue;
        }
        if (rules.score == Score::kSoftmax) reference_softmax(scores);
        if (rules.score == Score::kSigmoid)
            for (float& score : scores) score = reference_sigmoid(score);
        best[t] = reference_max(scores);
        std::vector<float> choice = scores;
        for (size_t e = 0; e < in.vectors.choice_bias.size(); ++e) choice[e] += in.vectors.choice_bias[e];
        const std::vector<int32_t> ids = reference_choice(rules, choice);
        out.ids.insert(out.ids.end(), ids.begin(), ids.end());
        for (int32_t id : ids) out.weights.push_back(scores[id]);
        if (!survivors) reference_weigh(rules, in.vectors, ids.data(), out.weights.data() + t * k);
    }
    if (!reference_can_drop(rules)) return out;
    reference_limit(in, best, out);
    for (int32_t t = 0; survivors && t < in.tokens; ++t) {
        if (bad[t]) continue;
        for (size_t j = t * k; j < (t + 1) * k; ++j)
            if (out.ids[j] < 0) out.weights[j] = 0.0f;
        reference_weigh(rules, in.vectors, out.ids.data() + t * k, out.weights.data() + t * k);
    }
    return out;
}

}  // namespace moek::test
