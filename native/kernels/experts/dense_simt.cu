// Grouped products in fp32 for every shape and type of weights.
//
// Sums run as in the CPU library: 16 partial sums by k mod 16, each ascending in k with fused multiply-add from +0,
// then halves onto halves. The bits of an output depend on its row and its weights only.
#include "kernels/experts/dense_paths.hpp"
#include "kernels/experts/grouped.cuh"
#include "kernels/experts/weights.cuh"

namespace moek {
namespace {

constexpr int kTile = 32;   // slots and weight rows of a tile
constexpr int kDepth = 32;  // k of a step
constexpr int kPitch = 36;  // floats of a row in shared memory: quads of neighbouring rows meet different banks
constexpr int kThreads = 256;

// What a thread fetches of each step: four inputs of one slot and four weights of one row.
template <Element kType>
struct Fetch {
    InputRow input;
    const unsigned char* weights = nullptr;
    RowScale<kType> scale;
    bool has_slot = false, has_row = false;
    float4 x;
    WeightFour<kType> w;

    MOEK_DEVICE void begin(const GroupedCall& call, const GroupedTile& tile, int32_t k) {
        const int line = static_cast<int>(threadIdx.x) / 8;
        has_slot = line < tile.slots;
        if (has_slot) input = input_row(call, tile.first_slot + line);
        const int parts = parts_of(call);
        const int32_t column = tile.column * (kTile / parts) + line / parts;
        has_row = column < call.width;
        if (!has_row) return;
        const int32_t row = weight_row(call, column, line % parts);
        weights = weight_address<kType>(call.w, tile.expert, row, 0);
        scale = RowScale<kType>(call.w, tile.expert, row, k);
    }

    MOEK_DEVICE void read(const GroupedCall& call, int32_t k, bool whole) {
        x = has_slot ? load_inputs(call, input, k, whole) : make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        w = {};
        if (!has_row || k >= call.w.columns) return;
        const unsigned char* address = weights + static_cast<int64_t>(k) * element_bits(kType) / 8;
        w.bits = whole ? read_four<kType>(address) : read_some<kType>(address, min(4, call.w.columns - k));
        for (int j = 0; j < (kType == Element::kF8E4M3 ? 4 : 1); ++j) w.scale[j] = scale.at(call.w, k + j);
    }

