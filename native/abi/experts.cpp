#include "abi/experts.hpp"

#include <algorithm>
#include <memory>

#include "abi/arguments.hpp"

namespace moek {
namespace {

constexpr int32_t kMaxSize = 1 << 24;
constexpr int32_t kMaxExperts = 1024;
// The struct as version 1.0 of the ABI has it.
constexpr size_t kLeastExpertsDesc = sizeof(moek_experts_desc);

moek_experts_desc default_desc() {
    moek_experts_desc desc{};
    desc.struct_size = sizeof desc;
    desc.activation = MOEK_ACT_SILU | MOEK_ACT_GATED;
    desc.alpha = 1.702f;
    desc.limit = 7.0f;
    desc.scale_block_rows = 128;
    desc.scale_block_columns = 128;
    return desc;
}

bool gated(const moek_experts_desc& desc) {
    return (desc.activation & MOEK_ACT_GATED) != 0;
}

bool packed(const moek_experts_desc& desc) {
    return desc.dtype == MOEK_CODEBOOK || desc.dtype == MOEK_QMOE;
}

DenseSource gate_up_source(const moek_experts_desc& desc) {
    DenseSource source;
    source.data = desc.gate_up;
    source.scales = desc.gate_up_scale;
    source.dtype = desc.dtype;
    source.matrices = desc.experts;
    source.rows = gated(desc) ? 2 * desc.intermediate : desc.intermediate;
    source.columns = desc.hidden;
    source.scale_block_rows = desc.scale_block_rows;
    source.scale_block_columns = desc.scale_block_columns;
    source.borrow = (desc.flags & MOEK_BORROW) != 0;
    source.name = "gate_up";
    return source;
}

DenseSource down_source(const moek_experts_desc& desc) {
    DenseSource source = gate_up_source(desc);
    source.data = desc.down;
    source.scales = desc.down_scale;
    source.rows = desc.hidden;
    source.columns = desc.intermediate;
    source.name = "down";
    return source;
}

void check_bytes(uint64_t given, uint64_t expected, const char* name) {
    if (given != expected) {
        fail(MOEK_E_ARGUMENT, "%s is %llu where %llu bytes belong", name, static_cast<unsigned long long>(given),
             static_cast<unsigned long long>(expected));
    }
}

// Everything that needs no pointer: numbers first, then what there is no kernel for.
void check_desc(const moek_experts_desc& desc) {
    require_range(desc.experts, 1, kMaxExperts, "experts");
    require_range(desc.hidden, 1, kMaxSize, "hidden");
    require_range(desc.intermediate, 1, kMaxSize / 2, "intermediate");
    require_range(desc.gate_up_order, MOEK_GATE_UP_CONCATENATED, MOEK_GATE_UP_INTERLEAVED, "gate_up_order");
    require_range(desc.activation & ~MOEK_ACT_GATED, MOEK_ACT_SILU, MOEK_ACT_CLAMPED_SWIGLU, "activation");
    require_range(desc.dtype, MOEK_F32, MOEK_QMOE, "dtype");
    if ((desc.flags & ~static_cast<uint32_t>(MOEK_BORROW)) != 0) fail(MOEK_E_ARGUMENT, "flags has unknown bits");
    if ((desc.activation & ~MOEK_ACT_GATED) == MOEK_ACT_CLAMPED_SWIGLU && !gated(desc)) {
        fail(MOEK_E_ARGUMENT, "activation: the clamped SwiGLU is always gated");
    }
    if (!packed(desc)) {
        check_dense(gate_up_source(desc));
        check_dense(down_source(desc));
    } else if (desc.gate_up_order != MOEK_GATE_UP_CONCATENATED) {
        fail(MOEK_E_UNSUPPORTED, "gate_up_order: packed gate and up matrices are stacks of their own");
    }
}

void check_stack(const Stack& stack, int32_t matrices, int32_t rows, int32_t columns, const char* name) {
    if (stack.matrices() != matrices || stack.rows() != rows || stack.columns() != columns) {
        fail(MOEK_E_ARGUMENT, "%s is described as [%d, %d, %d] where [%d, %d, %d] belongs", name, stack.matrices(),
             stack.rows(), stack.columns(), matrices, rows, columns);
    }
}

// Item `index` of an array of descriptions whose size an older caller may not share: all have struct_size in front.
template <typename Desc>
const void* item(const void* array, int index) {
    require_pointer(array, "gate_up");
    const uint32_t size = static_cast<const Desc*>(array)->struct_size;
    return static_cast<const unsigned char*>(array) + static_cast<size_t>(index) * size;
}

Stack make_packed(moek_context& context, const moek_experts_desc& desc, const void* array, int index,
                  const char* name) {
    const bool borrow = (desc.flags & MOEK_BORROW) != 0;
    return desc.dtype == MOEK_CODEBOOK
               ? make_codebook(context, checked_codebook(item<moek_codebook_desc>(array, index), name), borrow, name)
               : make_qmoe(context, checked_qmoe(item<moek_qmoe_desc>(array, index), name), borrow, name);
}

void place_packed(moek_experts& made, moek_context& context, const moek_experts_desc& desc) {
    if (gated(desc)) {
        made.gate = make_packed(context, desc, desc.gate_up, 0, "gate");
        check_stack(made.gate, desc.experts, desc.intermediate, desc.hidden, "gate");
    }
    made.up = make_packed(context, desc, desc.gate_up, gated(desc) ? 1 : 0, "up");
    check_stack(made.up, desc.experts, desc.intermediate, desc.hidden, "up");
    made.down = make_packed(context, desc, desc.down, 0, "down");
    check_stack(made.down, desc.experts, desc.hidden, desc.intermediate, "down");
}

void place_dense(moek_experts& made, moek_context& context, const moek_experts_desc& desc) {
    const DenseSource gate_up = gate_up_source(desc);
    const DenseSource down = down_source(desc);
    check_bytes(desc.gate_up_bytes, dense_data_bytes(gate_up), "gate_up_bytes");
    check_bytes(desc.down_bytes, dense_data_bytes(down), "down_bytes");
    made.gate_up = make_dense(context, gate_up);
    made.down = make_dense(context, down);
    if (gated(desc) && capability(context) == 90) {
        const auto order = static_cast<GateUpOrder>(desc.gate_up_order);
        check(prepare_dense(made.gate_up.dense, true, order), "tensor map");
    }
}

void place_biases(moek_experts& made, moek_context& context, const moek_experts_desc& desc) {
    const uint64_t gate_up = static_cast<uint64_t>(desc.experts) * gate_up_source(desc).rows;
    const uint64_t down = static_cast<uint64_t>(desc.experts) * desc.hidden;
    if (desc.gate_up_bias == nullptr && desc.down_bias == nullptr) return;
    if ((desc.flags & MOEK_BORROW) != 0) {
        require_device_or_null(context, desc.gate_up_bias, gate_up * sizeof(float), 4, "gate_up_bias");
        require_device_or_null(context, desc.down_bias, down * sizeof(float), 4, "down_bias");
        made.gate_up_bias = desc.gate_up_bias;
        made.down_bias = desc.down_bias;
        return;
    }
    std::vector<float> both;
    if (desc.gate_up_bias != nullptr) both.insert(both.end(), desc.gate_up_bias, desc.gate_up_bias + gate_up);
    const size_t down_begins = both.size();
    if (desc.down_bias != nullptr) both.insert(both.end(), desc.down_bias, desc.down_bias + down);
    made.biases = DeviceBuffer::copy_of(context, both.data(), both.size() * sizeof(float));
    if (desc.gate_up_bias != nullptr) made.gate_up_bias = made.biases.as<float>();
    if (desc.down_bias != nullptr) made.down_bias = made.biases.as<float>() + down_begins;
}

CodebookExperts codebook_view(const moek_experts& experts) {
    return {experts.gate.codebook, experts.up.codebook, experts.down.codebook};
}

QmoeExperts qmoe_view(const moek_experts& experts) {
    return {experts.gate.qmoe, experts.up.qmoe, experts.down.qmoe};
}

DenseExperts dense_view(const moek_experts& experts) {
    return {experts.gate_up.dense, experts.down.dense, experts.order};
}

}  // namespace

uint64_t experts_workspace(const moek_experts& experts, int64_t slots) {
    if (experts.packed()) {
        // Gate and up run together.
        uint64_t in = stack_workspace(experts.up, slots);
        if (experts.activation.gated) in += stack_workspace(experts.gate, slots);
        return std::max(in, stack_workspace(experts.down, slots));
    }
    const uint64_t halves = std::max(stack_workspace(experts.gate_up, slots), stack_workspace(experts.down, slots));
    return std::max(halves, decode_layer_workspace(slots));
}

void run_experts_in(const moek_experts& experts, ExpertsIn call, const Workspace& workspace, const Launch& launch) {
    if (call.groups.max_slots == 0) return;
    call.gate_up_bias = experts.gate_up_bias;
    call.activation = experts.activation;
    switch (experts.down.type) {
        case Element::kCodebook:
            return check(launch_codebook_in(call, codebook_view(experts), workspace, launch), "codebook gate and up");
        case Element::kQmoe:
            return check(launch_qmoe_in(call, qmoe_view(experts), workspace, launch), "codeword gate and up");
        default:
            return check(launch_dense_in(call, dense_view(experts), workspace, launch), "gate and up");
    }
}

void run_experts_out(const moek_experts& experts, ExpertsOut call, const Workspace& workspace, const Launch& launch) {
    if (call.groups.max_slots == 0) return;
    call.down_bias = experts.down_bias;
    switch (experts.down.type) {
        case Element::kCodebook:
            return check(launch_codebook_out(call, codebook_view(experts), workspace, launch), "codebook down");
        case Element::kQmoe:
            return check(launch_qmoe_out(call, qmoe_view(experts), workspace, launch), "codeword down");
        default:
            return check(launch_dense_out(call, dense_view(experts), workspace, launch), "down");
    }
}

void run_experts(const moek_experts& experts, DecodeLayer steps, const Workspace& workspace, const Launch& launch) {
    steps.in.gate_up_bias = experts.gate_up_bias;
    steps.in.activation = experts.activation;
    steps.out.down_bias = experts.down_bias;
    if (!experts.packed() && decode_layer_takes(steps, dense_view(experts))) {
        return check(launch_decode_layer(steps, dense_view(experts), workspace, launch), "experts of few tokens");
    }
    run_experts_in(experts, steps.in, workspace, launch);
    run_experts_out(experts, steps.out, workspace, launch);
    check(launch_combine(steps.combine, launch), "combine");
}

}  // namespace moek

