// Which expert a slot belongs to and where its inputs come from.
#pragma once

#include "device/launch.cuh"
#include "device/types.cuh"
#include "kernels/call.hpp"

namespace moek {

// Slots that a block takes together; count 0 for none.
struct SlotRun {
    int32_t expert = 0;
    int32_t first = 0;
    int32_t count = 0;
};

// The last expert that begins at or before a slot: empty experts before it begin there too. Whole warps search, 32
// experts a step.
MOEK_DEVICE int32_t expert_of_slot(const Groups& groups, int32_t slot) {
    const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
    int32_t first = 0;
    for (int32_t left = groups.experts; groups.offsets != nullptr && left > 1;) {
        const int32_t step = (left + 31) / 32;
        const int32_t at = lane * step;
        const bool begun = at < left && groups.offsets[first + at] <= slot;
        const int32_t skipped = (__popc(__ballot_sync(~0u, begun)) - 1) * step;
        first += skipped;
        left = min(step, left - skipped);
    }
    return first;
}

// The run of up to `most` slots that begins at `slot`, of those from `pass_first` to `pass_end`. A slot in the middle
// of a run begins none, so every slot is in exactly one.
MOEK_DEVICE SlotRun run_at(const Groups& groups, int32_t slot, int32_t pass_first, int32_t pass_end, int32_t most) {
    SlotRun run;
    run.expert = expert_of_slot(groups, slot);
    const bool grouped = groups.offsets != nullptr;
    const int32_t begin = max(pass_first, grouped ? groups.offsets[run.expert] : 0);
    const int32_t end = min(pass_end, grouped ? groups.offsets[run.expert + 1] : groups.max_slots);
    run.first = slot;
    run.count = slot < end && (slot - begin) % most == 0 ? min(most, end - slot) : 0;
    return run;
}

// Where the rows of a call lie.
struct Inputs {
    const void* x = nullptr;
    Element io = Element::kF32;
    Gather gather;
    int32_t columns = 0;
};

// The row behind a slot.
struct InputRow {
    const void* data = nullptr;
    bool is_f32 = true;
    float weight = 1.0f;

    // An input as dispatch would have stored it: times the routing weight, then rounded to the type of x.
    MOEK_DEVICE float operator[](int32_t column) const {
        if (is_f32) return static_cast<const float*>(data)[column] * weight;
        return to_float(from_float<bf16>(to_float(static_cast<const bf16*>(data)[column]) * weight));
    }
};

MOEK_DEVICE InputRow input_row(const Inputs& inputs, int32_t slot) {
    InputRow row;
    int64_t source = slot;
    if (inputs.gather.choice_of_slot != nullptr) {
        const int32_t choice = inputs.gather.choice_of_slot[slot];
        source = choice / inputs.gather.top_k;
        if (inputs.gather.weights != nullptr) row.weight = inputs.gather.weights[choice];
    }
    row.is_f32 = inputs.io == Element::kF32;
    row.data = static_cast<const unsigned char*>(inputs.x) + source * inputs.columns * (row.is_f32 ? 4 : 2);
    return row;
}

}  // namespace moek
