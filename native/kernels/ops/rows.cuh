// Operations on rows of fp32: norms, rotary positions, gates. One block a row; sums go over the row's quads round the
// threads, so their order depends on the width alone.
#pragma once

#include "device/launch.cuh"
#include "device/math.cuh"
#include "device/reduce.cuh"
#include "device/vector.cuh"
#include "kernels/ops/ops.hpp"

namespace moek {

constexpr int kRowThreads = 256;

// Sum over a row of f(quad), which must be 0 for a quad of zeros. All threads of the block.
template <class T, bool kWhole, class Function>
MOEK_DEVICE float sum_row(const T* row, int32_t width, float* scratch, Function function) {
    float sum = 0.0f;
    for (int32_t i = threadIdx.x * kQuad; i < width; i += blockDim.x * kQuad)
        sum = function(sum, load_quad<T, kWhole>(row, i, width), i);
    return block_sum(sum, scratch);
}

// y = x / sqrt(mean(x^2) + epsilon) * (weight + offset).
//
// Grid    one block a row.
// Block   32 threads for short rows, else kRowThreads: by width alone.
// Needs   kWhole: rows of whole quads, aligned to them. y may be x.
// Moves   the row twice, from cache the second time, and writes it (derived).
template <bool kWhole>
__global__ void __launch_bounds__(kRowThreads) rms_norm_kernel(RmsNorm call) {
    MOEK_SHARED(float, scratch, [32]);
    const float* x = call.x + blockIdx.x * call.x_stride;
    float* y = call.y + blockIdx.x * call.y_stride;
    const float squares = sum_row<float, kWhole>(
        x, call.width, scratch, [](float sum, const float4& quad, int32_t) { return add_products(sum, quad, quad); });
    const float scale = 1.0f / sqrtf(squares / static_cast<float>(call.width) + call.epsilon);
    for (int32_t i = threadIdx.x; i < call.width; i += blockDim.x) {
        const float scaled = x[i] * scale;
        y[i] = call.weight == nullptr ? scaled : scaled * (call.weight[i] + call.offset);
    }
}

// y = (x - mean) / sqrt(variance + epsilon) * weight + bias.
//
// Grid, block, needs, moves: as rms_norm_kernel, with one more reading from cache.
template <bool kWhole>
__global__ void __launch_bounds__(kRowThreads) layer_norm_kernel(LayerNorm call) {
    MOEK_SHARED(float, scratch, [2][32]);
    const float* x = call.x + static_cast<int64_t>(blockIdx.x) * call.width;
    float* y = call.y + static_cast<int64_t>(blockIdx.x) * call.width;
    const int32_t width = call.width;
    const float count = static_cast<float>(width);
    const float sum = sum_row<float, kWhole>(x, width, scratch[0], [](float partial, const float4& quad, int32_t) {
        return partial + quad.x + quad.y + quad.z + quad.w;
    });
    const float mean = sum / count;
    const float squares =
        sum_row<float, kWhole>(x, width, scratch[1], [=](float partial, const float4& quad, int32_t i) {
            const float4 centred =
                make_float4(quad.x - mean, i + 1 < width ? quad.y - mean : 0.0f, i + 2 < width ? quad.z - mean : 0.0f,
                            i + 3 < width ? quad.w - mean : 0.0f);
            return add_products(partial, centred, centred);
        });
    const float scale = 1.0f / sqrtf(squares / count + call.epsilon);
    for (int32_t i = threadIdx.x; i < width; i += blockDim.x) {
        float value = (x[i] - mean) * scale;
        if (call.weight != nullptr) value *= call.weight[i];
        y[i] = call.bias == nullptr ? value : value + call.bias[i];
    }
}

// Rotary positions in place: (a, b) -> (a c - b s, b c + a s), not fused.
//
// Grid    one block a row.
// Block   a thread a pair, round the heads.
// Moves   the rotated part of every head, read and written once (derived).
__global__ void __launch_bounds__(kRowThreads) rope_kernel(Rope call) {
    const int32_t pairs = call.dimensions / 2;
    const float* cosines = call.angles + static_cast<int64_t>(blockIdx.x) * call.dimensions;
    const float* sines = cosines + pairs;
    float* row = call.x + blockIdx.x * call.row_stride;
    for (int64_t i = threadIdx.x; i < static_cast<int64_t>(call.heads) * pairs; i += blockDim.x) {
        const int32_t pair = static_cast<int32_t>(i % pairs);
        float* head = row + i / pairs * call.head_stride;
        float* first = head + (call.interleaved ? 2 * pair : pair);
        float* second = first + (call.interleaved ? 1 : pairs);
        const float a = *first;
        const float b = *second;
        *first = a * cosines[pair] - b * sines[pair];
        *second = b * cosines[pair] + a * sines[pair];
    }
}

// y[r, i] *= sigmoid(gate[r, i]).
//
// Grid    one block a row.
// Block   round the row.
// Moves   3 words an element (derived).
__global__ void __launch_bounds__(kRowThreads)
    gate_kernel(float* y, const float* gate, int32_t width, int64_t gate_stride) {
    float* row = y + static_cast<int64_t>(blockIdx.x) * width;
    const float* gates = gate + blockIdx.x * gate_stride;
    for (int32_t i = threadIdx.x; i < width; i += blockDim.x) row[i] *= sigmoid(gates[i]);
}

// x[r, i] *= factors[r].
//
// Grid    one block a row.
// Block   round the row.
// Moves   2 words an element (derived).
__global__ void __launch_bounds__(kRowThreads)
    scale_rows_kernel(float* x, const float* factors, int32_t width, int64_t stride) {
    float* row = x + blockIdx.x * stride;
    const float factor = factors[blockIdx.x];
    for (int32_t i = threadIdx.x; i < width; i += blockDim.x) row[i] *= factor;
}

// y[r] *= sigmoid(x[r] . weight + bias).
//
// Grid    one block a row.
// Block   kRowThreads.
// Needs   kWhole: inputs % 4 == 0, x and weight aligned to 4 elements.
// Moves   a row of x, and of y twice (derived).
template <class X, class W, bool kWhole>
__global__ void __launch_bounds__(kRowThreads) shared_gate_kernel(SharedGate call) {
    MOEK_SHARED(float, scratch, [32]);
    const X* x = static_cast<const X*>(call.x) + static_cast<int64_t>(blockIdx.x) * call.inputs;
    const W* weight = static_cast<const W*>(call.weight);
    const float dot = sum_row<X, kWhole>(x, call.inputs, scratch, [=](float sum, const float4& quad, int32_t i) {
        return add_products(sum, quad, load_quad<W, kWhole>(weight, i, call.inputs));
    });
    const float factor = sigmoid(call.bias == nullptr ? dot : dot + *call.bias);
    float* y = call.y + static_cast<int64_t>(blockIdx.x) * call.width;
    for (int32_t i = threadIdx.x; i < call.width; i += blockDim.x) y[i] *= factor;
}

}  // namespace moek