using namespace moek;

void moek_experts_desc_init(moek_experts_desc* desc) {
    if (desc != nullptr) *desc = default_desc();
}

moek_status moek_supports(moek_context* context, const moek_experts_desc* desc, int64_t max_tokens) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(max_tokens, 0, INT32_MAX, "max_tokens");
        check_desc(take(desc, default_desc(), kLeastExpertsDesc, "desc"));
    });
}

moek_status moek_experts_create(moek_experts** experts, moek_context* context, const moek_experts_desc* desc) {
    return guarded([&] {
        require_pointer(experts, "experts");
        *experts = nullptr;
        require_pointer(context, "context");
        const moek_experts_desc taken = take(desc, default_desc(), kLeastExpertsDesc, "desc");
        check_desc(taken);
        DeviceScope scope(*context);
        auto made = std::make_unique<moek_experts>(*context);
        made->experts = taken.experts;
        made->hidden = taken.hidden;
        made->intermediate = taken.intermediate;
        made->activation = {static_cast<ActivationKind>(taken.activation & ~MOEK_ACT_GATED), gated(taken), taken.alpha,
                            taken.limit};
        made->order = static_cast<GateUpOrder>(taken.gate_up_order);
        if (packed(taken)) {
            place_packed(*made, *context, taken);
        } else {
            place_dense(*made, *context, taken);
        }
        place_biases(*made, *context, taken);
        *experts = made.release();
    });
}

void moek_experts_destroy(moek_experts* experts) {
    destroy_on_device(experts);
}

moek_status moek_experts_bytes(uint64_t* bytes, const moek_experts* experts) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        require_pointer(experts, "experts");
        *bytes = experts->gate_up.owned_bytes() + experts->gate.owned_bytes() + experts->up.owned_bytes() +
                 experts->down.owned_bytes() + experts->biases.bytes();
    });
}
