#include "moek/ops.h"

#include <cmath>

#include "abi/arguments.hpp"
#include "abi/stack.hpp"
#include "kernels/ops/ops.hpp"

using namespace moek;

namespace {

constexpr int64_t kMaxRows = INT32_MAX;
constexpr int32_t kMaxWidth = 1 << 24;
constexpr int64_t kMaxStride = int64_t{1} << 40;
constexpr uint64_t kFloat = sizeof(float);

// Bytes from the first to the last element of rows that lie a stride apart.
uint64_t span(int64_t rows, int64_t width, int64_t stride, const char* name) {
    if (rows == 0 || width == 0) return 0;
    return product(product(rows - 1, stride, name) + width, kFloat, name);
}

void check_epsilon(float epsilon) {
    if (!(epsilon > 0) || !std::isfinite(epsilon)) fail(MOEK_E_ARGUMENT, "epsilon is not a positive number");
}

// Two views of one buffer must be the same rows; anything between is an overlap.
void check_in_place(const void* x, uint64_t x_bytes, int64_t x_stride, const void* y, uint64_t y_bytes,
                    int64_t y_stride) {
    if (x != y || x_stride != y_stride) require_apart(x, x_bytes, "x", y, y_bytes, "y");
}

moek_attention_args default_args() {
    moek_attention_args args{};
    args.struct_size = sizeof args;
    return args;
}

void check_strides(const moek_attention_args& args) {
    const int64_t strides[] = {args.q_stride, args.q_head_stride, args.k_stride, args.k_head_stride,
                               args.v_stride, args.v_head_stride, args.y_stride, args.y_head_stride};
    for (const int64_t stride : strides) require_range(stride, 0, kMaxStride, "a stride");
}

moek_heads_args default_heads() {
    moek_heads_args args{};
    args.struct_size = sizeof args;
    return args;
}

// Elements from the first to the last one of heads that lie strides apart.
uint64_t extent(const moek_heads_args& args, int64_t stride, int64_t head_stride, const char* name) {
    return product(args.rows - 1, stride, name) + product(args.heads - 1, head_stride, name) + args.width;
}

// Heads may lie inside rows or rows inside heads.
void check_heads_apart(const moek_heads_args& args) {
    const bool heads_inside =
        args.y_head_stride >= args.width && args.y_stride >= args.y_head_stride * (args.heads - 1) + args.width;
    const bool rows_inside =
        args.y_stride >= args.width && args.y_head_stride >= args.y_stride * (args.rows - 1) + args.width;
    if (!heads_inside && !rows_inside) fail(MOEK_E_ARGUMENT, "y_stride and y_head_stride make heads of y overlap");
}

// The mask and the bias by distance, if there are any.
void check_visibility(const moek_context& context, const moek_attention_args& args) {
    require_range(args.bias_reach, 0, 1 << 20, "bias_reach");
    require_range(args.reserved0, 0, 0, "reserved0");
    if (args.mask != nullptr) {
        require_range(args.positions, 1, INT32_MAX, "positions of a mask");
        require_device(context, args.mask, args.positions * sizeof(int32_t), 4, "mask");
    }
    if (args.bias == nullptr) return;
    const uint64_t distances = 2 * static_cast<uint64_t>(args.bias_reach) + 1;
    require_device(context, args.bias, args.heads * distances * kFloat, 4, "bias");
    require_device(context, args.places, args.rows * sizeof(int32_t), 4, "places");
}

Attention attention_of(const moek_attention_args& args) {
    Attention call;
    call.rows = args.rows;
    call.heads = args.heads;
    call.kv_heads = args.kv_heads;
    call.key_dim = args.key_dim;
    call.value_dim = args.value_dim;
    call.scale = args.scale;
    call.q = args.q;
    call.k = args.k;
    call.v = args.v;
    call.y = args.y;
    call.first = args.first;
    call.last = args.last;
    call.sinks = args.sinks;
    call.q_stride = args.q_stride;
    call.q_head_stride = args.q_head_stride;
    call.k_stride = args.k_stride;
    call.k_head_stride = args.k_head_stride;
    call.v_stride = args.v_stride;
    call.v_head_stride = args.v_head_stride;
    call.y_stride = args.y_stride;
    call.y_head_stride = args.y_head_stride;
    call.mask = args.mask;
    call.bias = args.bias;
    call.places = args.places;
    call.bias_reach = args.bias_reach;
    call.positions = args.positions;
    call.workspace = {args.workspace, args.workspace_bytes};
    return call;
}

}  // namespace

