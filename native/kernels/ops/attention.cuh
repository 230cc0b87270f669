// Softmax attention over cached keys and values, fp32. A score is (scale q . k) + bias, each step rounded.
//
// Order, the same for every batch and grid: positions in chunks of kChunk that begin at multiples of kChunk; in a chunk
// tiles of kTile with a running maximum; in a tile the weights are added by a warp (lane and lane + 32 first, then the
// butterfly 16, 8, 4, 2, 1) and the values ascending; a key's product ascends over its elements. Chunks are merged
// ascending. A pair, one head of one row, never meets another pair's numbers.
#pragma once

#include <cfloat>

#include "device/launch.cuh"
#include "device/math.cuh"
#include "device/reduce.cuh"
#include "device/vector.cuh"
#include "kernels/ops/ops.hpp"

namespace moek {

constexpr int kAttentionThreads = 256;
constexpr int kTile = 64;
constexpr int kChunk = 512;
constexpr int kSlice = 32;                // elements of the keys in shared memory at a time
constexpr int kSliceStride = kSlice + 4;  // rows shifted by 4 banks: 8 lanes read 8 rows without conflict
constexpr float kMasked = -1.0f;          // weight of a position that a pair does not see; others are not negative

// What is known of a softmax: the greatest score, the sum of the weights relative to it.
struct Softmax {
    float largest = -FLT_MAX;
    float sum = 0.0f;
};

// Factors that bring the sums of two parts to one maximum; `before` becomes the softmax of both.
struct MergeFactors {
    float before, after;
};

MOEK_DEVICE MergeFactors merge(Softmax& before, const Softmax& after) {
    const float largest = after.largest > before.largest ? after.largest : before.largest;
    const MergeFactors factors{exp_f32(before.largest - largest), exp_f32(after.largest - largest)};
    before.sum = fmaf(after.sum, factors.after, before.sum * factors.before);
    before.largest = largest;
    return factors;
}

MOEK_DEVICE float merge_value(const MergeFactors& factors, float before, float after) {
    return fmaf(after, factors.after, before * factors.before);
}

// A block's pairs share a kv head. Pair p is pair `first + p` of rows x (heads / kv_heads).
struct PairRange {
    int64_t first, end;
    int32_t group, kv_head;
    MOEK_DEVICE int64_t row(int p) const { return (first + p) / group; }
    MOEK_DEVICE int32_t head(int p) const { return kv_head * group + static_cast<int32_t>((first + p) % group); }
    MOEK_DEVICE bool has(int p) const { return first + p < end; }
};

MOEK_DEVICE PairRange pairs_of_block(const Attention& call, int pairs) {
    const int32_t group = call.heads / call.kv_heads;
    return {static_cast<int64_t>(blockIdx.x) * pairs, static_cast<int64_t>(call.rows) * group, group,
            static_cast<int32_t>(blockIdx.y)};
}

// Shared memory of a block, in floats.
template <int kPairs>
struct AttentionShared {
    static constexpr int kWeightStride = kPairs + 4;

    float* q;        // [kPairs, q_stride], zeros past key_dim
    float* keys;     // [kTile, kSliceStride]
    float* weights;  // [kTile, kWeightStride]: scores, then weights, then kMasked where a pair does not see
    Softmax* chunk;  // [kPairs]
    Softmax* total;  // [kPairs], of the chunks so far
    float* shrink;   // [kPairs]: factor of the values so far when a tile raised the maximum
    int32_t* first;  // [kPairs]
    int32_t* last;   // [kPairs]
    int32_t q_stride;

