// Grouped products for few slots per expert: warps stream weight rows through a ring in shared memory.
#pragma once

#include "device/ptx.cuh"
#include "kernels/experts/grouped.cuh"
#include "kernels/experts/weights.cuh"

namespace moek {

constexpr int kDecodeRows = 8;     // weight rows of a warp, a quad of lanes each
constexpr int kDecodeSlots = 4;    // most slots that share a reading of the weights
constexpr int kDecodeStages = 6;   // steps of 128 bytes a row in flight
constexpr int kDecodePitch = 160;  // bytes of a row in the ring: 128 and what keeps quads off each other's banks
constexpr int kDecodeWarps = 4;
constexpr int kDecodeRing = kDecodeStages * kDecodeRows * kDecodePitch;  // bytes of a warp

// A warp's eight weight rows on their way through its ring, a step of 128 bytes of each at a time.
template <Element kType>
class WeightStream {
public:
    static constexpr int kStep = 1024 / element_bits(kType);  // k of 128 bytes

    MOEK_DEVICE WeightStream(const GroupedCall& call, int32_t expert, int32_t group, unsigned char* ring) {
        const int lane = static_cast<int>(threadIdx.x & 31), unit = lane % 8;
        for (int i = 0; i < 2; ++i) {
            const int32_t row = max(stream_row(call, group, lane / 8 + 4 * i), 0);
            source_[i] = weight_address<kType>(call.w, expert, row, 0) + unit * 16;
        }
        units_ = static_cast<int32_t>(static_cast<int64_t>(call.w.columns) * element_bits(kType) / 128) - unit;
        target_ = ring + lane / 8 * kDecodePitch + unit * 16;
        line_ = ring + lane / 4 * kDecodePitch + lane % 4 * element_bits(kType) / 2;
    }

    // The weight row of line 0 to 7 of a group, or -1: with gates lines 2 j and 2 j + 1 are gate and up of one output.
    static MOEK_DEVICE int32_t stream_row(const GroupedCall& call, int32_t group, int line) {
        const int parts = parts_of(call);
        const int32_t column = group * (kDecodeRows / parts) + line / parts;
        return column < call.width ? weight_row(call, column, line % parts) : -1;
    }

    // Lets the next step of the rows come in, zeros beyond their end. One commit group a call.
    MOEK_DEVICE void fetch() {
        const bool there = fetched_ * 8 < units_;
        const int64_t byte = there ? static_cast<int64_t>(fetched_) * 128 : 0;
        unsigned char* stage = target_ + fetch_stage_;
#pragma unroll
        for (int i = 0; i < 2; ++i) cp_async<16>(stage + 4 * i * kDecodePitch, source_[i] + byte, there);
        cp_async_commit();
        ++fetched_;
        fetch_stage_ = next_stage(fetch_stage_);
    }

    // The four weights of this thread's row and quarter at 16 k `part` of the step that is read.
    MOEK_DEVICE FourBits<kType> four(int part) const {
        return read_four<kType>(line_ + read_stage_ + part * 2 * element_bits(kType));
    }

    MOEK_DEVICE void advance() {
        read_stage_ = next_stage(read_stage_);
    }

private:
    static constexpr int kStageBytes = kDecodeRows * kDecodePitch;

    static MOEK_DEVICE int32_t next_stage(int32_t stage) {
        return stage == (kDecodeStages - 1) * kStageBytes ? 0 : stage + kStageBytes;
    }

