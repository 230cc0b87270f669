// From the sums that tensor cores leave in registers to outputs: through shared memory, 16 slots of a warp at a time.
//
// Registers have fixed numbers, so code that finishes them where they are is written out for each of them: 64 copies of
// bias, activation and store, more than an instruction cache holds. Staged sums are walked by a loop, and neighbouring
// lanes store neighbouring outputs.
#pragma once

#include "device/ptx.cuh"
#include "kernels/experts/grouped.cuh"

namespace moek {

constexpr int kStagedSlots = 16;
constexpr int kStagedPitch = 40;  // floats of a slot, 32 sums: the four slots that half a warp stages meet other banks
constexpr int kStagedFloats = kStagedSlots * kStagedPitch;  // of a warp

// Stages a warp's fragment of 16 slots x 8 weight rows, which become lines `line` to line + 7.
MOEK_DEVICE void stage_fragment(float* staged, int line, float a, float b, float c, float d) {
    const int lane = static_cast<int>(threadIdx.x) % 32;
    float* at = staged + lane / 4 * kStagedPitch + line + lane % 4 * 2;
    *reinterpret_cast<float2*>(at) = make_float2(a, b);
    *reinterpret_cast<float2*>(at + 8 * kStagedPitch) = make_float2(c, d);
}

// What a warp has staged: kLines sums of each slot. With gates the first half of the lines are gates and the second
// half the up sums of the outputs from columns[0] on; else the halves are outputs from columns[0] and columns[1] on.
template <int kLines>
struct StagedSums {
    const float* sums;
    int64_t first_slot;
    int slots;
    int32_t columns[2];
};

// Stores the outputs of a lane's column; `function` makes them of their two sums, or of one sum twice.
template <int kLines, int kParts, class Function>
MOEK_DEVICE void store_column(const GroupedCall& call, const StagedSums<kLines>& staged, int32_t expert,
                              const Function& function) {
    constexpr int kOutputs = kLines / kParts, kSlotsAtOnce = 32 / kOutputs;
    const int lane = static_cast<int>(threadIdx.x) % 32, line = lane % kOutputs, begin = lane / kOutputs;
    const bool second_half = kParts == 1 && line >= kLines / 2;
    const int32_t column = second_half ? staged.columns[1] + line - kLines / 2 : staged.columns[0] + line;
    if (column >= call.width) return;
    const Biases biases = biases_of(call, expert, column);
    const float* sums = staged.sums + begin * kStagedPitch + line;
    int64_t at = (staged.first_slot + begin) * call.width + column;
#pragma unroll 2
    for (int slot = begin; slot < staged.slots; slot += kSlotsAtOnce) {
        const float first = sums[0] + biases.first;
        store_at(call, at, function(first, kParts == 2 ? sums[kLines / 2] + biases.second : first));
        sums += kSlotsAtOnce * kStagedPitch;
        at += static_cast<int64_t>(kSlotsAtOnce) * call.width;
    }
}

// Finishes and stores what the calling warp has staged; it may stage again afterwards.
template <int kLines>
MOEK_DEVICE void store_staged(const GroupedCall& call, const StagedSums<kLines>& staged, int32_t expert) {
    __syncwarp();
    if (!call.has_activation) {
        store_column<kLines, 1>(call, staged, expert, [](float sum, float) { return sum; });
    } else {
        with_known_kind(call.activation, [&](const Activation& known) {
            const auto function = [&](float gate, float up) { return activate(known, gate, up); };
            if (known.gated) return store_column<kLines, 2>(call, staged, expert, function);
            store_column<kLines, 1>(call, staged, expert, function);
        });
    }
    __syncwarp();
}

}  // namespace moek
