#include "moek/layer.h"

#include <algorithm>
#include <cmath>
#include <memory>

#include "abi/arguments.hpp"
#include "abi/experts.hpp"
#include "abi/router.hpp"
#include "abi/workspace.hpp"
#include "kernels/ops/ops.hpp"
#include "kernels/permute/permute.hpp"

// Opaque to callers, so it lives in the global namespace under its C name.
struct moek_layer {
    explicit moek_layer(moek_context& given) : context(given) {}

    moek::ContextReference context;
    bool routes = false;
    moek_router_desc router{};  // vectors on the device
    int32_t router_width = 0;
    const moek_experts* routed = nullptr;
    const moek_experts* shared = nullptr;
    const void* shared_gate = nullptr;
    moek::Element shared_gate_type = moek::Element::kF32;
    const float* shared_gate_bias = nullptr;
    std::vector<moek::DeviceBuffer> vectors;
};

using namespace moek;

namespace {

constexpr uint64_t kAlignment = 256;

moek_layer_desc default_desc() {
    moek_layer_desc desc{};
    desc.struct_size = sizeof desc;
    return desc;
}

moek_forward_args default_args() {
    moek_forward_args args{};
    args.struct_size = sizeof args;
    return args;
}

void check_finite(const float* values, int32_t count, const char* name) {
    for (int32_t i = 0; values != nullptr && i < count; i++) {
        if (!std::isfinite(values[i])) fail(MOEK_E_NONFINITE, "%s of expert %d is not finite", name, i);
    }
}

// The device pointer of a vector: the caller's when borrowed, else a copy that the layer owns.
const void* place(moek_layer& layer, const void* vector, uint64_t bytes, bool borrow, const char* name) {
    if (vector == nullptr) return nullptr;
    if (borrow) {
        require_device(*layer.context, vector, bytes, 4, name);
        return vector;
    }
    layer.vectors.push_back(DeviceBuffer::copy_of(*layer.context, vector, bytes));
    return layer.vectors.back().get();
}

void place_router(moek_layer& layer, const moek_layer_desc& desc) {
    const bool borrow = (desc.flags & MOEK_BORROW) != 0;
    moek_router_desc router = checked_router(desc.router);
    require_pointer(router.weight, "router.weight");
    if (router.experts != layer.routed->experts) {
        fail(MOEK_E_ARGUMENT, "the router has %d experts, and there are %d", router.experts, layer.routed->experts);
    }
    if (!borrow) {
        check_finite(router.choice_bias, router.experts, "router.choice_bias");
        check_finite(router.expert_scale, router.experts, "router.expert_scale");
    }
    const uint64_t experts = router.experts;
    const uint64_t floats = experts * sizeof(float);
    const uint64_t weight_bytes =
        product(experts * layer.router_width, element_bytes(router.weight_dtype, "weight_dtype"), "router.weight");
    router.weight = place(layer, router.weight, weight_bytes, borrow, "router.weight");
    router.bias = static_cast<const float*>(place(layer, router.bias, floats, borrow, "router.bias"));
    router.choice_bias =
        static_cast<const float*>(place(layer, router.choice_bias, floats, borrow, "router.choice_bias"));
    router.expert_scale =
        static_cast<const float*>(place(layer, router.expert_scale, floats, borrow, "router.expert_scale"));
    layer.router = router;
    layer.routes = true;
}

void place_shared(moek_layer& layer, const moek_layer_desc& desc) {
    if (desc.shared == nullptr) {
        if (desc.shared_gate != nullptr) fail(MOEK_E_ARGUMENT, "shared_gate is given without a shared expert");
        return;
    }
    if (desc.shared->experts != 1 || desc.shared->hidden != layer.routed->hidden) {
        fail(MOEK_E_ARGUMENT, "shared is %d experts of %d inputs, not one of %d", desc.shared->experts,
             desc.shared->hidden, layer.routed->hidden);
    }
    layer.shared = desc.shared;
    if (desc.shared_gate == nullptr) return;
    const bool borrow = (desc.flags & MOEK_BORROW) != 0;
    const uint64_t size = element_bytes(desc.shared_gate_dtype, "shared_gate_dtype");
    layer.shared_gate = place(layer, desc.shared_gate, size * layer.routed->hidden, borrow, "shared_gate");
    layer.shared_gate_type = static_cast<Element>(desc.shared_gate_dtype);
    layer.shared_gate_bias =
        static_cast<const float*>(place(layer, desc.shared_gate_bias, sizeof(float), borrow, "shared_gate_bias"));
}

// Everything a call keeps in the caller's workspace.
struct Scratch {
    float* logits;
    Workspace topk;
    int32_t* ids;
    float* weights;
    DispatchPlan plan;
    Workspace plan_space;
    void* a;
    float* yp;
    float* shared;
    Workspace products;
    uint64_t bytes;
};

// Lays a call out. Activations count four bytes each, so that the size does not depend on io_dtype.
Scratch lay_out(const moek_layer& layer, void* memory, int64_t tokens, int32_t top_k) {
    WorkspaceLayout layout(memory);
    Scratch scratch{};
    const uint64_t count = static_cast<uint64_t>(tokens);
    const uint64_t choices = count * top_k;
    const uint64_t experts = layer.routed->experts;
    const uint64_t hidden = layer.routed->hidden;
    if (layer.routes) {
        scratch.logits = layout.take<float>(product(count, experts, "logits"));
        scratch.topk.bytes = route_topk_workspace(rules_of(layer.router), tokens);
        scratch.topk.pointer = layout.take_bytes(scratch.topk.bytes);
        scratch.ids = layout.take<int32_t>(choices);
        scratch.weights = layout.take<float>(choices);
    }
    scratch.plan.top_k = top_k;
    scratch.plan.experts = layer.routed->experts;
    scratch.plan.tokens = static_cast<int32_t>(tokens);
    scratch.plan.expert_counts = layout.take<int32_t>(experts);
    scratch.plan.expert_offsets = layout.take<int32_t>(experts + 1);
    scratch.plan.choice_of_slot = layout.take<int32_t>(choices);
    scratch.plan.slot_of = layout.take<int32_t>(choices);
    scratch.plan_space.bytes = plan_workspace(tokens, top_k, layer.routed->experts);
    scratch.plan_space.pointer = layout.take_bytes(scratch.plan_space.bytes);

    uint64_t activations = product(choices, layer.routed->intermediate, "activations");
    scratch.products.bytes = experts_workspace(*layer.routed, static_cast<int64_t>(choices));
    if (layer.shared != nullptr) {
        activations = std::max(activations, product(count, layer.shared->intermediate, "activations"));
        scratch.products.bytes = std::max(scratch.products.bytes, experts_workspace(*layer.shared, tokens));
        scratch.shared = layout.take<float>(product(count, hidden, "shared"));
    }
    scratch.a = layout.take<float>(activations);
    scratch.yp = layout.take<float>(product(choices, hidden, "expert outputs"));
    scratch.products.pointer = layout.take_bytes(scratch.products.bytes);
    scratch.bytes = layout.bytes();
    return scratch;
}

int32_t choices_per_token(const moek_layer& layer, const moek_forward_args& args) {
    if (args.expert_ids == nullptr) {
        if (!layer.routes) fail(MOEK_E_ARGUMENT, "expert_ids is null, and the layer has no router");
        return layer.router.top_k;
    }
    require_range(args.top_k, 1, 1024, "args.top_k");
    return args.top_k;
}

void check_args(const moek_layer& layer, const moek_forward_args& args, int32_t top_k) {
    constexpr uint32_t kFlags = MOEK_FORWARD_ACCUMULATE | MOEK_FORWARD_ROUTE_ONLY;
    if ((args.flags & ~kFlags) != 0) fail(MOEK_E_ARGUMENT, "args.flags has unknown bits");
    io_element(args.io_dtype);
    require_range(args.tokens, 0, INT32_MAX / top_k, "tokens");
    if (args.tokens == 0) return;
    const moek_context& context = *layer.context;
    const uint64_t count = static_cast<uint64_t>(args.tokens);
    const uint64_t choices = count * top_k;
    const uint64_t size = element_bytes(args.io_dtype, "io_dtype");
    const uint64_t bytes = product(count * size, layer.routed->hidden, "hidden");
    require_device_or_null(context, args.router_input, count * size * layer.router_width, 16, "router_input");
    require_device_or_null(context, args.expert_ids, choices * sizeof(int32_t), 4, "expert_ids");
    require_device_or_null(context, args.expert_weights, choices * sizeof(float), 4, "expert_weights");
    require_device_or_null(context, args.counts_out, layer.routed->experts * sizeof(int32_t), 4, "counts_out");
    require_device_or_null(context, args.expert_ids_out, choices * sizeof(int32_t), 4, "expert_ids_out");
    require_device_or_null(context, args.expert_weights_out, choices * sizeof(float), 4, "expert_weights_out");
    if ((args.flags & MOEK_FORWARD_ROUTE_ONLY) != 0) {
        if (args.expert_ids != nullptr) fail(MOEK_E_ARGUMENT, "expert_ids is given to a call that only routes");
        if (args.router_input == nullptr) require_device(context, args.hidden, bytes, 16, "hidden");
        return;
    }
    require_device(context, args.hidden, bytes, 16, "hidden");
    require_device(context, args.output, bytes, 16, "output");
    require_apart(args.hidden, bytes, "hidden", args.output, bytes, "output");
    if (args.router_input == nullptr && args.expert_ids == nullptr && layer.router_width != layer.routed->hidden) {
        fail(MOEK_E_ARGUMENT, "router_input is null, and the router reads %d numbers, not hidden", layer.router_width);
    }
}

void copy_out(void* target, const void* source, uint64_t bytes, const Launch& launch, const char* name) {
    if (target != nullptr) {
        check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, launch.stream), name);
    }
}