moek_status moek_rms_norm(float* y, moek_context* context, const float* x, const float* weight, float offset,
                          float epsilon, int64_t rows, int32_t width, int64_t x_stride, int64_t y_stride,
                          void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(rows, 0, kMaxRows, "rows");
        require_range(width, 1, kMaxWidth, "width");
        require_range(x_stride, width, INT64_MAX, "x_stride");
        require_range(y_stride, width, INT64_MAX, "y_stride");
        check_epsilon(epsilon);
        DeviceScope scope(*context);
        if (rows == 0) return;
        const uint64_t x_bytes = span(rows, width, x_stride, "x");
        const uint64_t y_bytes = span(rows, width, y_stride, "y");
        require_device(*context, x, x_bytes, 4, "x");
        require_device(*context, y, y_bytes, 4, "y");
        require_device_or_null(*context, weight, width * kFloat, 4, "weight");
        check_in_place(x, x_bytes, x_stride, y, y_bytes, y_stride);
        RmsNorm call;
        call.y = y;
        call.x = x;
        call.weight = weight;
        call.offset = offset;
        call.epsilon = epsilon;
        call.rows = rows;
        call.width = width;
        call.x_stride = x_stride;
        call.y_stride = y_stride;
        check(launch_rms_norm(call, launch_on(*context, stream)), "RMS norm");
    });
}

moek_status moek_layer_norm(float* y, moek_context* context, const float* x, const float* weight, const float* bias,
                            float epsilon, int64_t rows, int32_t width, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(rows, 0, kMaxRows, "rows");
        require_range(width, 1, kMaxWidth, "width");
        check_epsilon(epsilon);
        DeviceScope scope(*context);
        if (rows == 0) return;
        const uint64_t bytes = span(rows, width, width, "x");
        require_device(*context, x, bytes, 4, "x");
        require_device(*context, y, bytes, 4, "y");
        require_device_or_null(*context, weight, width * kFloat, 4, "weight");
        require_device_or_null(*context, bias, width * kFloat, 4, "bias");
        check_in_place(x, bytes, width, y, bytes, width);
        LayerNorm call;
        call.y = y;
        call.x = x;
        call.weight = weight;
        call.bias = bias;
        call.epsilon = epsilon;
        call.rows = rows;
        call.width = width;
        check(launch_layer_norm(call, launch_on(*context, stream)), "layer norm");
    });
}

moek_status moek_add(float* x, moek_context* context, const float* y, float factor, int64_t count, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(count, 0, INT64_MAX / 4, "count");
        DeviceScope scope(*context);
        if (count == 0) return;
        const uint64_t bytes = static_cast<uint64_t>(count) * kFloat;
        require_device(*context, x, bytes, 4, "x");
        require_device(*context, y, bytes, 4, "y");
        require_apart(x, bytes, "x", y, bytes, "y");
        check(launch_add(x, y, factor, count, launch_on(*context, stream)), "residual sum");
    });
}

moek_status moek_rope(float* x, moek_context* context, const float* angles, int64_t rows, int32_t heads,
                      int32_t dimensions, int32_t interleaved, int64_t row_stride, int64_t head_stride, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(rows, 0, kMaxRows, "rows");
        require_range(heads, 1, 1 << 16, "heads");
        require_range(dimensions, 2, 1 << 16, "dimensions");
        if (dimensions % 2 != 0) fail(MOEK_E_ARGUMENT, "dimensions is odd: %d", dimensions);
        require_range(interleaved, 0, 1, "interleaved");
        require_range(head_stride, dimensions, INT32_MAX, "head_stride");
        require_range(row_stride, head_stride * (heads - 1) + dimensions, INT64_MAX, "row_stride");
        DeviceScope scope(*context);
        if (rows == 0) return;
        const int64_t row_width = head_stride * (heads - 1) + dimensions;
        require_device(*context, x, span(rows, row_width, row_stride, "x"), 4, "x");
        require_device(*context, angles, span(rows, dimensions, dimensions, "angles"), 4, "angles");
        Rope call;
        call.x = x;
        call.angles = angles;
        call.rows = rows;
        call.heads = heads;
        call.dimensions = dimensions;
        call.interleaved = interleaved != 0;
        call.row_stride = row_stride;
        call.head_stride = head_stride;
        check(launch_rope(call, launch_on(*context, stream)), "rotary positions");
    });
}

