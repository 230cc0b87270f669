// Operations on elements by themselves.
#pragma once

#include "device/launch.cuh"
#include "device/vector.cuh"

namespace moek {

constexpr int kElementThreads = 256;

struct AddScaled {
    float* x;
    const float* y;
    float factor;
    MOEK_DEVICE void operator()(int64_t i) const { x[i] = fmaf(factor, y[i], x[i]); }
};

// NaN stays NaN.
struct Clamp {
    float* x;
    float limit;
    MOEK_DEVICE void operator()(int64_t i) const {
        const float value = x[i];
        x[i] = value < -limit ? -limit : value > limit ? limit : value;
    }
};

template <class To, class From>
struct Convert {
    To* y;
    const From* x;
    MOEK_DEVICE void operator()(int64_t i) const { y[i] = from_float<To>(to_float(x[i])); }
};

// Calls operation(i) for i in [0, count).
//
// Grid    enough blocks for 4 kElementThreads elements each, as far as a grid goes; the rest in further rounds.
// Block   kElementThreads; four elements a thread, a block's width apart, so that loads overlap.
// Moves   what the operation does; bound by memory.
template <class Operation>
__global__ void __launch_bounds__(kElementThreads) elementwise_kernel(Operation operation, int64_t count) {
    constexpr int kEach = 4;
    const int64_t step = static_cast<int64_t>(gridDim.x) * kElementThreads * kEach;
    for (int64_t base = static_cast<int64_t>(blockIdx.x) * kElementThreads * kEach; base < count; base += step) {
#pragma unroll
        for (int e = 0; e < kEach; ++e) {
            const int64_t i = base + e * kElementThreads + threadIdx.x;
            if (i < count) operation(i);
        }
    }
}

}  // namespace moek
