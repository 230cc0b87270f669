// The choice of experts: one warp a token.
#pragma once

#include "kernels/router/scores.cuh"

namespace moek {

// Shared memory of a warp. Its size is row_words().
struct RowScratch {
    float* scores;         // [E]
    uint32_t* keys;        // [E], choice values as ordered keys
    uint32_t* group_keys;  // [G]
    int32_t* ids;          // [k]
    float* weights;        // [k]

    static MOEK_HOST_DEVICE int32_t words(const RouterRules& rules) {
        return 2 * rules.experts + rules.groups + 2 * rules.top_k;
    }

    __device__ RowScratch(const RouterRules& rules, uint32_t* memory) {
        scores = reinterpret_cast<float*>(memory);
        keys = memory + rules.experts;
        group_keys = keys + rules.experts;
        ids = reinterpret_cast<int32_t*>(group_keys + rules.groups);
        weights = reinterpret_cast<float*>(ids + rules.top_k);
    }
};

// What a group counts as: its best choice value, or the sum of its two best.
MOEK_DEVICE float group_value(const RouterRules& rules, const uint32_t* keys, int32_t size) {
    uint32_t first = keys[0];
    uint32_t second = kTaken;
    for (int32_t i = 1; i < size; ++i) {
        second = max(second, min(first, keys[i]));
        first = max(first, keys[i]);
    }
    const bool sums = rules.group_rule == GroupRule::kTopTwo && size > 1;
    return sums ? value_of(first) + value_of(second) : value_of(first);
}

// Gives the experts outside the kept groups the masked choice value.
MOEK_DEVICE void mask_groups(const RouterRules& rules, const RowScratch& row) {
    const int32_t size = rules.experts / rules.groups;
    for_lanes(rules.groups,
              [&](int32_t g) { row.group_keys[g] = key_of(group_value(rules, row.keys + g * size, size)); });
    __syncwarp();
    take_best(row.group_keys, 0, rules.groups, rules.kept_groups, [](int32_t, int32_t) {});
    __syncwarp();
    for_lanes(rules.experts, [&](int32_t e) {
        if (row.group_keys[e / size] != kTaken) row.keys[e] = key_of(rules.masked_choice);
    });
    __syncwarp();
}

// Writes the chosen ids and their bare scores to the row's scratch.
MOEK_DEVICE void choose_experts(const RouterRules& rules, const RowScratch& row) {
    for_lanes(rules.experts, [&](int32_t e) {
        row.keys[e] = key_of(rules.choice_bias == nullptr ? row.scores[e] : row.scores[e] + rules.choice_bias[e]);
    });
    __syncwarp();
    if (rules.group_rule == GroupRule::kMax || rules.group_rule == GroupRule::kTopTwo) mask_groups(rules, row);
    const bool same = rules.group_rule == GroupRule::kSame;
    const int32_t parts = same ? rules.groups : 1;
    const int32_t size = rules.experts / parts;
    const int32_t each = rules.top_k / parts;
    for (int32_t g = 0; g < parts; ++g) {
        take_best(row.keys, g * size, size, each, [&](int32_t j, int32_t e) {
            if (threadIdx.x % 32 == 0) {
                row.ids[g * each + j] = e;
                row.weights[g * each + j] = row.scores[e];
            }
        });
    }
    __syncwarp();
}

// The place of a token in the order of importance: best score first, then by index.
MOEK_DEVICE uint64_t importance(float best, int32_t token) {
    const uint32_t bits = __float_as_uint(best);
    const uint32_t key = bits & 0x80000000u ? ~bits : bits | 0x80000000u;
    return static_cast<uint64_t>(~key) << 32 | static_cast<uint32_t>(token);
}

// Scores, chosen experts and, unless they wait for the capacity, routing weights of every token.
//
// Grid    ceil(T / warps) blocks.
// Block   some warps, one a token; shared memory holds RowScratch::words for each.
// Needs   rules that the boundary has checked; `order` only when tokens have priorities.
// Moves   E + 2 k words a token (derived); E dependent additions for softmax.
__global__ void __launch_bounds__(128)
    route_kernel(RouteTopK call, bool weighs_survivors, uint64_t* __restrict__ order) {
    MOEK_DYNAMIC_SHARED(uint32_t, shared);
    const RouterRules& rules = call.rules;
    const int warp = threadIdx.x / 32;
    const int64_t token = static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + warp;
    if (token >= call.tokens) return;
    const RowScratch row(rules, shared + warp * RowScratch::words(rules));
    const bool skipped = rules.skip_padding && call.batch.mask != nullptr && call.batch.mask[token] == 0;
    const float* logits = call.logits + token * rules.experts;
    bool finite = true;
    for_lanes(skipped ? 0 : rules.experts, [&](int32_t e) {
        row.scores[e] = logits[e];
        finite = finite && row.scores[e] - row.scores[e] == 0.0f;
    });
    __syncwarp();
    finite = __all_sync(~0u, finite);
    float best = 0.0f;
    if (!skipped && finite) {
        best = score_logits(rules, row.scores);
        choose_experts(rules, row);
        if (!weighs_survivors) weigh(rules, row.ids, row.weights);
    } else {
        // NaN marks the row for weigh_survivors_kernel: the weights of such a token stay 0.
        const float mark = weighs_survivors && !finite ? __uint_as_float(0x7fffffffu) : 0.0f;
        for_lanes(rules.top_k, [&](int32_t j) {
            row.ids[j] = -1;
            row.weights[j] = mark;
        });
        if (!finite && threadIdx.x % 32 == 0) atomicExch(call.nonfinite, 1);
    }
    __syncwarp();
    for_lanes(rules.top_k, [&](int32_t j) {
        call.topk_ids[token * rules.top_k + j] = row.ids[j];
        call.topk_weights[token * rules.top_k + j] = row.weights[j];
    });
    if (order != nullptr && threadIdx.x % 32 == 0) order[token] = importance(best, static_cast<int32_t>(token));
}

// Routing weights over the choices that found a place; the others count as a score of 0.
//
// Grid    ceil(T / warps) blocks.
// Block   some warps, one a token; shared memory holds 2 k words for each.
// Needs   bare scores in topk_weights.
// Moves   3 k words a token (derived).
__global__ void __launch_bounds__(128) weigh_survivors_kernel(RouteTopK call) {
    MOEK_DYNAMIC_SHARED(uint32_t, shared);
    const int32_t k = call.rules.top_k;
    const int warp = threadIdx.x / 32;
    const int64_t token = static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + warp;
    if (token >= call.tokens) return;
    int32_t* ids = reinterpret_cast<int32_t*>(shared + warp * 2 * k);
    float* weights = reinterpret_cast<float*>(ids + k);
    bool marked = false;
    for_lanes(k, [&](int32_t j) {
        const float score = call.topk_weights[token * k + j];
        marked = score != score;
        ids[j] = call.topk_ids[token * k + j];
        weights[j] = ids[j] < 0 ? 0.0f : score;
    });
    __syncwarp();
    marked = __any_sync(~0u, marked);
    if (!marked) weigh(call.rules, ids, weights);
    for_lanes(k, [&](int32_t j) { call.topk_weights[token * k + j] = weights[j]; });
}

}  // namespace moek
