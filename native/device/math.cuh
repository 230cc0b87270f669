// Transcendental functions from exactly rounded operations only: the same bits on every device, under the emulator and
// in the managed library (DeterministicMath), which they follow operation by operation.
//
// Compile with -fmad=false (nvcc) and -ffp-contract=off (g++), so that nothing is fused but what says fmaf.
#pragma once
#include <cmath>

#include "device/types.cuh"

namespace moek {

// c[0] x^(n-1) + ... + c[n-1], fused step by step.
template <int kCount>
MOEK_HOST_DEVICE float polynomial(const float (&c)[kCount], float x) {
    float p = c[0];
    for (int i = 1; i < kCount; ++i) p = fmaf(p, x, c[i]);
    return p;
}

/// e^x within 2 ulp; 0 below -104, infinity above 88.72, NaN for NaN (Cephes expf: 1 + r + r^2 (E0 + E1 r + ...)).
MOEK_HOST_DEVICE float exp_f32(float x) {
    // Comparisons, not fminf: a NaN falls through both and stays one.
    x = x > 89.0f ? 89.0f : x;
    x = x < -104.0f ? -104.0f : x;
    // Adding 1.5 2^23 rounds to the nearest integer, whose value then is the low bits of the sum.
    const float shift = 12582912.0f;
    const float shifted = fmaf(x, 1.44269504f, shift);
    const float n = shifted - shift;
    float r = fmaf(n, -0.693359375f, x);
    r = fmaf(n, 2.12194440e-4f, r);
    const float c[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                       4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
    const float p = fmaf(polynomial(c, r), r * r, r) + 1.0f;
    // Two factors, since 2^n alone leaves the exponent's range at both ends. NaN has bits that must not overflow.
    const uint32_t exponent = float_bits(shifted) - float_bits(shift);
    const uint32_t half = static_cast<uint32_t>(static_cast<int32_t>(exponent) >> 1);
    return p * float_from_bits((half + 127) << 23) * float_from_bits((exponent - half + 127) << 23);
}

/// 1 / (1 + e^-x).
MOEK_HOST_DEVICE float sigmoid(float x) {
    return 1.0f / (1.0f + exp_f32(-x));
}

/// x sigmoid(x), the activation of SwiGLU.
MOEK_HOST_DEVICE float silu(float x) {
    return x / (1.0f + exp_f32(-x));
}

/// An odd polynomial below 0.625, else 1 - 2 / (1 + e^2|x|) with the sign of x.
MOEK_HOST_DEVICE float tanh_f32(float x) {
    const float magnitude = fabsf(x);
    if (magnitude < 0.625f) {
        const float u = x * x;
        const float c[] = {0.00229274482f, -0.00834394552f, 0.0217689187f, -0.0539592596f, 0.133333036f, -0.333333332f};
        return fmaf(polynomial(c, u) * u, x, x);
    }
    return copysignf(1.0f - 2.0f / (exp_f32(magnitude + magnitude) + 1.0f), x);
}

/// log(1 + e^x) = max(x, 0) + log1p(e^-|x|), the logarithm as 2 atanh(s), s = y / (2 + y).
MOEK_HOST_DEVICE float softplus(float x) {
    const float y = exp_f32(-fabsf(x));
    const float s = y / (2.0f + y);
    const float u = s * s;
    const float c[] = {0.232243292f, 0.217065758f, 0.28592358f, 0.399997063f, 0.666666673f};
    return (x < 0.0f ? 0.0f : x) + fmaf(polynomial(c, u) * u, s, s + s);
}

/// x Phi(x), accurate in the negative tail: Phi(-|x|) = exp(-z^2) erfcx(z) / 2, z = |x| / sqrt 2.
MOEK_HOST_DEVICE float gelu(float x) {
    float magnitude = fabsf(x);
    magnitude = magnitude > 15.0f ? 15.0f : magnitude;
    const float z = magnitude * 0.707106781f;
    // (1 + 2 z) exp(z^2) erfc(z) in (z - 2) / (z + 2).
    const float c[] = {8.47731183e-05f, 0.000179629601f, -0.000401999675f, -0.00143214548f,
                       0.00125011985f,  0.00871355954f,  -0.00802953634f,  -0.054218563f,
                       0.164050844f,    -0.166030477f,   -0.0927638135f,   1.27697838f};
    const float p = polynomial(c, (z - 2.0f) / (z + 2.0f));
    // exp(-x^2 / 2), corrected by what rounding x^2 lost.
    const float square = magnitude * magnitude;
    const float lost = fmaf(magnitude, magnitude, -square);
    float gauss = exp_f32(square * -0.5f);
    gauss = fmaf(gauss, lost * -0.5f, gauss);
    const float tail = 0.5f * (gauss * (p / fmaf(2.0f, z, 1.0f)));
    return x * (x < 0.0f ? tail : 1.0f - tail);
}

/// 0.5 x (1 + tanh(sqrt(2 / pi) (x + 0.044715 x^3))) as x sigmoid(2 sqrt(2 / pi) (x + 0.044715 x^3)).
MOEK_HOST_DEVICE float gelu_tanh(float x) {
    const float inner = fmaf(x * x * 0.044715f, x, x);
    return x / (1.0f + exp_f32(inner * -1.59576912f));
}

}  // namespace moek
