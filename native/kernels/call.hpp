// What launchers of every room take: element types, rows, groups of slots and the device. Plain data, no ownership.
#pragma once

#include <cstdint>

#include "device/launch.cuh"

namespace moek {

// How elements are stored; the numbers are those of moek_dtype.
enum class Element : int32_t { kF32 = 0, kF16 = 1, kBF16 = 2, kF8E4M3 = 3, kMxfp4 = 4, kCodebook = 5, kQmoe = 6 };

// The non-linearity of an expert; the numbers are those of moek_activation.
enum class ActivationKind : int32_t { kSilu = 0, kRelu = 1, kGelu = 2, kGeluTanh = 3, kClampedSwiGlu = 4 };

struct Activation {
    ActivationKind kind = ActivationKind::kSilu;
    bool gated = true;
    float alpha = 1.702f;
    float limit = 7.0f;
};

// The device that a launcher chooses its kernel for, and where its work is queued.
struct Launch {
    int capability = 80;
    int multiprocessors = 1;
    cudaStream_t stream = nullptr;
};

// Scratch memory of a call, 256-byte aligned; the launcher's *_workspace function says how much it needs.
struct Workspace {
    void* pointer = nullptr;
    uint64_t bytes = 0;
};

// Slots in expert order: expert e has slots [offsets[e], offsets[e + 1]). The host knows only how many there may be.
// Without offsets all max_slots slots belong to matrix 0.
struct Groups {
    const int32_t* offsets = nullptr;  // device, [experts + 1], or null
    int32_t experts = 0;
    int32_t max_slots = 0;
};

// Where a slot's input row comes from. Without choices a slot's row is its own; else token choice_of_slot[slot] /
// top_k, multiplied by weights[choice_of_slot[slot]] when there are weights.
struct Gather {
    const int32_t* choice_of_slot = nullptr;  // device, [max_slots]
    int32_t top_k = 1;
    const float* weights = nullptr;  // device, [tokens, top_k]
};

// First half of the experts: a[slot] = act(gate x) * up x, or act(up x).
struct ExpertsIn {
    Groups groups;
    Gather gather;
    const void* x = nullptr;              // device, [tokens, H] or [max_slots, H]
    Element io = Element::kF32;           // of x and a: kF32 or kBF16
    const float* gate_up_bias = nullptr;  // device, [E, M] in the order of the rows, or null
    Activation activation;
    void* a = nullptr;  // device, receives [max_slots, I]
};

// Second half: y[slot] = down a + bias.
struct ExpertsOut {
    Groups groups;
    const void* a = nullptr;           // device, [max_slots, I]
    Element io = Element::kF32;        // of a: kF32 or kBF16
    const float* down_bias = nullptr;  // device, [E, H], or null
    float* y = nullptr;                // device, receives [max_slots, H]
};

// Grouped GEMM, and with one group a linear layer: y[slot] = W[e] x[slot] + bias[e].
struct GroupedLinear {
    Groups groups;
    const void* x = nullptr;      // device, [max_slots, K]
    Element io = Element::kF32;   // of x and y: kF32 or kBF16
    const float* bias = nullptr;  // device, [E, R], or null
    void* y = nullptr;            // device, receives [max_slots, R]
};

}  // namespace moek
