// Rows into expert order and back.
#pragma once

#include "device/launch.cuh"
#include "device/types.cuh"
#include "device/vector.cuh"
#include "kernels/permute/permute.hpp"

namespace moek {

constexpr int kRowThreads = 256;

// Where a block works: a token, and the elements of its row from `first` in steps of `step`.
struct RowPart {
    int64_t token;
    int64_t first, step;
};

template <int kVector>
MOEK_DEVICE RowPart row_part() {
    int64_t column = static_cast<int64_t>(blockIdx.y) * blockDim.x + threadIdx.x;
    return {static_cast<int64_t>(blockIdx.x), column * kVector, static_cast<int64_t>(gridDim.y) * blockDim.x * kVector};
}

// Dispatch: xp[slot_of[t, j]] = x[t], times weights[t, j] when kScaled, in fp32 and rounded to nearest even.
//
// Grid    tokens x parts of a row: a token's row is read once and written k times.
// Block   up to kRowThreads threads; a thread moves kVector elements (16 bytes, or one where rows are not aligned).
// Needs   width % kVector == 0; x and xp aligned to kVector elements. Rows of dropped choices do not exist.
// Moves   T + N rows (derived); bound by memory.
template <typename T, int kVector, bool kScaled>
__global__ void __launch_bounds__(kRowThreads) dispatch_kernel(DispatchRows call) {
    using Pack = Vector<T, kVector>;
    const RowPart part = row_part<kVector>();
    const int32_t top_k = call.plan.top_k;
    const int64_t choice = part.token * top_k;
    const T* source = static_cast<const T*>(call.x) + part.token * call.width;
    for (int64_t i = part.first; i < call.width; i += part.step) {
        const Pack row = load_vector<T, kVector>(source + i);
        for (int32_t j = 0; j < top_k; ++j) {
            const int64_t slot = call.plan.slot_of[choice + j];
            if (slot < 0) continue;
            Pack out = row;
            if constexpr (kScaled) {
                const float weight = call.weights[choice + j];
#pragma unroll
                for (int v = 0; v < kVector; ++v) out.values[v] = from_float<T>(weight * to_float(row.values[v]));
            }
            store_vector(static_cast<T*>(call.xp) + slot * call.width + i, out);
        }
    }
}

// sum[v] += weight * row[v], fused.
template <typename T, int kVector>
MOEK_DEVICE void add_scaled(float (&sum)[kVector], float weight, const T* row) {
    const Vector<T, kVector> values = load_vector<T, kVector>(row);
#pragma unroll
    for (int v = 0; v < kVector; ++v) sum[v] = fmaf(weight, to_float(values.values[v]), sum[v]);
}

// sum[v] += row[v].
template <typename T, int kVector>
MOEK_DEVICE void add_row(float (&sum)[kVector], const T* row) {
    const Vector<T, kVector> values = load_vector<T, kVector>(row);
#pragma unroll
    for (int v = 0; v < kVector; ++v) sum[v] += to_float(values.values[v]);
}

// Elements [i, i + kVector) of the combined row of a token: the sum over j, ascending and fused from +0, of
// weight[t, j] * yp[slot_of[t, j]]; a dropped choice gives weight * dropped[t], or nothing. Then the shared expert's
// row, then what y held, then one rounding.
template <typename T, int kVector>
MOEK_DEVICE void combine_elements(const CombineRows& call, int64_t token, int64_t i) {
    const int32_t top_k = call.plan.top_k;
    const int64_t choice = token * top_k;
    const int64_t row = token * call.width;
    const T* dropped = static_cast<const T*>(call.dropped);
    float sum[kVector] = {};
#pragma unroll 2
    for (int32_t j = 0; j < top_k; ++j) {
        const int64_t slot = call.plan.slot_of[choice + j];
        const float weight = call.weights == nullptr ? call.factor : call.weights[choice + j] * call.factor;
        if (slot >= 0)
            add_scaled<float, kVector>(sum, weight, call.yp + slot * call.width + i);
        else if (dropped != nullptr)
            add_scaled<T, kVector>(sum, weight, dropped + row + i);
    }
    T* y = static_cast<T*>(call.y) + row + i;
    if (call.shared != nullptr) add_row<float, kVector>(sum, call.shared + row + i);
    if (call.accumulate) add_row<T, kVector>(sum, y);
    Vector<T, kVector> out;
#pragma unroll
    for (int v = 0; v < kVector; ++v) out.values[v] = from_float<T>(sum[v]);
    store_vector(y, out);
}

// Combine: y[t] from the rows of the token's choices.
//
// Grid    tokens x parts of a row.
// Block   up to kRowThreads threads; a thread owns kVector elements and walks the choices.
// Needs   width % kVector == 0; yp, dropped, shared and y aligned to kVector of their elements.
// Moves   N rows of fp32 and T rows of y (derived); bound by memory.
template <typename T, int kVector>
__global__ void __launch_bounds__(kRowThreads) combine_kernel(CombineRows call) {
    const RowPart part = row_part<kVector>();
    for (int64_t i = part.first; i < call.width; i += part.step) combine_elements<T, kVector>(call, part.token, i);
}

}  // namespace moek
