// What the kernels of grouped matrix products share: their parameters, the work list, gathered inputs, outputs.
#pragma once

#include "device/launch.cuh"
#include "device/types.cuh"
#include "kernels/experts/activation.cuh"
#include "kernels/experts/grouped.hpp"

namespace moek {

// A block of slots of one expert and the columns that go with it.
struct GroupedTile {
    int32_t expert = 0;
    int32_t slots = 0;  // 1 to the tile's height
    int64_t first_slot = 0;
    int32_t column = 0;  // number of the column tile
};

// Rows of weights behind one output.
MOEK_DEVICE int parts_of(const GroupedCall& call) {
    return call.has_activation && call.activation.gated ? 2 : 1;
}

// The weight row of output `column`; part 0 is the gate (or the only row), part 1 up.
MOEK_DEVICE int32_t weight_row(const GroupedCall& call, int32_t column, int32_t part) {
    if (parts_of(call) == 1) return column;
    return call.order == GateUpOrder::kInterleaved ? 2 * column + part : part * call.width + column;
}

// First slot of an expert; without offsets all slots are those of expert 0.
MOEK_DEVICE int64_t first_slot_of(const Groups& groups, int32_t expert) {
    if (groups.offsets != nullptr) return groups.offsets[expert];
    return expert == 0 ? 0 : groups.max_slots;
}

// The last expert with first_slot / height + expert <= tile, or where no heights count, with first_slot <= tile. A warp
// searches together, 32 experts a step.
template <int kHeight, bool kCountExperts>
MOEK_DEVICE int32_t find_expert(const Groups& groups, int64_t tile) {
    const int lane = static_cast<int>(threadIdx.x & 31);
    int32_t first = 0;
    for (int32_t span = groups.experts; span > 1;) {
        const int32_t step = (span + 31) / 32;
        const int32_t probe = first + lane * step;
        bool below = false;
        if (lane * step < span) {
            below = first_slot_of(groups, probe) / kHeight + (kCountExperts ? probe : 0) <= tile;
        }
        const int32_t skipped = (__popc(__ballot_sync(0xFFFFFFFFu, below)) - 1) * step;
        first += skipped;
        span = min(step, span - skipped);
    }
    return first;
}

// Tiles of `height` slots that cover any division of max_slots among the experts: expert e owns the numbers from
// first_slot[e] / height + e on, which are at least as many as it needs.
MOEK_HOST_DEVICE int64_t grouped_tiles(const Groups& groups, int32_t height) {
    return groups.max_slots / height + groups.experts;
}

// Which tile the work item `work` of grouped_tiles * column_tiles is. False where it is none. Items of one expert lie
// together, its slots fastest, so blocks that run side by side share weights in L2. Called by whole warps.
template <int kHeight>
MOEK_DEVICE bool find_tile(const Groups& groups, int64_t work, int32_t column_tiles, GroupedTile& tile) {
    const int32_t expert = find_expert<kHeight, true>(groups, work / column_tiles);
    const int64_t begin = first_slot_of(groups, expert);
    const int32_t rows = static_cast<int32_t>(first_slot_of(groups, expert + 1) - begin);
    const int32_t row_tiles = (rows + kHeight - 1) / kHeight;
    const int64_t item = work - (begin / kHeight + expert) * column_tiles;
    if (row_tiles == 0 || item / row_tiles >= column_tiles) return false;
    const int32_t row = static_cast<int32_t>(item % row_tiles) * kHeight;
    tile.expert = expert;
    tile.first_slot = begin + row;
    tile.slots = min(kHeight, rows - row);
    tile.column = static_cast<int32_t>(item / row_tiles);
    return true;
}

// The tile that begins at `slot`, of up to kHeight slots of one expert; false where another tile covers the slot.
template <int kHeight>
MOEK_DEVICE bool tile_at_slot(const Groups& groups, int64_t slot, GroupedTile& tile) {
    const int32_t expert = find_expert<1, false>(groups, slot);
    const int64_t end = first_slot_of(groups, expert + 1);
    if (slot >= end || (slot - first_slot_of(groups, expert)) % kHeight != 0) return false;
    tile.expert = expert;
    tile.first_slot = slot;
    tile.slots = static_cast<int32_t>(min(static_cast<int64_t>(kHeight), end - slot));
    return true;
}

// An input row: where it begins and what it is multiplied by.
struct InputRow {
    const unsigned char* data = nullptr;
    float factor = 1.0f;
};

MOEK_DEVICE InputRow input_row(const GroupedCall& call, int64_t slot) {
    InputRow row;
    int64_t source = slot;
    if (call.gather.choice_of_slot != nullptr) {
        const int32_t choice = call.gather.choice_of_slot[slot];
        source = choice / call.gather.top_k;
        if (call.gather.weights != nullptr) row.factor = call.gather.weights[choice];
    }
    const int64_t bytes = static_cast<int64_t>(call.w.columns) * (call.x_type == Element::kF32 ? 4 : 2);
    row.data = static_cast<const unsigned char*>(call.x) + source * bytes;
    return row;
}

// One input in fp32: its product with the factor is rounded once to the type of x, as dispatch would store it.
MOEK_DEVICE float scale_input(float value, float factor) {
    return value * factor;
}
MOEK_DEVICE float scale_input(bf16 value, float factor) {
    return to_float(from_float<bf16>(to_float(value) * factor));
}

// Eight bf16 inputs times the factor, rounded once.
MOEK_DEVICE uint4 scale_eight(const uint4& raw, float factor) {
    const uint32_t in[4] = {raw.x, raw.y, raw.z, raw.w};
    uint32_t out[4];
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        const float low = to_float(bf16{static_cast<uint16_t>(in[j] & 0xFFFF)}) * factor;
        const float high = to_float(bf16{static_cast<uint16_t>(in[j] >> 16)}) * factor;
        out[j] = pack(from_float<bf16>(low), from_float<bf16>(high));
    }
    return make_uint4(out[0], out[1], out[2], out[3]);
}

