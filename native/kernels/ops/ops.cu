#include "kernels/ops/elementwise.cuh"
#include "kernels/ops/heads.cuh"
#include "kernels/ops/ops.hpp"
#include "kernels/ops/rows.cuh"

namespace moek {
namespace {

// One block a row; the threads depend on the width alone, and so does the order of sums.
LaunchShape row_shape(int64_t rows, int64_t width, const Launch& launch) {
    constexpr int64_t kShort = 512;
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(rows));
    shape.block = dim3(width <= kShort ? 32 : kRowThreads);
    shape.stream = launch.stream;
    return shape;
}

bool rows_fit(int64_t rows) {
    return rows <= INT32_MAX;
}

template <class Operation>
cudaError_t for_elements(const Operation& operation, int64_t count, const Launch& launch) {
    if (count == 0) return cudaSuccess;
    constexpr int64_t kMaxBlocks = 1 << 20;
    const int64_t blocks = (count + 4 * kElementThreads - 1) / (4 * kElementThreads);
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(blocks < kMaxBlocks ? blocks : kMaxBlocks));
    shape.block = dim3(kElementThreads);
    shape.stream = launch.stream;
    return moek::launch(elementwise_kernel<Operation>, shape, operation, count);
}

template <class Y, class X>
bool whole_heads(const CopyHeads& call) {
    const int64_t all = call.width | call.x_stride | call.x_head_stride | call.y_stride | call.y_head_stride;
    return all % kQuad == 0 && aligned<X>(call.x, kQuad) && aligned<Y>(call.y, kQuad);
}

template <class Y, class X>
cudaError_t copy_heads_typed(const CopyHeads& call, const Launch& launch) {
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(call.rows), (call.heads + kHeadWarps - 1) / kHeadWarps);
    shape.block = dim3(kHeadThreads);
    shape.stream = launch.stream;
    return whole_heads<Y, X>(call) ? moek::launch(copy_heads_kernel<Y, X, true>, shape, call)
                                   : moek::launch(copy_heads_kernel<Y, X, false>, shape, call);
}

template <class Y>
cudaError_t copy_heads_to(const CopyHeads& call, const Launch& launch) {
    switch (call.x_type) {
        case Element::kF32:
            return copy_heads_typed<Y, float>(call, launch);
        case Element::kBF16:
            return copy_heads_typed<Y, bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

template <class X, class W>
cudaError_t shared_gate_typed(const SharedGate& call, const Launch& launch) {
    const LaunchShape shape = row_shape(call.rows, call.inputs, launch);
    const bool whole = call.inputs % kQuad == 0 && aligned<X>(call.x, kQuad) && aligned<W>(call.weight, kQuad);
    return whole ? moek::launch(shared_gate_kernel<X, W, true>, shape, call)
                 : moek::launch(shared_gate_kernel<X, W, false>, shape, call);
}

template <class X>
cudaError_t shared_gate_of(const SharedGate& call, const Launch& launch) {
    switch (call.weight_type) {
        case Element::kF32:
            return shared_gate_typed<X, float>(call, launch);
        case Element::kF16:
            return shared_gate_typed<X, f16>(call, launch);
        case Element::kBF16:
            return shared_gate_typed<X, bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

template <class To>
cudaError_t convert_to(void* y, const void* x, Element x_type, int64_t count, const Launch& launch) {
    To* to = static_cast<To*>(y);
    switch (x_type) {
        case Element::kF32:
            return for_elements(Convert<To, float>{to, static_cast<const float*>(x)}, count, launch);
        case Element::kF16:
            return for_elements(Convert<To, f16>{to, static_cast<const f16*>(x)}, count, launch);
        case Element::kBF16:
            return for_elements(Convert<To, bf16>{to, static_cast<const bf16*>(x)}, count, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

}  // namespace

cudaError_t launch_rms_norm(const RmsNorm& call, const Launch& launch) {
    if (call.rows == 0) return cudaSuccess;
    if (!rows_fit(call.rows)) return cudaErrorInvalidValue;
    const bool whole = call.width % kQuad == 0 && call.x_stride % kQuad == 0 && aligned<float>(call.x, kQuad);
    const LaunchShape shape = row_shape(call.rows, call.width, launch);
    return whole ? moek::launch(rms_norm_kernel<true>, shape, call) : moek::launch(rms_norm_kernel<false>, shape, call);
}

cudaError_t launch_layer_norm(const LayerNorm& call, const Launch& launch) {
    if (call.rows == 0) return cudaSuccess;
    if (!rows_fit(call.rows)) return cudaErrorInvalidValue;
    const bool whole = call.width % kQuad == 0 && aligned<float>(call.x, kQuad);
    const LaunchShape shape = row_shape(call.rows, call.width, launch);
    return whole ? moek::launch(layer_norm_kernel<true>, shape, call)
                 : moek::launch(layer_norm_kernel<false>, shape, call);
}

cudaError_t launch_rope(const Rope& call, const Launch& launch) {
    if (call.rows == 0) return cudaSuccess;
    if (!rows_fit(call.rows)) return cudaErrorInvalidValue;
    const int64_t pairs = static_cast<int64_t>(call.heads) * (call.dimensions / 2);
    return moek::launch(rope_kernel, row_shape(call.rows, pairs, launch), call);
}

cudaError_t launch_add(float* x, const float* y, float factor, int64_t count, const Launch& launch) {
    return for_elements(AddScaled{x, y, factor}, count, launch);
}

cudaError_t launch_clamp(float* x, float limit, int64_t count, const Launch& launch) {
    return for_elements(Clamp{x, limit}, count, launch);
}

cudaError_t launch_gate(float* y, const float* gate, int64_t rows, int32_t width, int64_t gate_stride,
                        const Launch& launch) {
    if (rows == 0) return cudaSuccess;
    if (!rows_fit(rows)) return cudaErrorInvalidValue;
    return moek::launch(gate_kernel, row_shape(rows, width, launch), y, gate, width, gate_stride);
}

cudaError_t launch_scale_rows(float* x, const float* factors, int64_t rows, int32_t width, int64_t stride,
                              const Launch& launch) {
    if (rows == 0) return cudaSuccess;
    if (!rows_fit(rows)) return cudaErrorInvalidValue;
    return moek::launch(scale_rows_kernel, row_shape(rows, width, launch), x, factors, width, stride);
}

cudaError_t launch_copy_heads(const CopyHeads& call, const Launch& launch) {
    if (call.rows == 0) return cudaSuccess;
    if (!rows_fit(call.rows)) return cudaErrorInvalidValue;
    switch (call.y_type) {
        case Element::kF32:
            return copy_heads_to<float>(call, launch);
        case Element::kBF16:
            return copy_heads_to<bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

cudaError_t launch_shared_gate(const SharedGate& call, const Launch& launch) {
    if (call.rows == 0) return cudaSuccess;
    switch (call.io) {
        case Element::kF32:
            return shared_gate_of<float>(call, launch);
        case Element::kF16:
            return shared_gate_of<f16>(call, launch);
        case Element::kBF16:
            return shared_gate_of<bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

cudaError_t launch_convert(void* y, Element y_type, const void* x, Element x_type, int64_t count,
                           const Launch& launch) {
    switch (y_type) {
        case Element::kF32:
            return convert_to<float>(y, x, x_type, count, launch);
        case Element::kF16:
            return convert_to<f16>(y, x, x_type, count, launch);
        case Element::kBF16:
            return convert_to<bf16>(y, x, x_type, count, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

}  // namespace moek
