#include <climits>
#include <cmath>

#include "kernels/router/capacity.cuh"
#include "kernels/router/router.hpp"
#include "kernels/router/topk.cuh"

namespace moek {
namespace {

constexpr size_t kRouteSharedBytes = 48 * 1024;

bool can_drop(const RouterRules& rules) {
    return rules.capacity == Capacity::kSequence || rules.capacity == Capacity::kFraction ||
           (rules.capacity == Capacity::kFactor && rules.capacity_factor != 0);
}

int32_t saturate(double value) {
    return value >= INT_MAX ? INT_MAX : static_cast<int32_t>(value);
}

// Places of an expert in a call of `tokens` tokens.
int32_t capacity_of(const RouterRules& rules, int64_t tokens) {
    const int64_t per_expert = (tokens + rules.experts - 1) / rules.experts;
    if (rules.capacity == Capacity::kSequence) return rules.capacity_tokens;
    if (rules.capacity == Capacity::kFraction) {
        if (rules.capacity_factor > 0) return saturate(std::ceil(rules.capacity_factor * static_cast<double>(tokens)));
        return rules.capacity_tokens > 0 ? rules.capacity_tokens : saturate(2.0 * static_cast<double>(per_expert));
    }
    // The integer part is taken before the product with k: Tutel's code, where its paper has k f T / E.
    const double each = std::trunc(std::fabs(rules.capacity_factor) * static_cast<double>(per_expert));
    const int64_t places = saturate(rules.top_k * each);
    const int64_t multiple = rules.capacity_alignment;
    return saturate(static_cast<double>((places + multiple - 1) / multiple * multiple));
}

cudaError_t limit_rows(const RouteTopK& call, uint64_t* order, const Launch& launch) {
    const RouterRules& rules = call.rules;
    const bool by_sequence = rules.capacity == Capacity::kSequence && call.batch.sequence_starts != nullptr;
    const int warps = rules.experts <= 512 ? 16 : 8;
    CapacityCall limit{};
    limit.topk_ids = call.topk_ids;
    limit.sequence_starts = by_sequence ? call.batch.sequence_starts : nullptr;
    limit.order = order;
    limit.segments = by_sequence ? call.batch.sequences : 1;
    limit.tokens = call.tokens;
    limit.top_k = rules.top_k;
    limit.experts = rules.experts;
    limit.capacity = capacity_of(rules, call.tokens);
    LaunchShape shape;
    shape.grid = dim3(limit.segments);
    shape.block = dim3(32 * warps);
    shape.shared_bytes = CapacityScratch::bytes(rules.experts, warps);
    shape.stream = launch.stream;
    return moek::launch(capacity_kernel, shape, limit);
}

// One warp a token, as many warps as shared memory takes.
LaunchShape token_shape(int32_t tokens, size_t bytes_a_token, const Launch& launch) {
    int warps = 4;
    while (warps > 1 && warps * bytes_a_token > kRouteSharedBytes) warps /= 2;
    LaunchShape shape;
    shape.grid = dim3((static_cast<unsigned>(tokens) + warps - 1) / warps);
    shape.block = dim3(32 * warps);
    shape.shared_bytes = warps * bytes_a_token;
    shape.stream = launch.stream;
    return shape;
}

}  // namespace

uint64_t route_topk_workspace(const RouterRules& rules, int64_t tokens) {
    return can_drop(rules) && rules.prioritized ? 2 * sizeof(uint64_t) * static_cast<uint64_t>(tokens) : 0;
}

cudaError_t launch_route_topk(const RouteTopK& call, const Workspace& workspace, const Launch& launch) {
    const RouterRules& rules = call.rules;
    if (call.tokens == 0) return cudaSuccess;
    const bool drops = can_drop(rules);
    const bool weighs_survivors = drops && rules.normalize_survivors;
    uint64_t* order = drops && rules.prioritized ? static_cast<uint64_t*>(workspace.pointer) : nullptr;
    const size_t words = RowScratch::words(rules);
    cudaError_t error = moek::launch(route_kernel, token_shape(call.tokens, words * sizeof(uint32_t), launch), call,
                                     weighs_survivors, order);
    if (error != cudaSuccess || !drops) return error;
    error = limit_rows(call, order, launch);
    if (error != cudaSuccess || !weighs_survivors) return error;
    const size_t bytes = 2 * sizeof(uint32_t) * static_cast<size_t>(rules.top_k);
    return moek::launch(weigh_survivors_kernel, token_shape(call.tokens, bytes, launch), call);
}

}  // namespace moek
