// Scores and routing weights of one token, by one warp over shared memory. Sums ascend, as in the scalar definition:
// every lane adds all terms itself, reading the same word as its neighbours, so that no exchange is needed.
#pragma once

#include "device/launch.cuh"
#include "device/math.cuh"
#include "kernels/router/router.hpp"

namespace moek {

constexpr int kMaxTopK = 64;
constexpr uint32_t kTaken = 0;

// Orders floats like integers, from 1 on: NaN counts least, -0 as +0.
MOEK_DEVICE uint32_t key_of(float value) {
    const uint32_t bits = __float_as_uint(value + 0.0f);
    const uint32_t key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return value == value ? key : 1;
}

MOEK_DEVICE float value_of(uint32_t key) {
    return __uint_as_float(key & 0x80000000u ? key & 0x7fffffffu : ~key);
}

// values[i] = f(values[i]), i < count.
template <typename Function>
MOEK_DEVICE void for_lanes(int32_t count, Function function) {
    for (int32_t i = threadIdx.x % 32; i < count; i += 32) function(i);
}

MOEK_DEVICE float sum_ascending(const float* values, int32_t count) {
    float sum = 0.0f;
#pragma unroll 8
    for (int32_t i = 0; i < count; ++i) sum += values[i];
    return sum;
}

// Visits the `wanted` greatest keys of keys [first, first + count), greatest first, equal ones by index, and marks them
// taken: visit(j, index), in every lane. A lane looks through its own keys again only after losing one.
template <typename Visit>
MOEK_DEVICE void take_best(uint32_t* keys, int32_t first, int32_t count, int32_t wanted, Visit visit) {
    const int lane = threadIdx.x % 32;
    uint32_t best = kTaken;
    uint32_t at = 0;
    bool stale = true;
    for (int32_t j = 0; j < wanted; ++j) {
        if (stale) {
            best = kTaken;
            for (int32_t i = first + lane; i < first + count; i += 32) {
                if (keys[i] > best) {
                    best = keys[i];
                    at = i;
                }
            }
        }
        const uint32_t top = __reduce_max_sync(~0u, best);
        const uint32_t index = __reduce_min_sync(~0u, best == top ? at : ~0u);
        stale = best == top && at == index;
        if (stale) keys[index] = kTaken;
        visit(j, static_cast<int32_t>(index));
    }
}

// Index of the first of the greatest values.
MOEK_DEVICE int32_t first_greatest(const float* values, int32_t count) {
    uint32_t best = kTaken;
    uint32_t at = 0;
    for_lanes(count, [&](int32_t i) {
        if (key_of(values[i]) > best) {
            best = key_of(values[i]);
            at = i;
        }
    });
    const uint32_t top = __reduce_max_sync(~0u, best);
    return static_cast<int32_t>(__reduce_min_sync(~0u, best == top ? at : ~0u));
}

// values = exp(values - max) without the division; returns the sum.
MOEK_DEVICE float exponentiate(float* values, int32_t count) {
    const float greatest = values[first_greatest(values, count)];
    __syncwarp();
    for_lanes(count, [&](int32_t i) { values[i] = exp_f32(values[i] - greatest); });
    __syncwarp();
    return sum_ascending(values, count);
}

// values /= divisor, after all lanes have read them.
MOEK_DEVICE void divide(float* values, int32_t count, float divisor) {
    __syncwarp();
    for_lanes(count, [&](int32_t i) { values[i] /= divisor; });
    __syncwarp();
}

// Turns logits into scores in place and returns the greatest score.
MOEK_DEVICE float score_logits(const RouterRules& rules, float* scores) {
    if (rules.score == Score::kSoftmax) {
        const float sum = exponentiate(scores, rules.experts);
        divide(scores, rules.experts, sum);
        return 1.0f / sum;
    }
    float best = scores[first_greatest(scores, rules.experts)];
    if (rules.score == Score::kSigmoid) {
        best = sigmoid(best);
        __syncwarp();
        for_lanes(rules.experts, [&](int32_t e) { scores[e] = sigmoid(scores[e]); });
        __syncwarp();
    }
    return best;
}

// Turns the chosen scores [k] into routing weights in place; ids below 0 have no expert's factor.
MOEK_DEVICE void weigh(const RouterRules& rules, const int32_t* ids, float* weights) {
    const int32_t k = rules.top_k;
    switch (rules.norm) {
        case Norm::kNone:
            break;
        case Norm::kSum:
            divide(weights, k, sum_ascending(weights, k));
            break;
        case Norm::kSumEpsilon:
            divide(weights, k, sum_ascending(weights, k) + 1e-20f);
            break;
        case Norm::kSumAtLeast: {
            constexpr float kLeast = 1.1920929e-7f;  // 2^-23
            const float sum = sum_ascending(weights, k);
            divide(weights, k, sum > kLeast ? sum : kLeast);
            break;
        }
        case Norm::kSoftmax:
            divide(weights, k, exponentiate(weights, k));
            break;
        case Norm::kSigmoid:
            for_lanes(k, [&](int32_t j) { weights[j] = sigmoid(weights[j]); });
            break;
    }
    for_lanes(k, [&](int32_t j) {
        weights[j] *= rules.scale;
        if (rules.expert_scale != nullptr && ids[j] >= 0) weights[j] *= rules.expert_scale[ids[j]];
    });
    __syncwarp();
}

}  // namespace moek