// Steps 1 and 2: logits, ids, weights.
void route(const moek_layer& layer, const moek_forward_args& args, const Batch& batch, const Scratch& scratch,
           const Launch& launch) {
    RouterLogits logits;
    logits.logits = scratch.logits;
    logits.weight = layer.router.weight;
    logits.weight_type = static_cast<Element>(layer.router.weight_dtype);
    logits.bias = layer.router.bias;
    logits.x = args.router_input != nullptr ? args.router_input : args.hidden;
    logits.io = static_cast<Element>(args.io_dtype);
    logits.experts = layer.router.experts;
    logits.width = layer.router_width;
    logits.tokens = static_cast<int32_t>(args.tokens);
    check(launch_router_logits(logits, launch), "router logits");

    RouteTopK choice;
    choice.rules = rules_of(layer.router);
    choice.batch = batch;
    choice.logits = scratch.logits;
    choice.tokens = logits.tokens;
    choice.topk_ids = scratch.ids;
    choice.topk_weights = scratch.weights;
    choice.nonfinite = layer.context->nonfinite;
    check(launch_route_topk(choice, scratch.topk, launch), "top-k");

    const uint64_t choices = static_cast<uint64_t>(args.tokens) * layer.router.top_k;
    copy_out(args.expert_ids_out, scratch.ids, choices * sizeof(int32_t), launch, "copying the ids");
    copy_out(args.expert_weights_out, scratch.weights, choices * sizeof(float), launch, "copying the weights");
}