    MOEK_DEVICE void store(float* xs, float* ws) const {
        const int at = static_cast<int>(threadIdx.x) / 8 * kPitch + static_cast<int>(threadIdx.x) % 8 * 4;
        *reinterpret_cast<float4*>(xs + at) = x;
        *reinterpret_cast<float4*>(ws + at) = make_float4(w.value(0), w.value(1), w.value(2), w.value(3));
    }
};

// Adds 16 k of four slots times four rows; the thread's lanes are 4 quarter to 4 quarter + 3.
MOEK_DEVICE void multiply(const float* xs, const float* ws, float (&sums)[4][4][4]) {
    float4 x[4];
#pragma unroll
    for (int m = 0; m < 4; ++m) x[m] = *reinterpret_cast<const float4*>(xs + m * kPitch);
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        const float4 w = *reinterpret_cast<const float4*>(ws + n * kPitch);
#pragma unroll
        for (int m = 0; m < 4; ++m) {
            sums[m][n][0] = fmaf(w.x, x[m].x, sums[m][n][0]);
            sums[m][n][1] = fmaf(w.y, x[m].y, sums[m][n][1]);
            sums[m][n][2] = fmaf(w.z, x[m].z, sums[m][n][2]);
            sums[m][n][3] = fmaf(w.w, x[m].w, sums[m][n][3]);
        }
    }
}

// Adds the 16 partial sums over a quad: afterwards thread q of it has the four outputs of slot q in `row`.
MOEK_DEVICE void reduce_quad(const float (&sums)[4][4][4], float (&row)[4]) {
    const bool upper = (threadIdx.x & 2) != 0, odd = (threadIdx.x & 1) != 0;
#pragma unroll
    for (int n = 0; n < 4; ++n) {
        float lane[4];
#pragma unroll
        for (int j = 0; j < 4; ++j) {
            float half[2];
#pragma unroll
            for (int m = 0; m < 2; ++m) {
                const float given = upper ? sums[m][n][j] : sums[m + 2][n][j];
                const float kept = upper ? sums[m + 2][n][j] : sums[m][n][j];
                half[m] = kept + __shfl_xor_sync(0xFFFFFFFFu, given, 2);
            }
            lane[j] = (odd ? half[1] : half[0]) + __shfl_xor_sync(0xFFFFFFFFu, odd ? half[0] : half[1], 1);
        }
        row[n] = (lane[0] + lane[2]) + (lane[1] + lane[3]);
    }
}

// Grid    any; blocks walk over the work list.
// Block   256 threads, 64 quads of 4 x 4 outputs: a tile of 32 slots x 32 weight rows (16 outputs when gated).
// Needs   columns % 32 == 0 for MXFP4; nothing of other types.
// Moves   weights ceil(slots / 32) times and inputs ceil(rows / 32) times, from L2 where they fit (derived).
template <Element kType>
__global__ void __launch_bounds__(kThreads, 2) grouped_simt_kernel(const __grid_constant__ GroupedCall call) {
    MOEK_SHARED(float, xs, [2][kTile * kPitch]);
    MOEK_SHARED(float, ws, [2][kTile * kPitch]);
    const int thread = static_cast<int>(threadIdx.x), lane = thread & 31, warp = thread / 32;
    const int quarter = lane & 3;
    const int m = (warp / 2 * 2 + lane / 16) * 4;     // first slot of the quad
    const int n = (warp % 2 * 4 + lane / 4 % 4) * 4;  // its first weight row
    const int outputs = kTile / parts_of(call);
    const int32_t column_tiles = (call.width + outputs - 1) / outputs;
    const int64_t items = grouped_tiles(call.groups, kTile) * column_tiles;
    const bool whole = call.w.columns % 4 == 0;
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        GroupedTile tile;
        if (!find_tile<kTile>(call.groups, item, column_tiles, tile)) continue;
        const int32_t first = thread % 8 * 4;
        Fetch<kType> fetch;
        fetch.begin(call, tile, first);
        fetch.read(call, first, whole);
        fetch.store(xs[0], ws[0]);
        __syncthreads();
        float sums[4][4][4] = {};
        for (int32_t k = 0, stage = 0; k < call.w.columns; k += kDepth, stage ^= 1) {
            const bool more = k + kDepth < call.w.columns;
            if (more) fetch.read(call, k + kDepth + first, whole);
            const float* x = xs[stage] + m * kPitch + quarter * 4;
            const float* w = ws[stage] + n * kPitch + quarter * 4;
            multiply(x, w, sums);
            if (k + 16 < call.w.columns) multiply(x + 16, w + 16, sums);
            if (more) fetch.store(xs[stage ^ 1], ws[stage ^ 1]);
            __syncthreads();
        }
        float row[4];
        reduce_quad(sums, row);
        if (m + quarter < tile.slots) {
            const int32_t column = tile.column * outputs + n / (kTile / outputs);
            store_sums(call, tile.expert, tile.first_slot + m + quarter, column, row);
        }
    }
}

template <Element kType>
cudaError_t launch_typed(const GroupedCall& call, const Launch& device) {
    const int outputs = kTile / (call.has_activation && call.activation.gated ? 2 : 1);
    const int64_t items = grouped_tiles(call.groups, kTile) * ((call.width + outputs - 1) / outputs);
    const int64_t resident = 2 * static_cast<int64_t>(device.multiprocessors);
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(items < resident ? items : resident));
    shape.block = dim3(kThreads);
    shape.stream = device.stream;
    return launch(grouped_simt_kernel<kType>, shape, call);
}

}  // namespace

cudaError_t launch_grouped_simt(const GroupedCall& call, const Launch& device) {
    return for_weight_type(call.w.type, [&](auto type) { return launch_typed<decltype(type)::value>(call, device); });
}

}  // namespace moek