    static MOEK_HOST_DEVICE int32_t padded(int32_t key_dim) { return (key_dim + kSlice - 1) / kSlice * kSlice; }
    static size_t bytes(int32_t key_dim) {
        return sizeof(float) * (kPairs * padded(key_dim) + kTile * (kSliceStride + kWeightStride) + 7 * kPairs);
    }
    MOEK_DEVICE AttentionShared(float* memory, int32_t key_dim) : q_stride(padded(key_dim)) {
        q = memory;
        keys = q + kPairs * q_stride;
        weights = keys + kTile * kSliceStride;
        chunk = reinterpret_cast<Softmax*>(weights + kTile * kWeightStride);
        total = chunk + kPairs;
        shrink = reinterpret_cast<float*>(total + kPairs);
        first = reinterpret_cast<int32_t*>(shrink + kPairs);
        last = first + kPairs;
    }
};

// Queries, ranges and empty sums. Pairs that do not exist see nothing.
template <int kPairs>
MOEK_DEVICE void begin_pairs(const Attention& call, const PairRange& pairs, const AttentionShared<kPairs>& shared) {
    for (int i = threadIdx.x; i < kPairs * shared.q_stride; i += kAttentionThreads) {
        const int p = i / shared.q_stride;
        const int d = i % shared.q_stride;
        const bool real = pairs.has(p) && d < call.key_dim;
        shared.q[i] = real ? call.q[pairs.row(p) * call.q_stride + pairs.head(p) * call.q_head_stride + d] : 0.0f;
    }
    for (int p = threadIdx.x; p < kPairs; p += kAttentionThreads) {
        shared.first[p] = pairs.has(p) ? call.first[pairs.row(p)] : INT32_MAX;
        shared.last[p] = pairs.has(p) ? call.last[pairs.row(p)] : -1;
        shared.total[p] = {};
    }
}

// Positions that any pair of the block sees.
struct Span {
    int32_t first, last;
};

template <int kPairs>
MOEK_DEVICE Span span_of(const AttentionShared<kPairs>& shared) {
    Span span{INT32_MAX, -1};
    for (int p = 0; p < kPairs; ++p) {
        span.first = min(span.first, shared.first[p]);
        span.last = max(span.last, shared.last[p]);
    }
    return span;
}

// Loads elements [d, d + kSlice) of the tile's keys; zeros outside the span and past key_dim.
template <bool kWhole>
MOEK_DEVICE void load_keys(const Attention& call, float* keys, int32_t tile, int32_t d, const Span& span) {
    constexpr int kQuads = kSlice / kQuad;
    for (int i = threadIdx.x; i < kTile * kQuads; i += kAttentionThreads) {
        const int32_t position = tile + i / kQuads;
        const int32_t element = d + i % kQuads * kQuad;
        float4 quad = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (position >= span.first && position <= span.last && element < call.key_dim) {
            const float* row = call.k + position * call.k_stride + blockIdx.y * call.k_head_stride;
            quad = load_quad<float, kWhole>(row, element, call.key_dim);
        }
        *reinterpret_cast<float4*>(keys + i / kQuads * kSliceStride + i % kQuads * kQuad) = quad;
    }
}

// Scaled products of all queries with the keys of a tile. A thread has one position and kPairs / 4 pairs.
template <int kPairs, bool kWhole>
MOEK_DEVICE void score_tile(const Attention& call, const AttentionShared<kPairs>& shared, int32_t tile,
                            const Span& span) {
    constexpr int kEach = kPairs * kTile / kAttentionThreads;
    const int position = threadIdx.x % kTile;
    const int pair = threadIdx.x / kTile * kEach;
    float scores[kEach] = {};
    for (int32_t d = 0; d < call.key_dim; d += kSlice) {
        __syncthreads();
        load_keys<kWhole>(call, shared.keys, tile, d, span);
        __syncthreads();
#pragma unroll
        for (int i = 0; i < kSlice; i += kQuad) {
            const float4 key = *reinterpret_cast<const float4*>(shared.keys + position * kSliceStride + i);
#pragma unroll
            for (int p = 0; p < kEach; ++p) {
                const float* q = shared.q + (pair + p) * shared.q_stride + d + i;
                scores[p] = add_products(scores[p], *reinterpret_cast<const float4*>(q), key);
            }
        }
    }
    float* row = shared.weights + position * shared.kWeightStride + pair;
#pragma unroll
    for (int p = 0; p < kEach; ++p) row[p] = scores[p] * call.scale;
}

template <int kPairs>
MOEK_DEVICE bool sees(const Attention& call, const AttentionShared<kPairs>& shared, int p, int32_t position) {
    return position >= shared.first[p] && position <= shared.last[p] &&
           (call.mask == nullptr || call.mask[position] != 0);
}

// What a pair's distance to a position adds to its score.
MOEK_DEVICE float bias_of(const Attention& call, const PairRange& pairs, int p, int32_t position) {
    const int32_t reach = call.bias_reach;
    const int32_t distance = max(-reach, min(position - call.places[pairs.row(p)], reach));
    return call.bias[pairs.head(p) * (2 * int64_t{reach} + 1) + reach + distance];
}

// Turns the scores of a tile into weights relative to each pair's maximum. A warp a pair; lanes two positions each.
template <int kPairs>
MOEK_DEVICE void weigh_tile(const Attention& call, const PairRange& pairs, const AttentionShared<kPairs>& shared,
                            int32_t tile) {
    const int lane = threadIdx.x % 32;
    for (int p = threadIdx.x / 32; p < kPairs; p += kAttentionThreads / 32) {
        float* low = shared.weights + lane * shared.kWeightStride + p;
        float* high = low + 32 * shared.kWeightStride;
        const bool sees_low = sees(call, shared, p, tile + lane);
        const bool sees_high = sees(call, shared, p, tile + lane + 32);
        float low_score = *low;
        float high_score = *high;
        if (call.bias != nullptr) {
            if (sees_low) low_score += bias_of(call, pairs, p, tile + lane);
            if (sees_high) high_score += bias_of(call, pairs, p, tile + lane + 32);
        }
        const Softmax before = shared.chunk[p];
        float largest = before.largest;
        if (sees_low && low_score > largest) largest = low_score;
        if (sees_high && high_score > largest) largest = high_score;
        largest = warp_max(largest);
        const float low_weight = sees_low ? exp_f32(low_score - largest) : 0.0f;
        const float high_weight = sees_high ? exp_f32(high_score - largest) : 0.0f;
        const float sum = warp_sum(low_weight + high_weight);
        *low = sees_low ? low_weight : kMasked;
        *high = sees_high ? high_weight : kMasked;
        __syncwarp();
        if (lane == 0) {
            const float shrink = exp_f32(before.largest - largest);
            shared.shrink[p] = shrink;
            shared.chunk[p] = {largest, fmaf(before.sum, shrink, sum)};
        }
    }
}

// Adds the weighted values of a tile. A thread has four columns and kEach pairs.
template <int kPairs, int kEach, bool kWhole>
MOEK_DEVICE void add_values(const Attention& call, const AttentionShared<kPairs>& shared, int32_t tile,
                            const Span& span, int pair, int32_t column, float (&sums)[kEach][kQuad]) {
#pragma unroll
    for (int p = 0; p < kEach; ++p) {
#pragma unroll
        for (int c = 0; c < kQuad; ++c) sums[p][c] *= shared.shrink[pair + p];
    }
    if (column >= call.value_dim) return;
    const int from = max(span.first - tile, 0);
    const int to = min(span.last - tile, kTile - 1);
    const float* values = call.v + blockIdx.y * call.v_head_stride;
    for (int i = from; i <= to; ++i) {
        const float4 v = load_quad<float, kWhole>(values + (tile + i) * call.v_stride, column, call.value_dim);
        const float* weights = shared.weights + i * shared.kWeightStride + pair;
#pragma unroll
        for (int p = 0; p < kEach; ++p) {
            const float weight = weights[p];
            if (weight == kMasked) continue;
            sums[p][0] = fmaf(weight, v.x, sums[p][0]);
            sums[p][1] = fmaf(weight, v.y, sums[p][1]);
            sums[p][2] = fmaf(weight, v.z, sums[p][2]);
            sums[p][3] = fmaf(weight, v.w, sums[p][3]);
        }
    }
}

// One chunk of a pair, where a chunk's results are kept between blocks: [rows, heads, chunks], each a Softmax and
// value_dim values.
struct Parts {
    float* memory;  // null: a block walks all chunks itself and merges them into y
    int32_t chunks;
    MOEK_DEVICE float* at(const Attention& call, int64_t row, int32_t head, int32_t chunk) const {
        return memory + ((row * call.heads + head) * chunks + chunk) * (int64_t{call.value_dim} + 2);
    }
};

// y of a pair after its last chunk: the sink joins as one more part without values, then the division.
MOEK_DEVICE MergeFactors finish(const Attention& call, int32_t head, Softmax& total) {
    MergeFactors factors{1.0f, 0.0f};
    if (call.sinks != nullptr) factors = merge(total, {call.sinks[head], 1.0f});
    return factors;
}

// Ends a chunk: writes it as a part, or merges it into y, which holds the sum so far. A thread's own columns.
template <int kPairs, int kEach>
MOEK_DEVICE void end_chunk(const Attention& call, const PairRange& pairs, const AttentionShared<kPairs>& shared,
                           const Parts& parts, int32_t chunk, int pair, int32_t column,
                           const float (&sums)[kEach][kQuad]) {
#pragma unroll
    for (int p = 0; p < kEach; ++p) {
        const int32_t first = shared.first[pair + p];
        const int32_t last = shared.last[pair + p];
        if (first > last || chunk < first / kChunk || chunk > last / kChunk) continue;
        const int64_t row = pairs.row(pair + p);
        const int32_t head = pairs.head(pair + p);
        const int32_t columns = min(call.value_dim - column, kQuad);
        if (parts.memory != nullptr) {
            float* part = parts.at(call, row, head, chunk);
            if (column == 0) {
                part[0] = shared.chunk[pair + p].largest;
                part[1] = shared.chunk[pair + p].sum;
            }
#pragma unroll
            for (int c = 0; c < kQuad; ++c)
                if (c < columns) part[2 + column + c] = sums[p][c];
            continue;
        }
        Softmax total = shared.total[pair + p];
        const MergeFactors factors = merge(total, shared.chunk[pair + p]);
        const bool ends = chunk == last / kChunk;
        const MergeFactors sink = ends ? finish(call, head, total) : MergeFactors{1.0f, 0.0f};
        float* y = call.y + row * call.y_stride + head * call.y_head_stride + column;
#pragma unroll
        for (int c = 0; c < kQuad; ++c) {
            if (c >= columns) continue;
            const float before = chunk == first / kChunk ? 0.0f : y[c];
            const float sum = merge_value(factors, before, sums[p][c]);
            y[c] = ends ? sum * sink.before / total.sum : sum;
        }
    }
}

// Attention of kPairs pairs.
//
// Grid    ceil(rows * heads / kv_heads / kPairs) x kv heads x chunks, or 1 where a block walks all chunks.
// Block   256 threads; shared memory as AttentionShared says.
// Needs   8 <= kPairs, kColumns >= value_dim; kWhole: q, k, v rows of whole quads, aligned to them.
// Moves   the keys and values of the span once for kPairs pairs, a tile at a time (derived); fp32 products, 2 flops for
//         each element of key and value and pair.
template <int kPairs, int kColumns, bool kWhole>
__global__ void __launch_bounds__(kAttentionThreads, 1) attention_kernel(Attention call, Parts parts) {
    MOEK_DYNAMIC_SHARED(float, memory);
    constexpr int kColumnThreads = kColumns / kQuad;
    constexpr int kEach = kPairs * kColumnThreads / kAttentionThreads;
    const AttentionShared<kPairs> shared(memory, call.key_dim);
    const PairRange pairs = pairs_of_block(call, kPairs);
    const int32_t column = threadIdx.x % kColumnThreads * kQuad;
    const int pair = threadIdx.x / kColumnThreads * kEach;
    begin_pairs(call, pairs, shared);
    __syncthreads();
    const Span span = span_of(shared);
    if (span.first > span.last) return;
    const int32_t first_chunk = parts.memory == nullptr ? span.first / kChunk : blockIdx.z;
    const int32_t last_chunk = parts.memory == nullptr ? span.last / kChunk : blockIdx.z;
    for (int32_t chunk = first_chunk; chunk <= last_chunk; ++chunk) {
        float sums[kEach][kQuad] = {};
        for (int p = threadIdx.x; p < kPairs; p += kAttentionThreads) shared.chunk[p] = {};
        for (int i = 0; i < kChunk / kTile; ++i) {
            const int64_t tile = static_cast<int64_t>(chunk) * kChunk + i * kTile;
            if (tile > span.last || tile + kTile <= span.first) continue;
            score_tile<kPairs, kWhole>(call, shared, static_cast<int32_t>(tile), span);
            __syncthreads();
            weigh_tile(call, pairs, shared, static_cast<int32_t>(tile));
            __syncthreads();
            add_values<kPairs, kEach, kWhole>(call, shared, static_cast<int32_t>(tile), span, pair, column, sums);
        }
        if (column < call.value_dim) end_chunk(call, pairs, shared, parts, chunk, pair, column, sums);
        __syncthreads();
        for (int p = threadIdx.x; p < kPairs; p += kAttentionThreads) {
            const bool seen = shared.first[p] <= shared.last[p] && chunk >= shared.first[p] / kChunk &&
                              chunk <= shared.last[p] / kChunk;
            if (seen) merge(shared.total[p], shared.chunk[p]);
        }
        __syncthreads();
    }
}

// Merges the parts of a pair in ascending order, as a block of attention_kernel does that walks all chunks.
//
// Grid    one block a pair.
// Block   128 threads round the columns.
// Needs   attention_kernel with the same parts before it.
// Moves   the parts once (derived).
__global__ void __launch_bounds__(128) attention_merge_kernel(Attention call, Parts parts) {
    const int64_t row = blockIdx.x / call.heads;
    const int32_t head = blockIdx.x % call.heads;
    const int32_t first = call.first[row];
    const int32_t last = min(call.last[row], call.positions - 1);
    for (int32_t column = threadIdx.x; column < call.value_dim && first <= last; column += blockDim.x) {
        Softmax total;
        float sum = 0.0f;
        for (int32_t chunk = first / kChunk; chunk <= last / kChunk; ++chunk) {
            const float* part = parts.at(call, row, head, chunk);
            sum = merge_value(merge(total, {part[0], part[1]}), sum, part[2 + column]);
        }
        const MergeFactors sink = finish(call, head, total);
        call.y[row * call.y_stride + head * call.y_head_stride + column] = sum * sink.before / total.sum;
    }
}

}  // namespace moek