// The expert that every token passes, into scratch.shared.
void run_shared(const moek_layer& layer, const moek_forward_args& args, const Scratch& scratch, const Launch& launch) {
    const int32_t tokens = static_cast<int32_t>(args.tokens);
    ExpertsIn in;
    in.groups.experts = 1;
    in.groups.max_slots = tokens;
    in.x = args.hidden;
    in.io = static_cast<Element>(args.io_dtype);
    in.a = scratch.a;
    run_experts_in(*layer.shared, in, scratch.products, launch);

    ExpertsOut out;
    out.groups = in.groups;
    out.a = scratch.a;
    out.io = in.io;
    out.y = scratch.shared;
    run_experts_out(*layer.shared, out, scratch.products, launch);
    if (layer.shared_gate == nullptr) return;

    SharedGate gate;
    gate.y = scratch.shared;
    gate.x = args.hidden;
    gate.io = in.io;
    gate.weight = layer.shared_gate;
    gate.weight_type = layer.shared_gate_type;
    gate.bias = layer.shared_gate_bias;
    gate.rows = tokens;
    gate.width = layer.routed->hidden;
    gate.inputs = layer.routed->hidden;
    check(launch_shared_gate(gate, launch), "gate of the shared expert");
}

// Steps 3 to 7 for a routing that is decided.
void run_routed(const moek_layer& layer, const moek_forward_args& args, const int32_t* ids, const float* weights,
                const Scratch& scratch, const Launch& launch) {
    const uint32_t rules = layer.routes ? layer.router.flags : 0;
    const bool to_input = (rules & MOEK_ROUTER_APPLY_TO_INPUT) != 0;
    check(launch_plan(scratch.plan, ids, scratch.plan_space, launch), "building the dispatch plan");
    copy_out(args.counts_out, scratch.plan.expert_counts, layer.routed->experts * sizeof(int32_t), launch,
             "copying the counts");

    DecodeLayer steps;
    ExpertsIn& in = steps.in;
    in.groups.offsets = scratch.plan.expert_offsets;
    in.groups.experts = layer.routed->experts;
    in.groups.max_slots = scratch.plan.tokens * scratch.plan.top_k;
    in.gather.choice_of_slot = scratch.plan.choice_of_slot;
    in.gather.top_k = scratch.plan.top_k;
    in.gather.weights = to_input ? weights : nullptr;
    in.x = args.hidden;
    in.io = static_cast<Element>(args.io_dtype);
    in.a = scratch.a;
    ExpertsOut& out = steps.out;
    out.groups = in.groups;
    out.a = scratch.a;
    out.io = in.io;
    out.y = scratch.yp;

    CombineRows& combine = steps.combine;
    combine.plan = scratch.plan;
    combine.yp = scratch.yp;
    combine.weights = to_input ? nullptr : weights;
    combine.factor = layer.routes ? layer.router.output_factor : 1.0f;
    combine.dropped = (rules & MOEK_ROUTER_DROP_INPUT) != 0 ? args.hidden : nullptr;
    combine.shared = layer.shared != nullptr ? scratch.shared : nullptr;
    combine.accumulate = (args.flags & MOEK_FORWARD_ACCUMULATE) != 0;
    combine.y = args.output;
    combine.io = in.io;
    combine.width = layer.routed->hidden;
    run_experts(*layer.routed, steps, scratch.products, launch);
}

}  // namespace