void moek_attention_args_init(moek_attention_args* args) {
    if (args != nullptr) *args = default_args();
}

moek_status moek_attention_workspace(uint64_t* bytes, int32_t rows, int32_t heads, int32_t value_dim,
                                     int32_t positions) {
    return guarded([&] {
        require_pointer(bytes, "bytes");
        require_range(rows, 0, INT32_MAX, "rows");
        require_range(heads, 1, 1 << 16, "heads");
        require_range(value_dim, 1, 512, "value_dim");
        require_range(positions, 0, INT32_MAX, "positions");
        *bytes = attention_workspace(rows, heads, value_dim, positions);
    });
}

moek_status moek_attention(moek_context* context, const moek_attention_args* args, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        const moek_attention_args taken = take(args, default_args(), sizeof(moek_attention_args), "args");
        require_range(taken.rows, 0, INT32_MAX, "rows");
        require_range(taken.kv_heads, 1, 1 << 16, "kv_heads");
        require_range(taken.heads, taken.kv_heads, 1 << 16, "heads");
        if (taken.heads % taken.kv_heads != 0) {
            fail(MOEK_E_ARGUMENT, "heads: %d is no multiple of %d kv_heads", taken.heads, taken.kv_heads);
        }
        require_range(taken.key_dim, 1, 576, "key_dim");
        require_range(taken.value_dim, 1, 512, "value_dim");
        check_strides(taken);
        require_range(taken.positions, 0, INT32_MAX, "positions");
        DeviceScope scope(*context);
        if (taken.rows == 0) return;
        const uint64_t row_bytes = static_cast<uint64_t>(taken.rows) * sizeof(int32_t);
        require_device(*context, taken.q, 1, 4, "q");
        require_device(*context, taken.k, 1, 4, "k");
        require_device(*context, taken.v, 1, 4, "v");
        require_device(*context, taken.y, 1, 4, "y");
        require_device(*context, taken.first, row_bytes, 4, "first");
        require_device(*context, taken.last, row_bytes, 4, "last");
        require_device_or_null(*context, taken.sinks, taken.heads * kFloat, 4, "sinks");
        require_device_or_null(*context, taken.workspace, taken.workspace_bytes, 256, "workspace");
        check_visibility(*context, taken);
        check(launch_attention(attention_of(taken), launch_on(*context, stream)), "attention");
    });
}

moek_status moek_clamp(float* x, moek_context* context, float limit, int64_t count, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(count, 0, INT64_MAX / 4, "count");
        if (!(limit >= 0)) fail(MOEK_E_ARGUMENT, "limit is negative or NaN");
        DeviceScope scope(*context);
        if (count == 0) return;
        require_device(*context, x, static_cast<uint64_t>(count) * kFloat, 4, "x");
        check(launch_clamp(x, limit, count, launch_on(*context, stream)), "clamp");
    });
}

moek_status moek_gate(float* y, moek_context* context, const float* gate, int64_t rows, int32_t width,
                      int64_t gate_stride, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(rows, 0, kMaxRows, "rows");
        require_range(width, 1, kMaxWidth, "width");
        require_range(gate_stride, width, INT64_MAX, "gate_stride");
        DeviceScope scope(*context);
        if (rows == 0) return;
        const uint64_t y_bytes = span(rows, width, width, "y");
        const uint64_t gate_bytes = span(rows, width, gate_stride, "gate");
        require_device(*context, y, y_bytes, 4, "y");
        require_device(*context, gate, gate_bytes, 4, "gate");
        require_apart(y, y_bytes, "y", gate, gate_bytes, "gate");
        check(launch_gate(y, gate, rows, width, gate_stride, launch_on(*context, stream)), "gate");
    });
}

