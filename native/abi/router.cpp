#include "abi/router.hpp"

#include <cmath>
#include <limits>

#include "abi/arguments.hpp"
#include "abi/stack.hpp"

namespace moek {
namespace {

constexpr int32_t kMaxExperts = 1024;
constexpr int32_t kMaxTopK = 64;
constexpr uint32_t kAllFlags = 63;

moek_router_desc default_desc() {
    moek_router_desc desc{};
    desc.struct_size = sizeof desc;
    desc.experts = 1;
    desc.top_k = 1;
    desc.groups = 1;
    desc.kept_groups = 1;
    desc.scale = 1.0f;
    desc.output_factor = 1.0f;
    desc.capacity_alignment = 1;
    return desc;
}

void check_groups(const moek_router_desc& desc) {
    require_range(desc.groups, 1, desc.experts, "groups");
    if (desc.experts % desc.groups != 0) {
        fail(MOEK_E_ARGUMENT, "groups: %d do not divide %d experts", desc.groups, desc.experts);
    }
    if (desc.group_rule == MOEK_GROUP_SAME && desc.top_k % desc.groups != 0) {
        fail(MOEK_E_ARGUMENT, "top_k of %d is not the same in each of %d groups", desc.top_k, desc.groups);
    }
    if (desc.group_rule == MOEK_GROUP_MAX || desc.group_rule == MOEK_GROUP_TOP_TWO) {
        require_range(desc.kept_groups, 1, desc.groups, "kept_groups");
        if (desc.top_k > desc.kept_groups * (desc.experts / desc.groups)) {
            fail(MOEK_E_ARGUMENT, "kept_groups: %d hold fewer than %d experts", desc.kept_groups, desc.top_k);
        }
    }
}

void check_capacity(const moek_router_desc& desc) {
    require_range(desc.capacity, MOEK_CAPACITY_NONE, MOEK_CAPACITY_FACTOR, "capacity");
    require_range(desc.capacity_tokens, desc.capacity == MOEK_CAPACITY_SEQUENCE ? 1 : 0, INT32_MAX, "capacity_tokens");
    require_range(desc.capacity_alignment, 1, INT32_MAX, "capacity_alignment");
    if (!std::isfinite(desc.capacity_factor)) fail(MOEK_E_ARGUMENT, "capacity_factor is not finite");
}

bool has(const moek_router_desc& desc, uint32_t flag) {
    return (desc.flags & flag) != 0;
}

}  // namespace

moek_router_desc checked_router(const moek_router_desc* given) {
    const moek_router_desc desc = take(given, default_desc(), sizeof(moek_router_desc), "router");
    require_range(desc.experts, 1, kMaxExperts, "experts");
    require_range(desc.top_k, 1, desc.experts < kMaxTopK ? desc.experts : kMaxTopK, "top_k");
    require_range(desc.score, MOEK_SCORE_SOFTMAX, MOEK_SCORE_NONE, "score");
    require_range(desc.group_rule, MOEK_GROUP_NONE, MOEK_GROUP_SAME, "group_rule");
    require_range(desc.norm, MOEK_NORM_NONE, MOEK_NORM_SIGMOID, "norm");
    element_bytes(desc.weight_dtype, "weight_dtype");
    if ((desc.flags & ~kAllFlags) != 0) fail(MOEK_E_ARGUMENT, "router.flags has unknown bits");
    if (!std::isfinite(desc.scale) || !std::isfinite(desc.output_factor)) {
        fail(MOEK_E_ARGUMENT, "scale or output_factor is not finite");
    }
    check_groups(desc);
    check_capacity(desc);
    return desc;
}

RouterRules rules_of(const moek_router_desc& router) {
    RouterRules rules;
    rules.experts = router.experts;
    rules.top_k = router.top_k;
    rules.score = static_cast<Score>(router.score);
    rules.group_rule = static_cast<GroupRule>(router.group_rule);
    rules.groups = router.groups;
    rules.kept_groups = router.kept_groups;
    rules.norm = static_cast<Norm>(router.norm);
    rules.scale = router.scale;
    rules.masked_choice = has(router, MOEK_ROUTER_MASKED_ZERO) ? 0.0f : -std::numeric_limits<float>::infinity();
    rules.skip_padding = has(router, MOEK_ROUTER_SKIP_PADDING);
    rules.choice_bias = router.choice_bias;
    rules.expert_scale = router.expert_scale;
    rules.capacity = static_cast<Capacity>(router.capacity);
    rules.capacity_tokens = router.capacity_tokens;
    rules.capacity_factor = router.capacity_factor;
    rules.capacity_alignment = router.capacity_alignment;
    rules.prioritized = has(router, MOEK_ROUTER_PRIORITIZED);
    rules.normalize_survivors = has(router, MOEK_ROUTER_NORMALIZE_SURVIVORS);
    return rules;
}

Batch batch_of(const moek_context& context, const moek_batch* given, int64_t tokens) {
    Batch batch;
    if (given == nullptr) return batch;
    const moek_batch taken = take(given, moek_batch{}, sizeof(moek_batch), "batch");
    require_range(taken.sequences, 0, tokens > 0 ? tokens : 1, "batch.sequences");
    batch.sequences = taken.sequences > 0 ? taken.sequences : 1;
    if (batch.sequences > 1) {
        require_device(context, taken.sequence_starts, batch.sequences * sizeof(int32_t), 4, "batch.sequence_starts");
        batch.sequence_starts = taken.sequence_starts;
    }
    require_device_or_null(context, taken.mask, static_cast<uint64_t>(tokens) * sizeof(int32_t), 4, "batch.mask");
    batch.mask = taken.mask;
    return batch;
}

}  // namespace moek