void moek_layer_desc_init(moek_layer_desc* desc) {
    if (desc != nullptr) *desc = default_desc();
}

void moek_forward_args_init(moek_forward_args* args) {
    if (args != nullptr) *args = default_args();
}

moek_status moek_layer_create(moek_layer** layer, moek_context* context, const moek_layer_desc* desc) {
    return guarded([&] {
        require_pointer(layer, "layer");
        *layer = nullptr;
        require_pointer(context, "context");
        const moek_layer_desc taken = take(desc, default_desc(), sizeof(moek_layer_desc), "desc");
        require_pointer(taken.routed, "routed");
        if ((taken.flags & ~static_cast<uint32_t>(MOEK_BORROW)) != 0) fail(MOEK_E_ARGUMENT, "flags has unknown bits");
        require_range(taken.router_width, 0, 1 << 20, "router_width");
        DeviceScope scope(*context);
        auto made = std::make_unique<moek_layer>(*context);
        made->routed = taken.routed;
        made->router_width = taken.router_width > 0 ? taken.router_width : taken.routed->hidden;
        if (taken.router != nullptr) place_router(*made, taken);
        place_shared(*made, taken);
        *layer = made.release();
    });
}

void moek_layer_destroy(moek_layer* layer) {
    destroy_on_device(layer);
}

moek_status moek_layer_workspace(uint64_t* bytes, uint64_t* alignment, const moek_layer* layer, int64_t max_tokens) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        require_pointer(layer, "layer");
        const int32_t top_k = layer->routes ? layer->router.top_k : layer->routed->experts;
        require_range(max_tokens, 0, INT32_MAX / top_k, "max_tokens");
        *bytes = lay_out(*layer, nullptr, max_tokens, top_k).bytes;
        if (alignment != nullptr) *alignment = kAlignment;
    });
}

moek_status moek_layer_forward(const moek_layer* layer, const moek_forward_args* args) {
    return guarded([&] {
        require_pointer(layer, "layer");
        const moek_forward_args taken = take(args, default_args(), sizeof(moek_forward_args), "args");
        const int32_t top_k = choices_per_token(*layer, taken);
        const moek_context& context = *layer->context;
        DeviceScope scope(context);
        check_args(*layer, taken, top_k);
        const Batch batch = batch_of(context, taken.batch, taken.tokens);
        if (taken.tokens == 0) return;
        require_workspace(context, taken.workspace, taken.workspace_bytes,
                          lay_out(*layer, nullptr, taken.tokens, top_k).bytes);
        const Scratch scratch = lay_out(*layer, taken.workspace, taken.tokens, top_k);
        const Launch launch = launch_on(context, taken.stream);
        const bool own = taken.expert_ids == nullptr;
        if (own) route(*layer, taken, batch, scratch, launch);
        if ((taken.flags & MOEK_FORWARD_ROUTE_ONLY) != 0) return;
        if (layer->shared != nullptr) run_shared(*layer, taken, scratch, launch);
        run_routed(*layer, taken, own ? scratch.ids : taken.expert_ids, own ? scratch.weights : taken.expert_weights,
                   scratch, launch);
    });
}