    const unsigned char* source_[2];
    unsigned char* target_;
    const unsigned char* line_;
    int32_t units_;  // of 16 bytes, from this lane's on
    int32_t fetched_ = 0, fetch_stage_ = 0, read_stage_ = 0;
};

// For inputs that are there when the kernel starts.
struct NoWait {
    MOEK_DEVICE void operator()() const {}
};

// Adds the products of a step. With kWhole the row does not end before the step does.
template <Element kType, Element kInput, bool kWhole, int kSlots>
MOEK_DEVICE void decode_step(const GroupedCall& call, const WeightStream<kType>& stream, RowScale<kType>& scale,
                             const InputRow (&inputs)[kSlots], int32_t step, float (&parts)[kSlots][4]) {
    constexpr int kStep = WeightStream<kType>::kStep;
#pragma unroll(kStep / 16 < 4 ? kStep / 16 : 4)
    for (int part = 0; part < kStep / 16; ++part) {
        const int32_t first = step * kStep + part * 16, k = first + static_cast<int32_t>(threadIdx.x % 4) * 4;
        if (!kWhole && first >= call.w.columns) break;
        const FourBits<kType> bits = stream.four(part);
        const float factor = scale.at(call.w, k);
        float w[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            w[j] = widen<kType>(bits, j);
            if (kType == Element::kF8E4M3 || kType == Element::kMxfp4) w[j] *= factor;
        }
#pragma unroll
        for (int s = 0; s < kSlots; ++s) {
            float4 x = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
            if (kWhole || k < call.w.columns) x = four_inputs<kInput>(inputs[s], k);
            parts[s][0] = fmaf(w[0], x.x, parts[s][0]);
            parts[s][1] = fmaf(w[1], x.y, parts[s][1]);
            parts[s][2] = fmaf(w[2], x.z, parts[s][2]);
            parts[s][3] = fmaf(w[3], x.w, parts[s][3]);
        }
    }
}

// Sums of one weight row per quad times kSlots input rows, in the library's order (dense_simt.cu). Every lane of a quad
// receives its row's sums. `wait` returns when the inputs may be read; weights are on their way by then.
template <Element kType, Element kInput, int kSlots, typename Wait>
MOEK_DEVICE void decode_sums(const GroupedCall& call, const GroupedTile& tile, int32_t group, unsigned char* ring,
                             const Wait& wait, float (&sums)[kSlots]) {
    constexpr int kStep = WeightStream<kType>::kStep;
    const int lane = static_cast<int>(threadIdx.x & 31);
    WeightStream<kType> stream(call, tile.expert, group, ring);
    const int32_t row = max(stream.stream_row(call, group, lane / 4), 0);
    RowScale<kType> scale(call.w, tile.expert, row, lane % 4 * 4);
    InputRow inputs[kSlots];
#pragma unroll
    for (int s = 0; s < kSlots; ++s) inputs[s] = input_row(call, tile.first_slot + min(s, tile.slots - 1));

    float parts[kSlots][4] = {};
    for (int step = 0; step < kDecodeStages - 1; ++step) stream.fetch();
    wait();
    auto arrive = [&] {
        cp_async_wait<kDecodeStages - 2>();
        __syncwarp();
        stream.fetch();
    };
    const int32_t whole_steps = call.w.columns / kStep;
    for (int32_t step = 0; step < whole_steps; ++step) {
        arrive();
        decode_step<kType, kInput, true>(call, stream, scale, inputs, step, parts);
        stream.advance();
    }
    if (call.w.columns % kStep != 0) {
        arrive();
        decode_step<kType, kInput, false>(call, stream, scale, inputs, whole_steps, parts);
    }
    cp_async_wait<0>();
    __syncwarp();
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
        for (int j = 0; j < 4; ++j) {
            parts[s][j] += __shfl_xor_sync(0xFFFFFFFFu, parts[s][j], 2);
            parts[s][j] += __shfl_xor_sync(0xFFFFFFFFu, parts[s][j], 1);
        }
        sums[s] = (parts[s][0] + parts[s][2]) + (parts[s][1] + parts[s][3]);
    }
}

// Sums, activation and stores of a warp's eight weight rows for up to kSlots slots: lane q of a quad has slot q.
template <Element kType, Element kInput, int kSlots, typename Wait>
MOEK_DEVICE void decode_rows_of(const GroupedCall& call, const GroupedTile& tile, int32_t group, unsigned char* ring,
                                const Wait& wait) {
    float sums[kSlots];
    decode_sums<kType, kInput, kSlots>(call, tile, group, ring, wait, sums);
    const int lane = static_cast<int>(threadIdx.x & 31), line = lane / 4, slot = lane % 4, parts = parts_of(call);
    const int32_t column = group * (kDecodeRows / parts) + line / parts;
    float first = sums[0];
#pragma unroll
    for (int s = 1; s < kSlots; ++s) first = slot == s ? sums[s] : first;
    // From the quad of the up row to that of its gate row.
    const float second = __shfl_down_sync(0xFFFFFFFFu, first, 4);
    if (line % parts != 0 || slot >= tile.slots || column >= call.width) return;
    store_output(call, tile.first_slot + slot, column, finish(call, tile.expert, column, first, second));
}

// A single slot, the common case, has a body of its own.
template <Element kType, Element kInput, typename Wait>
MOEK_DEVICE void decode_rows(const GroupedCall& call, const GroupedTile& tile, int32_t group, unsigned char* ring,
                             const Wait& wait) {
    if (tile.slots == 1) return decode_rows_of<kType, kInput, 1>(call, tile, group, ring, wait);
    decode_rows_of<kType, kInput, kDecodeSlots>(call, tile, group, ring, wait);
}

// Row groups of a product.
MOEK_HOST_DEVICE int32_t decode_groups(const GroupedCall& call) {
    const int32_t outputs = kDecodeRows / (call.has_activation && call.activation.gated ? 2 : 1);
    return (call.width + outputs - 1) / outputs;
}

}  // namespace moek
