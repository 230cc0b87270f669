// The non-linearity between the two halves of an expert; bit for bit that of the CPU library.
#pragma once

#include "device/math.cuh"
#include "kernels/call.hpp"

namespace moek {

MOEK_DEVICE float activation_function(ActivationKind kind, float x) {
    switch (kind) {
        case ActivationKind::kRelu:
            return x < 0.0f ? 0.0f : x;
        case ActivationKind::kGelu:
            return gelu(x);
        case ActivationKind::kGeluTanh:
            return gelu_tanh(x);
        default:
            return silu(x);
    }
}

// f(gate) * up, or f(up) without gate. The clamped kind (GPT-OSS) has a gate always; NaN passes its clamps.
MOEK_DEVICE float activate(const Activation& activation, float gate, float up) {
    if (activation.kind == ActivationKind::kClampedSwiGlu) {
        const float g = activation.limit < gate ? activation.limit : gate;
        float u = activation.limit < up ? activation.limit : up;
        u = u < -activation.limit ? -activation.limit : u;
        return (u + 1.0f) * (g / (1.0f + exp_f32(g * -activation.alpha)));
    }
    const float value = activation_function(activation.kind, activation.gated ? gate : up);
    return activation.gated ? value * up : value;
}

// Calls `function` with the activation, whose kind is a constant in it: loops inside do not choose between kinds.
template <class Function>
MOEK_DEVICE void with_known_kind(Activation activation, const Function& function) {
    switch (activation.kind) {
        case ActivationKind::kSilu:
            activation.kind = ActivationKind::kSilu;
            return function(activation);
        case ActivationKind::kRelu:
            activation.kind = ActivationKind::kRelu;
            return function(activation);
        case ActivationKind::kGelu:
            activation.kind = ActivationKind::kGelu;
            return function(activation);
        case ActivationKind::kGeluTanh:
            activation.kind = ActivationKind::kGeluTanh;
            return function(activation);
        case ActivationKind::kClampedSwiGlu:
            activation.kind = ActivationKind::kClampedSwiGlu;
            return function(activation);
    }
}

}  // namespace moek
