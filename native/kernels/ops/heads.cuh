// Copies of heads between layouts and types.
#pragma once

#include "device/launch.cuh"
#include "device/vector.cuh"
#include "kernels/ops/ops.hpp"

namespace moek {

constexpr int kHeadThreads = 256;
constexpr int kHeadWarps = kHeadThreads / 32;

// y[r, h] = x[r, h].
//
// Grid    rows x ceil(heads / kHeadWarps).
// Block   kHeadThreads; a warp a head, a lane four neighbours at a time.
// Needs   kWhole: width and strides of whole quads, x and y aligned to them. x and y apart, heads of y too.
// Moves   every element once, in and out; bound by memory.
template <class Y, class X, bool kWhole>
__global__ void __launch_bounds__(kHeadThreads) copy_heads_kernel(CopyHeads call) {
    const int lane = threadIdx.x % 32;
    const int64_t row = blockIdx.x;
    const int64_t head = blockIdx.y * kHeadWarps + threadIdx.x / 32;
    if (head >= call.heads) return;
    const X* x = static_cast<const X*>(call.x) + row * call.x_stride + head * call.x_head_stride;
    Y* y = static_cast<Y*>(call.y) + row * call.y_stride + head * call.y_head_stride;
    for (int32_t i = lane * kQuad; i < call.width; i += 32 * kQuad)
        store_quad<Y, kWhole>(y, i, call.width, load_quad<X, kWhole>(x, i, call.width));
}

}  // namespace moek
