// What the experts handle holds; layer.cpp runs it.
#pragma once

#include "abi/stack.hpp"
#include "kernels/call.hpp"
#include "kernels/experts/decode_layer.hpp"
#include "moek/experts.h"

// Opaque to callers, so it lives in the global namespace under its C name.
struct moek_experts {
    explicit moek_experts(moek_context& given) : context(given) {}

    moek::ContextReference context;
    int32_t experts = 0;
    int32_t hidden = 0;
    int32_t intermediate = 0;
    moek::Activation activation;
    moek::GateUpOrder order = moek::GateUpOrder::kConcatenated;
    // Dense types have gate_up; packed ones have up and, when gated, gate.
    moek::Stack gate_up;
    moek::Stack gate;
    moek::Stack up;
    moek::Stack down;
    moek::DeviceBuffer biases;
    const float* gate_up_bias = nullptr;
    const float* down_bias = nullptr;

    bool packed() const { return down.type == moek::Element::kCodebook || down.type == moek::Element::kQmoe; }
};

namespace moek {

// Scratch memory of the two halves for up to `slots` slots; they run one after the other and share it.
uint64_t experts_workspace(const moek_experts& experts, int64_t slots);

// Queues the steps from dispatched slots to combined tokens, in one kernel where there is one for it. The caller fills
// everything but biases and activation.
void run_experts(const moek_experts& experts, DecodeLayer steps, const Workspace& workspace, const Launch& launch);

// Queues one half. The caller fills everything but biases and activation.
void run_experts_in(const moek_experts& experts, ExpertsIn call, const Workspace& workspace, const Launch& launch);
void run_experts_out(const moek_experts& experts, ExpertsOut call, const Workspace& workspace, const Launch& launch);

}  // namespace moek
