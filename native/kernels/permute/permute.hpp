// Permute: the plan that sorts choices by expert, dispatch into expert order, combine back.
#pragma once

#include "kernels/call.hpp"

namespace moek {

// All device memory; T k choices.
struct DispatchPlan {
    int32_t top_k = 1;
    int32_t experts = 0;
    int32_t tokens = 0;
    int32_t* expert_counts = nullptr;   // [E]
    int32_t* expert_offsets = nullptr;  // [E + 1]
    int32_t* choice_of_slot = nullptr;  // [T k]
    int32_t* slot_of = nullptr;         // [T, k], -1 for a choice without slot
};

struct DispatchRows {
    DispatchPlan plan;
    const void* x = nullptr;         // [T, width]
    const float* weights = nullptr;  // [T, k], or null to copy
    void* xp = nullptr;              // receives [slots, width]
    Element io = Element::kF32;
    int32_t width = 0;
};

struct CombineRows {
    DispatchPlan plan;
    const float* yp = nullptr;       // [slots, width]
    const float* weights = nullptr;  // [T, k], or null for ones
    float factor = 1.0f;             // times every weight
    const void* dropped = nullptr;   // [T, width] in io: what a dropped choice gives, or null
    const float* shared = nullptr;   // [T, width], added after the sum (the shared expert), or null
    bool accumulate = false;         // adds what y held before, last
    void* y = nullptr;               // receives [T, width] in io
    Element io = Element::kF32;
    int32_t width = 0;
};

uint64_t plan_workspace(int64_t tokens, int32_t top_k, int32_t experts);
cudaError_t launch_plan(const DispatchPlan& plan, const int32_t* topk_ids, const Workspace& workspace,
                        const Launch& launch);
cudaError_t launch_dispatch(const DispatchRows& call, const Launch& launch);
cudaError_t launch_combine(const CombineRows& call, const Launch& launch);

}  // namespace moek
