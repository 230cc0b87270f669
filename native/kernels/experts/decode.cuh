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

// A warp's eight weight rows on their way through its ring.
template <Element kType>
class WeightStream {
public:
    static constexpr int kStep = 1024 / element_bits(kType);  // k of 128 bytes

    MOEK_DEVICE WeightStream(const GroupedCall& call, int32_t expert, int32_t group, unsigned char* ring)
        : ring_(ring), row_bytes_(static_cast<int64_t>(call.w.columns) * element_bits(kType) / 8) {
        const int lane = static_cast<int>(threadIdx.x & 31);
        for (int i = 0; i < 2; ++i) {
            const int32_t row = stream_row(call, group, lane / 8 + 4 * i);
            has_row_[i] = row >= 0;
            source_[i] = weight_address<kType>(call.w, expert, row < 0 ? 0 : row, 0);
        }
    }

    // The weight row of line 0 to 7 of a group, or -1: with gates lines 2 j and 2 j + 1 are gate and up of one output.
    static MOEK_DEVICE int32_t stream_row(const GroupedCall& call, int32_t group, int line) {
        const int parts = parts_of(call);
        const int32_t column = group * (kDecodeRows / parts) + line / parts;
        return column < call.width ? weight_row(call, column, line % parts) : -1;
    }

    // Lets step `step` of the rows come in; zeros beyond their end. One commit group a call.
    MOEK_DEVICE void fetch(int32_t step) {
        const int lane = static_cast<int>(threadIdx.x & 31);
        unsigned char* stage = ring_ + step % kDecodeStages * (kDecodeRows * kDecodePitch);
        const int64_t byte = static_cast<int64_t>(step) * 128 + lane % 8 * 16;
        if (static_cast<int64_t>(step) * 128 < row_bytes_) {
            for (int i = 0; i < 2; ++i) {
                const bool there = has_row_[i] && byte < row_bytes_;
                cp_async<16>(stage + (lane / 8 + 4 * i) * kDecodePitch + lane % 8 * 16, source_[i] + (there ? byte : 0),
                             there);
            }
        }
        cp_async_commit();
    }

    // The four weights of this thread's row and quarter at 16 k `part` of step `step`.
    MOEK_DEVICE FourBits<kType> four(int32_t step, int part) const {
        const int lane = static_cast<int>(threadIdx.x & 31);
        const unsigned char* line = ring_ + (step % kDecodeStages * kDecodeRows + lane / 4) * kDecodePitch;
        return read_four<kType>(line + (part * 16 + lane % 4 * 4) * element_bits(kType) / 8);
    }

private:
    unsigned char* ring_;
    const unsigned char* source_[2];
    bool has_row_[2];
    int64_t row_bytes_;
};

// For inputs that are there when the kernel starts.
struct NoWait {
    MOEK_DEVICE void operator()() const {}
};

// Sums of one weight row per quad times kSlots input rows, in the library's order (dense_simt.cu). Every lane of a quad
// receives its row's sums. `wait` returns when the inputs may be read; weights are on their way by then.
template <Element kType, int kSlots, typename Wait>
MOEK_DEVICE void decode_sums(const GroupedCall& call, const GroupedTile& tile, int32_t group, unsigned char* ring,
                             const Wait& wait, float (&sums)[kSlots]) {
    using Stream = WeightStream<kType>;
    const int lane = static_cast<int>(threadIdx.x & 31), quarter = lane & 3;
    Stream stream(call, tile.expert, group, ring);
    const int32_t row = Stream::stream_row(call, group, lane / 4);
    RowScale<kType> scale(call.w, tile.expert, row < 0 ? 0 : row, quarter * 4);
    InputRow inputs[kSlots];
#pragma unroll
    for (int s = 0; s < kSlots; ++s) inputs[s] = input_row(call, tile.first_slot + min(s, tile.slots - 1));

    float parts[kSlots][4] = {};
    const int32_t columns = call.w.columns, steps = (columns + Stream::kStep - 1) / Stream::kStep;
    for (int32_t step = 0; step < kDecodeStages - 1; ++step) stream.fetch(step);
    wait();
    for (int32_t step = 0; step < steps; ++step) {
        cp_async_wait<kDecodeStages - 2>();
        __syncwarp();
        stream.fetch(step + kDecodeStages - 1);
#pragma unroll 2
        for (int part = 0; part < Stream::kStep / 16; ++part) {
            const int32_t k = step * Stream::kStep + part * 16;
            if (k >= columns) break;
            const FourBits<kType> bits = stream.four(step, part);
            const float factor = scale.at(call.w, k + quarter * 4);
            float w[4];
#pragma unroll
            for (int j = 0; j < 4; ++j) {
                w[j] = widen<kType>(bits, j);
                if (kType == Element::kF8E4M3 || kType == Element::kMxfp4) w[j] *= factor;
            }
#pragma unroll
            for (int s = 0; s < kSlots; ++s) {
                const float4 x = load_inputs(call, inputs[s], k + quarter * 4, true);
                parts[s][0] = fmaf(w[0], x.x, parts[s][0]);
                parts[s][1] = fmaf(w[1], x.y, parts[s][1]);
                parts[s][2] = fmaf(w[2], x.z, parts[s][2]);
                parts[s][3] = fmaf(w[3], x.w, parts[s][3]);
            }
        }
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

// Sums, activation and stores of a warp's eight weight rows for up to kSlots slots.
template <Element kType, int kSlots, typename Wait>
MOEK_DEVICE void decode_rows_of(const GroupedCall& call, const GroupedTile& tile, int32_t group, unsigned char* ring,
                                const Wait& wait) {
    float sums[kSlots];
    decode_sums<kType, kSlots>(call, tile, group, ring, wait, sums);
    const int lane = static_cast<int>(threadIdx.x & 31), line = lane / 4, parts = parts_of(call);
    const int32_t column = group * (kDecodeRows / parts) + line / parts;
#pragma unroll
    for (int s = 0; s < kSlots; ++s) {
        // From the quad of the up row to that of its gate row.
        const float second = __shfl_down_sync(0xFFFFFFFFu, sums[s], 4);
        if (line % parts != 0 || lane % 4 != s % 4 || s >= tile.slots || column >= call.width) continue;
        store_output(call, tile.first_slot + s, column, finish(call, tile.expert, column, sums[s], second));
    }
}

// A single slot, the common case, has a body of its own.
template <Element kType, typename Wait>
MOEK_DEVICE void decode_rows(const GroupedCall& call, const GroupedTile& tile, int32_t group, unsigned char* ring,
                             const Wait& wait) {
    if (tile.slots == 1) return decode_rows_of<kType, 1>(call, tile, group, ring, wait);
    decode_rows_of<kType, kDecodeSlots>(call, tile, group, ring, wait);
}

// Row groups of a product.
MOEK_HOST_DEVICE int32_t decode_groups(const GroupedCall& call) {
    const int32_t outputs = kDecodeRows / (call.has_activation && call.activation.gated ? 2 : 1);
    return (call.width + outputs - 1) / outputs;
}

}  // namespace moek