moek_status moek_scale_rows(float* x, moek_context* context, const float* factors, int64_t rows, int32_t width,
                            int64_t stride, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(rows, 0, kMaxRows, "rows");
        require_range(width, 1, kMaxWidth, "width");
        require_range(stride, width, INT64_MAX, "stride");
        DeviceScope scope(*context);
        if (rows == 0) return;
        const uint64_t bytes = span(rows, width, stride, "x");
        require_device(*context, x, bytes, 4, "x");
        require_device(*context, factors, rows * kFloat, 4, "factors");
        require_apart(x, bytes, "x", factors, rows * kFloat, "factors");
        check(launch_scale_rows(x, factors, rows, width, stride, launch_on(*context, stream)), "scaled rows");
    });
}

void moek_heads_args_init(moek_heads_args* args) {
    if (args != nullptr) *args = default_heads();
}

moek_status moek_copy_heads(moek_context* context, const moek_heads_args* args, void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        const moek_heads_args taken = take(args, default_heads(), sizeof(moek_heads_args), "args");
        require_range(taken.rows, 0, kMaxRows, "rows");
        require_range(taken.heads, 1, 1 << 16, "heads");
        require_range(taken.width, 1, kMaxWidth, "width");
        require_range(taken.reserved0, 0, 0, "reserved0");
        for (const int64_t stride : {taken.x_stride, taken.x_head_stride, taken.y_stride, taken.y_head_stride})
            require_range(stride, 0, kMaxStride, "a stride");
        CopyHeads call;
        call.x_type = io_element(taken.x_dtype);
        call.y_type = io_element(taken.y_dtype);
        DeviceScope scope(*context);
        if (taken.rows == 0) return;
        const uint64_t x_size = element_bytes(taken.x_dtype, "x_dtype");
        const uint64_t y_size = element_bytes(taken.y_dtype, "y_dtype");
        const uint64_t x_bytes = product(extent(taken, taken.x_stride, taken.x_head_stride, "x"), x_size, "x");
        const uint64_t y_bytes = product(extent(taken, taken.y_stride, taken.y_head_stride, "y"), y_size, "y");
        check_heads_apart(taken);
        require_device(*context, taken.x, x_bytes, x_size, "x");
        require_device(*context, taken.y, y_bytes, y_size, "y");
        require_apart(taken.x, x_bytes, "x", taken.y, y_bytes, "y");
        call.x = taken.x;
        call.y = taken.y;
        call.rows = taken.rows;
        call.heads = taken.heads;
        call.width = taken.width;
        call.x_stride = taken.x_stride;
        call.x_head_stride = taken.x_head_stride;
        call.y_stride = taken.y_stride;
        call.y_head_stride = taken.y_head_stride;
        check(launch_copy_heads(call, launch_on(*context, stream)), "copy of heads");
    });
}

moek_status moek_convert(void* y, moek_context* context, const void* x, int32_t y_dtype, int32_t x_dtype, int64_t count,
                         void* stream) {
    return guarded([&] {
        require_pointer(context, "context");
        require_range(count, 0, INT64_MAX / 4, "count");
        const Element to = io_element(y_dtype);
        const Element from = io_element(x_dtype);
        if (to == from) fail(MOEK_E_ARGUMENT, "x_dtype and y_dtype are the same");
        DeviceScope scope(*context);
        if (count == 0) return;
        const uint64_t x_bytes = static_cast<uint64_t>(count) * element_bytes(x_dtype, "x_dtype");
        const uint64_t y_bytes = static_cast<uint64_t>(count) * element_bytes(y_dtype, "y_dtype");
        require_device(*context, x, x_bytes, 4, "x");
        require_device(*context, y, y_bytes, 4, "y");
        require_apart(x, x_bytes, "x", y, y_bytes, "y");
        check(launch_convert(y, to, x, from, count, launch_on(*context, stream)), "conversion");
    });
}
