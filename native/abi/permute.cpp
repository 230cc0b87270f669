#include "moek/permute.h"

#include "abi/arguments.hpp"
#include "abi/stack.hpp"
#include "kernels/permute/permute.hpp"

using namespace moek;

namespace {

constexpr int32_t kMaxExperts = 4096;

uint64_t choices_of(int64_t tokens, int32_t top_k) {
    require_range(top_k, 1, 1 << 20, "top_k");
    require_range(tokens, 0, INT32_MAX / top_k, "tokens");
    return static_cast<uint64_t>(tokens) * top_k;
}

DispatchPlan checked_plan(const moek_context& context, const moek_plan* given) {
    const moek_plan plan = take(given, moek_plan{}, sizeof(moek_plan), "plan");
    const uint64_t choices = choices_of(plan.tokens, plan.top_k);
    require_range(plan.experts, 1, kMaxExperts, "plan.experts");
    const uint64_t experts = plan.experts;
    require_device(context, plan.expert_counts, experts * sizeof(int32_t), 4, "plan.expert_counts");
    require_device(context, plan.expert_offsets, (experts + 1) * sizeof(int32_t), 4, "plan.expert_offsets");
    require_device(context, plan.choice_of_slot, choices * sizeof(int32_t), 4, "plan.choice_of_slot");
    require_device(context, plan.slot_of, choices * sizeof(int32_t), 4, "plan.slot_of");
    DispatchPlan view;
    view.top_k = plan.top_k;
    view.experts = plan.experts;
    view.tokens = static_cast<int32_t>(plan.tokens);
    view.expert_counts = plan.expert_counts;
    view.expert_offsets = plan.expert_offsets;
    view.choice_of_slot = plan.choice_of_slot;
    view.slot_of = plan.slot_of;
    return view;
}

}  // namespace

moek_status moek_plan_workspace(uint64_t* bytes, int64_t tokens, int32_t top_k, int32_t experts) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        choices_of(tokens, top_k);
        require_range(experts, 1, kMaxExperts, "experts");
        *bytes = plan_workspace(tokens, top_k, experts);
    });
}

moek_status moek_plan_build(const moek_plan* plan, moek_context* context, const int32_t* topk_ids, void* workspace,
                            uint64_t workspace_bytes, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        DeviceScope scope(*context);
        const DispatchPlan view = checked_plan(*context, plan);
        const uint64_t choices = choices_of(view.tokens, view.top_k);
        require_device(*context, topk_ids, choices * sizeof(int32_t), 4, "topk_ids");
        require_workspace(*context, workspace, workspace_bytes, plan_workspace(view.tokens, view.top_k, view.experts));
        check(launch_plan(view, topk_ids, {workspace, workspace_bytes}, launch_on(*context, stream)),
              "building the dispatch plan");
    });
}

moek_status moek_dispatch(void* xp, moek_context* context, const moek_plan* plan, const void* x, const float* weights,
                          int32_t io_dtype, int32_t width, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        const uint64_t size = element_bytes(io_dtype, "io_dtype");
        require_range(width, 1, 1 << 24, "width");
        DeviceScope scope(*context);
        DispatchRows call;
        call.plan = checked_plan(*context, plan);
        if (call.plan.tokens == 0) return;
        const uint64_t choices = choices_of(call.plan.tokens, call.plan.top_k);
        const uint64_t x_bytes = product(static_cast<uint64_t>(call.plan.tokens) * size, width, "x");
        const uint64_t xp_bytes = product(choices * size, width, "xp");
        require_device(*context, x, x_bytes, size, "x");
        require_device(*context, xp, xp_bytes, size, "xp");
        require_apart(x, x_bytes, "x", xp, xp_bytes, "xp");
        require_device_or_null(*context, weights, choices * sizeof(float), 4, "weights");
        call.x = x;
        call.weights = weights;
        call.xp = xp;
        call.io = static_cast<Element>(io_dtype);
        call.width = width;
        check(launch_dispatch(call, launch_on(*context, stream)), "dispatch");
    });
}

moek_status moek_combine(void* y, moek_context* context, const moek_plan* plan, const float* yp, const float* weights,
                         const void* dropped, int32_t io_dtype, int32_t width, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        const uint64_t size = element_bytes(io_dtype, "io_dtype");
        require_range(width, 1, 1 << 24, "width");
        DeviceScope scope(*context);
        CombineRows call;
        call.plan = checked_plan(*context, plan);
        if (call.plan.tokens == 0) return;
        const uint64_t choices = choices_of(call.plan.tokens, call.plan.top_k);
        const uint64_t y_bytes = product(static_cast<uint64_t>(call.plan.tokens) * size, width, "y");
        const uint64_t yp_bytes = product(choices * sizeof(float), width, "yp");
        require_device(*context, y, y_bytes, size, "y");
        require_device(*context, yp, yp_bytes, 4, "yp");
        require_apart(y, y_bytes, "y", yp, yp_bytes, "yp");
        require_device_or_null(*context, weights, choices * sizeof(float), 4, "weights");
        require_device_or_null(*context, dropped, y_bytes, size, "dropped");
        call.yp = yp;
        call.weights = weights;
        call.dropped = dropped;
        call.y = y;
        call.io = static_cast<Element>(io_dtype);
        call.width = width;
        check(launch_combine(call, launch_on(*context, stream)), "combine");
    });
}
