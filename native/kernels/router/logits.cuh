// Router logits in fp32, logits[t, e] = x[t] . weight[e] + bias[e].
//
// Order of a sum, whatever the tile: quads of neighbouring elements go round 4 warps of 32 lanes; a lane adds its
// elements in ascending order, fused from +0; lanes are added in a butterfly (16, 8, 4, 2, 1), warps ascending. It
// depends on the width alone, so a token's logits are the same in every batch.
#pragma once

#include "device/launch.cuh"
#include "device/types.cuh"
#include "device/vector.cuh"
#include "kernels/router/router.hpp"

namespace moek {

constexpr int kLogitsWarps = 4;
constexpr int kLogitsThreads = 32 * kLogitsWarps;

// Sums of values [kCount] over the lanes, each the same butterfly. While a lane holds two or more values it hands half
// of them to its partner, so that kCount sums cost about kCount shuffles. Returns the index of the first value that the
// lane holds at the end, at the front of `values`: max(1, kCount / 32) of them.
template <int kOffset = 16, int kCount>
MOEK_DEVICE int sum_lanes(float (&values)[kCount], int first = 0) {
    if constexpr (kOffset == 0) {
        return first;
    } else {
        constexpr int kHeld = kCount / (16 / kOffset) > 0 ? kCount / (16 / kOffset) : 1;
        if constexpr (kHeld > 1) {
            const bool upper = threadIdx.x % 32 & kOffset;
#pragma unroll
            for (int i = 0; i < kHeld / 2; ++i) {
                const float give = upper ? values[i] : values[i + kHeld / 2];
                const float keep = upper ? values[i + kHeld / 2] : values[i];
                values[i] = keep + __shfl_xor_sync(~0u, give, kOffset);
            }
            return sum_lanes<kOffset / 2>(values, first + (upper ? kHeld / 2 : 0));
        } else {
            values[0] += __shfl_xor_sync(~0u, values[0], kOffset);
            return sum_lanes<kOffset / 2>(values, first);
        }
    }
}

// One tile of logits.
//
// Grid    ceil(E / kExperts) x tiles of tokens over y and z: blocks that run together share the tokens' rows.
// Block   4 warps that share the width; a lane owns kTokens x kExperts partial sums.
// Needs   kWhole: width % 4 == 0, rows aligned to 4 elements. kTokens * kExperts is a power of two.
// Moves   (kTokens + kExperts) rows a block, from L2 but for the first reader; 2 flops a product (derived).
template <typename X, typename W, int kTokens, int kExperts, bool kWhole>
__global__ void __launch_bounds__(kLogitsThreads, kTokens* kExperts >= 64 ? 2 : 4)
    router_logits_kernel(RouterLogits call) {
    constexpr int kSums = kTokens * kExperts;
    MOEK_SHARED(float, partial, [kLogitsWarps][kSums]);
    const int64_t first_token = (static_cast<int64_t>(blockIdx.z) * gridDim.y + blockIdx.y) * kTokens;
    const int32_t first_expert = blockIdx.x * kExperts;
    if (first_token >= call.tokens) return;
    // Rows past the end repeat the last one: read, never written.
    const X* x = static_cast<const X*>(call.x) + first_token * call.width;
    const W* weight = static_cast<const W*>(call.weight) + static_cast<int64_t>(first_expert) * call.width;
    const int32_t last_token = static_cast<int32_t>(min(call.tokens - first_token, int64_t{kTokens})) - 1;
    const int32_t last_expert = min(call.experts - first_expert, kExperts) - 1;

    float sums[kSums] = {};
    for (int32_t k = threadIdx.x * kQuad; k < call.width; k += kLogitsThreads * kQuad) {
        float4 quads[kTokens];
#pragma unroll
        for (int t = 0; t < kTokens; ++t)
            quads[t] = load_quad<X, kWhole>(x + min(t, last_token) * call.width, k, call.width);
#pragma unroll
        for (int e = 0; e < kExperts; ++e) {
            const float4 w = load_quad<W, kWhole>(weight + min(e, last_expert) * call.width, k, call.width);
#pragma unroll
            for (int t = 0; t < kTokens; ++t)
                sums[t * kExperts + e] = add_products(sums[t * kExperts + e], quads[t], w);
        }
    }

    const int lane = threadIdx.x % 32;
    const int held = sum_lanes(sums);
    constexpr int kHeld = kSums >= 32 ? kSums / 32 : 1;
    constexpr int kCopies = kSums >= 32 ? 1 : 32 / kSums;
    if (lane % kCopies == 0) {
#pragma unroll
        for (int i = 0; i < kHeld; ++i) partial[threadIdx.x / 32][held + i] = sums[i];
    }
    __syncthreads();
    for (int i = threadIdx.x; i < kSums; i += kLogitsThreads) {
        const int64_t t = first_token + i / kExperts;
        const int32_t e = first_expert + i % kExperts;
        if (t >= call.tokens || e >= call.experts) continue;
        float sum = partial[0][i];
        for (int w = 1; w < kLogitsWarps; ++w) sum += partial[w][i];
        call.logits[t * call.experts + e] = call.bias == nullptr ? sum : sum + call.bias[e];
    }
}

}  // namespace moek
