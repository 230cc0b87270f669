// Activations with the same bits under nvcc and under the emulator: only IEEE operations and fmaf.
//
// Compile with -fmad=false (nvcc) and -ffp-contract=off (g++), so that nothing else is fused.
#pragma once
#include <cmath>

#include "device/types.cuh"

namespace moek {

/// e^x, within 0.9 ulp for results that are not denormal; 0 below -104, infinity above 88.72.
/// e^x = 2^n e^r with n = round(x / ln 2): ln 2 in two parts keeps r exact, a polynomial of degree 6 gives e^r.
MOEK_HOST_DEVICE float exp_f32(float x) {
    if (!(x > -104.0f)) return x != x ? x : 0.0f;
    if (x > 88.7228391f) return float_from_bits(0x7F800000);
    const float n = rintf(x * 1.44269504f);
    const float r = fmaf(n, -1.42860677e-6f, fmaf(n, -0.693145752f, x));
    float p = 1.38146128e-3f;
    p = fmaf(p, r, 8.36871006e-3f);
    p = fmaf(p, r, 4.1668389e-2f);
    p = fmaf(p, r, 1.66665211e-1f);
    p = fmaf(p, r, 4.9999994e-1f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    // Two factors, since 2^n itself may lie outside the normal range.
    const int whole = static_cast<int>(n), half = whole / 2;
    p *= float_from_bits(static_cast<uint32_t>(half + 127) << 23);
    return p * float_from_bits(static_cast<uint32_t>(whole - half + 127) << 23);
}

/// 1 / (1 + e^-x).
MOEK_HOST_DEVICE float sigmoid(float x) {
    return 1.0f / (1.0f + exp_f32(-x));
}

/// x sigmoid(x), the activation of SwiGLU.
MOEK_HOST_DEVICE float silu(float x) {
    return x / (1.0f + exp_f32(-x));
}

}  // namespace moek