using namespace moek;

void moek_router_desc_init(moek_router_desc* desc) {
    if (desc != nullptr) *desc = default_desc();
}

void moek_batch_init(moek_batch* batch) {
    if (batch == nullptr) return;
    *batch = {};
    batch->struct_size = sizeof *batch;
}

moek_status moek_route_workspace(uint64_t* bytes, const moek_router_desc* router, int64_t max_tokens) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        const moek_router_desc desc = checked_router(router);
        require_range(max_tokens, 0, INT32_MAX / desc.top_k, "max_tokens");
        *bytes = route_topk_workspace(rules_of(desc), max_tokens);
    });
}

moek_status moek_router_logits(float* logits, moek_context* context, const moek_router_desc* router, const void* hidden,
                               int32_t io_dtype, int32_t width, int64_t tokens, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        const moek_router_desc desc = checked_router(router);
        const uint64_t io_bytes = element_bytes(io_dtype, "io_dtype");
        require_range(width, 1, 1 << 20, "width");
        require_range(tokens, 0, INT32_MAX / desc.top_k, "tokens");
        DeviceScope scope(*context);
        if (tokens == 0) return;
        const uint64_t count = static_cast<uint64_t>(tokens);
        const uint64_t experts = desc.experts;
        const uint64_t weight_bytes = experts * width * element_bytes(desc.weight_dtype, "weight_dtype");
        require_device(*context, logits, count * experts * sizeof(float), 4, "logits");
        require_device(*context, hidden, count * width * io_bytes, io_bytes, "hidden");
        require_device(*context, desc.weight, weight_bytes, 4, "router.weight");
        require_device_or_null(*context, desc.bias, experts * sizeof(float), 4, "router.bias");
        require_apart(logits, count * experts * sizeof(float), "logits", hidden, count * width * io_bytes, "hidden");

        RouterLogits call;
        call.logits = logits;
        call.weight = desc.weight;
        call.weight_type = static_cast<Element>(desc.weight_dtype);
        call.bias = desc.bias;
        call.x = hidden;
        call.io = static_cast<Element>(io_dtype);
        call.experts = desc.experts;
        call.width = width;
        call.tokens = static_cast<int32_t>(tokens);
        check(launch_router_logits(call, launch_on(*context, stream)), "router logits");
    });
}

moek_status moek_route_topk(int32_t* topk_ids, float* topk_weights, moek_context* context,
                            const moek_router_desc* router, const float* logits, const moek_batch* batch,
                            int64_t tokens, void* workspace, uint64_t workspace_bytes, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        const moek_router_desc desc = checked_router(router);
        require_range(tokens, 0, INT32_MAX / desc.top_k, "tokens");
        DeviceScope scope(*context);
        RouteTopK call;
        call.rules = rules_of(desc);
        call.batch = batch_of(*context, batch, tokens);
        if (tokens == 0) return;
        const uint64_t count = static_cast<uint64_t>(tokens);
        const uint64_t experts = desc.experts;
        const uint64_t choices = count * desc.top_k;
        require_device(*context, topk_ids, choices * sizeof(int32_t), 4, "topk_ids");
        require_device(*context, topk_weights, choices * sizeof(float), 4, "topk_weights");
        require_device(*context, logits, count * experts * sizeof(float), 4, "logits");
        require_device_or_null(*context, desc.choice_bias, experts * sizeof(float), 4, "router.choice_bias");
        require_device_or_null(*context, desc.expert_scale, experts * sizeof(float), 4, "router.expert_scale");
        require_workspace(*context, workspace, workspace_bytes, route_topk_workspace(call.rules, tokens));
        call.logits = logits;
        call.tokens = static_cast<int32_t>(tokens);
        call.topk_ids = topk_ids;
        call.topk_weights = topk_weights;
        call.nonfinite = context->nonfinite;
        check(launch_route_topk(call, {workspace, workspace_bytes}, launch_on(*context, stream)), "top-k");
    });
}
