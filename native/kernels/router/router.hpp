// Router: logits, choice of experts, routing weights, capacity.
#pragma once

#include "kernels/call.hpp"

namespace moek {

enum class Score : int32_t { kSoftmax = 0, kSigmoid = 1, kNone = 2 };
enum class GroupRule : int32_t { kNone = 0, kMax = 1, kTopTwo = 2, kSame = 3 };
enum class Norm : int32_t { kNone = 0, kSum = 1, kSumEpsilon = 2, kSumAtLeast = 3, kSoftmax = 4, kSigmoid = 5 };
enum class Capacity : int32_t { kNone = 0, kSequence = 1, kFraction = 2, kFactor = 3 };

// The rules of a router, checked by the caller: experts <= 1024, top_k <= 64.
struct RouterRules {
    int32_t experts = 1;
    int32_t top_k = 1;
    Score score = Score::kSoftmax;
    GroupRule group_rule = GroupRule::kNone;
    int32_t groups = 1;
    int32_t kept_groups = 1;
    Norm norm = Norm::kNone;
    float scale = 1.0f;
    float masked_choice = 0.0f;  // -infinity or 0
    bool skip_padding = false;
    const float* choice_bias = nullptr;   // device, [E], or null
    const float* expert_scale = nullptr;  // device, [E], or null
    Capacity capacity = Capacity::kNone;
    int32_t capacity_tokens = 0;
    double capacity_factor = 0.0;
    int32_t capacity_alignment = 1;
    bool prioritized = false;
    bool normalize_survivors = false;
};

// Sequences and padding of a call.
struct Batch {
    int32_t sequences = 1;
    const int32_t* sequence_starts = nullptr;  // device, [sequences], or null for one
    const int32_t* mask = nullptr;             // device, [tokens], or null
};

// logits[t, e] = x[t] . weight[e] + bias[e], fp32 sums in an order that depends on `width` only.
struct RouterLogits {
    float* logits = nullptr;       // device, [tokens, E]
    const void* weight = nullptr;  // device, [E, width]
    Element weight_type = Element::kF32;
    const float* bias = nullptr;  // device, [E], or null
    const void* x = nullptr;      // device, [tokens, width]
    Element io = Element::kF32;
    int32_t experts = 0;
    int32_t width = 0;
    int32_t tokens = 0;
};

struct RouteTopK {
    RouterRules rules;
    Batch batch;
    const float* logits = nullptr;  // device, [tokens, E]
    int32_t tokens = 0;
    int32_t* topk_ids = nullptr;    // device, receives [tokens, k]
    float* topk_weights = nullptr;  // device, receives [tokens, k]
    int32_t* nonfinite = nullptr;   // set to 1 when a logit is NaN or infinite
};

uint64_t route_topk_workspace(const RouterRules& rules, int64_t tokens);
cudaError_t launch_router_logits(const RouterLogits& call, const Launch& launch);
cudaError_t launch_route_topk(const RouteTopK& call, const Workspace& workspace, const Launch& launch);

}  // namespace moek