// Inputs k to k + 3 of a row of kInput that holds them; columns are a multiple of 4, and so is k.
template <Element kInput>
MOEK_DEVICE float4 four_inputs(const InputRow& row, int32_t k) {
    float v[4];
    if constexpr (kInput == Element::kF32) {
        const float4 raw = *reinterpret_cast<const float4*>(row.data + static_cast<int64_t>(k) * 4);
        v[0] = scale_input(raw.x, row.factor), v[1] = scale_input(raw.y, row.factor);
        v[2] = scale_input(raw.z, row.factor), v[3] = scale_input(raw.w, row.factor);
    } else {
        const uint2 raw = *reinterpret_cast<const uint2*>(row.data + static_cast<int64_t>(k) * 2);
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            const uint32_t pair = j < 2 ? raw.x : raw.y;
            v[j] = scale_input(bf16{static_cast<uint16_t>(pair >> (16 * (j & 1)))}, row.factor);
        }
    }
    return make_float4(v[0], v[1], v[2], v[3]);
}

// Inputs k to k + 3, zeros from the end of the row on. `whole`: columns are a multiple of 4, and so is k.
MOEK_DEVICE float4 load_inputs(const GroupedCall& call, const InputRow& row, int32_t k, bool whole) {
    const bool is_f32 = call.x_type == Element::kF32;
    if (whole && k < call.w.columns) {
        return is_f32 ? four_inputs<Element::kF32>(row, k) : four_inputs<Element::kBF16>(row, k);
    }
    float v[4] = {0.0f, 0.0f, 0.0f, 0.0f};
#pragma unroll
    for (int j = 0; j < 4; ++j) {
        if (k + j >= call.w.columns) continue;
        v[j] = is_f32 ? scale_input(reinterpret_cast<const float*>(row.data)[k + j], row.factor)
                      : scale_input(reinterpret_cast<const bf16*>(row.data)[k + j], row.factor);
    }
    return make_float4(v[0], v[1], v[2], v[3]);
}

// What is added to the sums of an output: -0 where there are no biases, which changes no sum.
struct Biases {
    float first = -0.0f;  // of the gate, or of the only row
    float second = -0.0f;
};

MOEK_DEVICE Biases biases_of(const GroupedCall& call, int32_t expert, int32_t column) {
    Biases biases;
    if (call.bias == nullptr) return biases;
    const float* of_expert = call.bias + static_cast<int64_t>(expert) * call.w.rows;
    biases.first = of_expert[weight_row(call, column, 0)];
    if (parts_of(call) == 2) biases.second = of_expert[weight_row(call, column, 1)];
    return biases;
}

// From the sums of an output (gate and up, or one) to its value.
MOEK_DEVICE float finish(const GroupedCall& call, int32_t expert, int32_t column, float first, float second) {
    const Biases biases = biases_of(call, expert, column);
    first += biases.first;
    if (!call.has_activation) return first;
    return activate(call.activation, first, call.activation.gated ? second + biases.second : first);
}

// Stores element `at` of y.
MOEK_DEVICE void store_at(const GroupedCall& call, int64_t at, float value) {
    if (call.y_type == Element::kF32) {
        static_cast<float*>(call.y)[at] = value;
    } else {
        static_cast<bf16*>(call.y)[at] = from_float<bf16>(value);
    }
}

MOEK_DEVICE void store_output(const GroupedCall& call, int64_t slot, int32_t column, float value) {
    store_at(call, slot * call.width + column, value);
}

// Finishes and stores the outputs of four neighbouring sums: four outputs, or two when each has a gate and an up sum.
MOEK_DEVICE void store_sums(const GroupedCall& call, int32_t expert, int64_t slot, int32_t column,
                            const float (&sums)[4]) {
    const int parts = parts_of(call);
#pragma unroll
    for (int o = 0; o < 4; ++o) {
        if (o * parts >= 4 || column + o >= call.width) continue;
        const float first = parts == 2 ? sums[2 * o & 3] : sums[o];
        store_output(call, slot, column + o, finish(call, expert, column + o, first, sums[(2 * o + 1) & 3]));
    }
}

}  // namespace moek
