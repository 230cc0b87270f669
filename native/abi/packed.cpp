#include "moek/packed.h"

#include <memory>

#include "abi/arguments.hpp"
#include "abi/stack.hpp"

// Opaque to callers, so it lives in the global namespace under its C name.
struct moek_weights {
    explicit moek_weights(moek_context& given) : context(given) {}

    moek::ContextReference context;
    moek::Stack stack;
};

using namespace moek;

namespace {

constexpr int64_t kMaxSlots = INT32_MAX;

moek_weights_desc default_desc() {
    moek_weights_desc desc{};
    desc.struct_size = sizeof desc;
    desc.scale_block_rows = 128;
    desc.scale_block_columns = 128;
    return desc;
}

void check_same(int64_t described, int64_t given, const char* name) {
    if (described != given) {
        fail(MOEK_E_ARGUMENT, "%s is %lld in the description of the data and %lld in desc", name,
             static_cast<long long>(described), static_cast<long long>(given));
    }
}

Stack make_stack(moek_context& context, const moek_weights_desc& desc) {
    const bool borrow = (desc.flags & MOEK_BORROW) != 0;
    if (desc.dtype == MOEK_CODEBOOK) {
        const moek_codebook_desc codebook = checked_codebook(desc.data, "data");
        check_same(codebook.matrices, desc.matrices, "matrices");
        check_same(codebook.rows, desc.rows, "rows");
        check_same(codebook.columns, desc.columns, "columns");
        return make_codebook(context, codebook, borrow, "data");
    }
    if (desc.dtype == MOEK_QMOE) {
        const moek_qmoe_desc qmoe = checked_qmoe(desc.data, "data");
        check_same(qmoe.matrices, desc.matrices, "matrices");
        check_same(qmoe.rows, desc.rows, "rows");
        check_same(qmoe.columns, desc.columns, "columns");
        return make_qmoe(context, qmoe, borrow, "data");
    }
    DenseSource source;
    source.data = desc.data;
    source.scales = desc.scales;
    source.dtype = desc.dtype;
    source.matrices = desc.matrices;
    source.rows = desc.rows;
    source.columns = desc.columns;
    source.scale_block_rows = desc.scale_block_rows;
    source.scale_block_columns = desc.scale_block_columns;
    source.borrow = borrow;
    check_dense(source);
    if (desc.data_bytes != dense_data_bytes(source) || desc.scale_bytes != dense_scale_bytes(source)) {
        fail(MOEK_E_ARGUMENT, "data_bytes and scale_bytes are %llu and %llu where %llu and %llu belong",
             static_cast<unsigned long long>(desc.data_bytes), static_cast<unsigned long long>(desc.scale_bytes),
             static_cast<unsigned long long>(dense_data_bytes(source)),
             static_cast<unsigned long long>(dense_scale_bytes(source)));
    }
    return make_dense(context, source);
}

// Both products check and run alike; a linear layer has no groups.
moek_status multiply(void* y, moek_context* context, const moek_weights* weights, const float* bias, const void* x,
                     int32_t io_dtype, const int32_t* offsets, bool grouped, int64_t slots, void* workspace,
                     uint64_t workspace_bytes, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_pointer(weights, "weights");
        require_range(slots, 0, kMaxSlots, grouped ? "slots" : "rows");
        const Stack& stack = weights->stack;
        GroupedLinear call;
        call.io = io_element(io_dtype);
        const uint64_t size = element_bytes(io_dtype, "io_dtype");
        const uint64_t count = static_cast<uint64_t>(slots);
        const uint64_t x_bytes = product(count * size, stack.columns(), "x");
        const uint64_t y_bytes = product(count * size, stack.rows(), "y");
        const uint64_t groups = grouped ? stack.matrices() : 1;
        DeviceScope scope(*context);
        if (slots == 0) return;
        require_device(*context, x, x_bytes, 16, "x");
        require_device(*context, y, y_bytes, 16, "y");
        require_apart(x, x_bytes, "x", y, y_bytes, "y");
        require_device_or_null(*context, bias, groups * stack.rows() * sizeof(float), 4, "bias");
        if (grouped) require_device(*context, offsets, (groups + 1) * sizeof(int32_t), 4, "expert_offsets");
        require_workspace(*context, workspace, workspace_bytes, stack_workspace(stack, slots));
        call.groups.offsets = offsets;
        call.groups.experts = static_cast<int32_t>(groups);
        call.groups.max_slots = static_cast<int32_t>(slots);
        call.x = x;
        call.bias = bias;
        call.y = y;
        run_linear(stack, call, {workspace, workspace_bytes}, launch_on(*context, stream));
    });
}

}  // namespace

void moek_codebook_desc_init(moek_codebook_desc* desc) {
    if (desc == nullptr) return;
    *desc = {};
    desc->struct_size = sizeof *desc;
}

void moek_qmoe_desc_init(moek_qmoe_desc* desc) {
    if (desc == nullptr) return;
    *desc = {};
    desc->struct_size = sizeof *desc;
}

void moek_weights_desc_init(moek_weights_desc* desc) {
    if (desc != nullptr) *desc = default_desc();
}

moek_status moek_weights_create(moek_weights** weights, moek_context* context, const moek_weights_desc* desc) {
    return guarded([&] {
        require_pointer(weights, "weights");
        *weights = nullptr;
        require_pointer(context, "context");
        const moek_weights_desc taken = take(desc, default_desc(), sizeof(moek_weights_desc), "desc");
        if ((taken.flags & ~static_cast<uint32_t>(MOEK_BORROW)) != 0) {
            fail(MOEK_E_ARGUMENT, "desc.flags has unknown bits");
        }
        DeviceScope scope(*context);
        auto made = std::make_unique<moek_weights>(*context);
        made->stack = make_stack(*context, taken);
        *weights = made.release();
    });
}

void moek_weights_destroy(moek_weights* weights) {
    destroy_on_device(weights);
}

moek_status moek_weights_bytes(uint64_t* bytes, const moek_weights* weights) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        require_pointer(weights, "weights");
        *bytes = weights->stack.owned_bytes();
    });
}

moek_status moek_linear_workspace(uint64_t* bytes, const moek_weights* weights, int64_t rows) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        require_pointer(weights, "weights");
        require_range(rows, 0, kMaxSlots, "rows");
        *bytes = stack_workspace(weights->stack, rows);
    });
}

moek_status moek_linear(void* y, moek_context* context, const moek_weights* weights, const float* bias, const void* x,
                        int32_t io_dtype, int64_t rows, void* workspace, uint64_t workspace_bytes, void* stream) {
    return multiply(y, context, weights, bias, x, io_dtype, nullptr, false, rows, workspace, workspace_bytes, stream);
}

moek_status moek_grouped_gemm(void* y, moek_context* context, const moek_weights* weights, const float* bias,
                              const void* x, int32_t io_dtype, const int32_t* expert_offsets, int64_t slots,
                              void* workspace, uint64_t workspace_bytes, void* stream) {
    return multiply(y, context, weights, bias, x, io_dtype, expert_offsets, true, slots, workspace, workspace_bytes,
                    stream);
}
