#include "kernels/permute/permute.hpp"
#include "kernels/permute/plan.cuh"
#include "kernels/permute/rows.cuh"

namespace moek {
namespace {

constexpr int32_t kPlanMaxExperts = 4096;
constexpr size_t kPlanSharedBytes = 48 * 1024;

int64_t choices_of(const DispatchPlan& plan) {
    return static_cast<int64_t>(plan.tokens) * plan.top_k;
}

// Choices of a block: whole groups of 32 for each of its warps, over at most kPlanMaxBlocks blocks.
int64_t chunk_of(int64_t choices) {
    const int64_t even = (choices + kPlanMaxBlocks - 1) / kPlanMaxBlocks;
    const int64_t chunk = even > kPlanChunk ? even : kPlanChunk;
    return (chunk + kPlanThreads - 1) / kPlanThreads * kPlanThreads;
}

int64_t blocks_of(int64_t choices) {
    const int64_t chunk = chunk_of(choices);
    return (choices + chunk - 1) / chunk;
}

// Integers of shared memory of plan_place_kernel.
size_t place_shared(int32_t experts, int warps) {
    return sizeof(int32_t) * (32 + static_cast<size_t>(warps + 1) * experts);
}

LaunchShape row_shape(int64_t tokens, int64_t vectors, const Launch& launch) {
    const int64_t warps = (vectors + 31) / 32;
    const int64_t threads = warps * 32 < kRowThreads ? warps * 32 : kRowThreads;
    const int64_t parts = (vectors + threads - 1) / threads;
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(tokens), static_cast<unsigned>(parts < 65535 ? parts : 65535));
    shape.block = dim3(static_cast<unsigned>(threads));
    shape.stream = launch.stream;
    return shape;
}

template <typename T, int kVector>
cudaError_t dispatch_as(const DispatchRows& call, const Launch& launch) {
    const LaunchShape shape = row_shape(call.plan.tokens, call.width / kVector, launch);
    return call.weights == nullptr ? moek::launch(dispatch_kernel<T, kVector, false>, shape, call)
                                   : moek::launch(dispatch_kernel<T, kVector, true>, shape, call);
}

template <typename T>
cudaError_t dispatch_typed(const DispatchRows& call, const Launch& launch) {
    constexpr int kVector = 16 / sizeof(T);
    const bool whole = call.width % kVector == 0 && aligned<T>(call.x, kVector) && aligned<T>(call.xp, kVector);
    return whole ? dispatch_as<T, kVector>(call, launch) : dispatch_as<T, 1>(call, launch);
}

template <typename T>
cudaError_t combine_typed(const CombineRows& call, const Launch& launch) {
    constexpr int kVector = 4;
    const bool whole = call.width % kVector == 0 && aligned<float>(call.yp, kVector) &&
                       aligned<float>(call.shared, kVector) && aligned<T>(call.dropped, kVector) &&
                       aligned<T>(call.y, kVector);
    return whole ? moek::launch(combine_kernel<T, kVector>, row_shape(call.plan.tokens, call.width / kVector, launch),
                                call)
                 : moek::launch(combine_kernel<T, 1>, row_shape(call.plan.tokens, call.width, launch), call);
}

}  // namespace

uint64_t plan_workspace(int64_t tokens, int32_t top_k, int32_t experts) {
    const int64_t blocks = blocks_of(tokens * top_k);
    return blocks > 1 ? sizeof(int32_t) * static_cast<uint64_t>(blocks) * experts : 0;
}

cudaError_t launch_plan(const DispatchPlan& plan, const int32_t* topk_ids, const Workspace& workspace,
                        const Launch& launch) {
    if (plan.experts < 1 || plan.experts > kPlanMaxExperts) return cudaErrorInvalidValue;
    const int64_t choices = choices_of(plan);
    const int64_t chunk = chunk_of(choices);
    const int64_t blocks = blocks_of(choices);
    const ExpertOf expert_of{topk_ids, plan.experts};
    int32_t* block_counts = blocks > 1 ? static_cast<int32_t*>(workspace.pointer) : nullptr;
    LaunchShape shape;
    shape.stream = launch.stream;
    if (block_counts != nullptr) {
        shape.grid = dim3(static_cast<unsigned>(blocks));
        shape.block = dim3(kPlanThreads);
        shape.shared_bytes = sizeof(int32_t) * plan.experts;
        cudaError_t error = moek::launch(plan_count_kernel, shape, block_counts, expert_of, choices, chunk);
        if (error != cudaSuccess) return error;
        shape.grid = dim3((plan.experts + 31) / 32);
        shape.block = dim3(256);
        shape.shared_bytes = 0;
        error = moek::launch(plan_prefix_kernel, shape, block_counts, plan.expert_counts, plan.experts,
                             static_cast<int32_t>(blocks));
        if (error != cudaSuccess) return error;
    }
    int warps = kPlanThreads / 32;
    while (place_shared(plan.experts, warps) > kPlanSharedBytes) --warps;
    shape.grid = dim3(static_cast<unsigned>(blocks > 1 ? blocks : 1));
    shape.block = dim3(32 * warps);
    shape.shared_bytes = place_shared(plan.experts, warps);
    return moek::launch(plan_place_kernel, shape, plan, static_cast<const int32_t*>(block_counts), expert_of, choices,
                        chunk);
}

cudaError_t launch_dispatch(const DispatchRows& call, const Launch& launch) {
    if (choices_of(call.plan) == 0 || call.width == 0) return cudaSuccess;
    switch (call.io) {
        case Element::kF32:
            return dispatch_typed<float>(call, launch);
        case Element::kF16:
            return dispatch_typed<f16>(call, launch);
        case Element::kBF16:
            return dispatch_typed<bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

cudaError_t launch_combine(const CombineRows& call, const Launch& launch) {
    if (call.plan.tokens == 0 || call.width == 0) return cudaSuccess;
    switch (call.io) {
        case Element::kF32:
            return combine_typed<float>(call, launch);
        case Element::kF16:
            return combine_typed<f16>(call, launch);
        case Element::kBF16:
            return combine_typed<bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

}  // namespace moek
