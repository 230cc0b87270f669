// Grouped products of bf16 inputs on tensor cores with mma.sync, for compute capability 8.0 and up.
//
// An output is the sum over k in steps of 16, ascending, into one fp32 accumulator from 0. Tiles of all heights do the
// same, so a row's bits depend on the row and its weights only.
#include "kernels/experts/dense_paths.hpp"
#include "kernels/experts/mma.cuh"
#include "kernels/experts/tile_store.cuh"

namespace moek {
namespace {

// How the eight warps of a block share a tile of kRows slots x 128 weight rows.
template <int kRows>
struct WarpGrid {
    static constexpr int kDown = kRows >= 64 ? 2 : 1;
    static constexpr int kAcross = 8 / kDown;
    static constexpr int kRowFragments = kRows / kDown / 16;
    static constexpr int kColumnFragments = kMmaColumns / kAcross / 8;
};

template <int kRows>
using Sums = float[WarpGrid<kRows>::kRowFragments][WarpGrid<kRows>::kColumnFragments][4];

// Adds the 32 k of a stage.
template <int kRows>
MOEK_DEVICE void multiply_stage(const unsigned char* xs, const unsigned char* ws, Sums<kRows>& sums) {
    using Grid = WarpGrid<kRows>;
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    const int first_row = warp / Grid::kAcross * (kRows / Grid::kDown);
    const int first_column = warp % Grid::kAcross * (kMmaColumns / Grid::kAcross);
    const int x_unit = mma_unit(lane % 16, lane / 16) + first_row * 64;
    const int w_unit = mma_unit(lane % 8, lane / 8 % 2) + (first_column + lane / 16 * 8) * 64;
#pragma unroll
    for (int half = 0; half < kMmaDepth / 16; ++half) {
        uint32_t w[Grid::kColumnFragments / 2][4];
#pragma unroll
        for (int n = 0; n < Grid::kColumnFragments / 2; ++n) {
            ldmatrix_x4(w[n], ws + (w_unit ^ half * 32) + n * 16 * 64);
        }
#pragma unroll
        for (int m = 0; m < Grid::kRowFragments; ++m) {
            uint32_t x[4];
            ldmatrix_x4(x, xs + (x_unit ^ half * 32) + m * 16 * 64);
#pragma unroll
            for (int n = 0; n < Grid::kColumnFragments; ++n) {
                const uint32_t pair[2] = {w[n / 2][n % 2 * 2], w[n / 2][n % 2 * 2 + 1]};
                mma_m16n8k16(sums[m][n], x, pair);
            }
        }
    }
}

// Biases, activation and stores of a tile, 16 slots of each warp at a time. With gates, fragments of gates and of the
// up rows of the same outputs take turns.
template <int kRows>
MOEK_DEVICE void store_tile(const GroupedCall& call, const GroupedTile& tile, const Sums<kRows>& sums, float* staged) {
    using Grid = WarpGrid<kRows>;
    constexpr int kLines = Grid::kColumnFragments * 8;
    const int warp = static_cast<int>(threadIdx.x) / 32, parts = parts_of(call);
    const int first_row = warp / Grid::kAcross * (kRows / Grid::kDown);
    StagedSums<kLines> chunk;
    chunk.sums = staged;
    chunk.columns[0] = (tile.column * kMmaColumns + warp % Grid::kAcross * kLines) / parts;
    chunk.columns[1] = chunk.columns[0] + kLines / 2;
#pragma unroll 1
    for (int n = 0; n < Grid::kRowFragments; ++n) {
        chunk.first_slot = tile.first_slot + first_row + n * kStagedSlots;
        chunk.slots = min(kStagedSlots, tile.slots - first_row - n * kStagedSlots);
        if (chunk.slots <= 0) return;
#pragma unroll
        for (int m = 0; m < Grid::kRowFragments; ++m) {
            if (m != n) continue;
#pragma unroll
            for (int i = 0; i < Grid::kColumnFragments; ++i) {
                const float(&part)[4] = sums[m][i];
                const int line = parts == 2 ? i % 2 * (kLines / 2) + i / 2 * 8 : i * 8;
                stage_fragment(staged, line, part[0], part[1], part[2], part[3]);
            }
        }
        store_staged(call, chunk, tile.expert);
    }
}

template <int kRows>
constexpr int kStageBytes = (kRows + kMmaColumns) * kMmaDepth * 2;

// The sums of a tile; the ring in shared memory is free before and afterwards.
template <Element kType, int kRows, bool kWeighted>
MOEK_DEVICE void multiply_tile(const GroupedCall& call, const GroupedTile& tile, unsigned char* ring,
                               Sums<kRows>& sums) {
    const int32_t steps = (call.w.columns + kMmaDepth - 1) / kMmaDepth;
    auto inputs_of = [&](int32_t step) { return ring + step % kMmaStages * kStageBytes<kRows>; };
    auto weights_of = [&](int32_t step) { return inputs_of(step) + kRows * kMmaDepth * 2; };
    MmaFetch<kType, kRows, kWeighted> fetch(call, tile);
    for (int32_t step = 0; step < kMmaStages - 1; ++step) {
        if (step < steps) {
            fetch.read(step * kMmaDepth);
            fetch.copy(step * kMmaDepth, inputs_of(step), weights_of(step));
            fetch.store(inputs_of(step), weights_of(step));
        }
        cp_async_commit();
    }
    for (int32_t step = 0; step < steps; ++step) {
        cp_async_wait<kMmaStages - 2>();
        __syncthreads();
        const int32_t next = step + kMmaStages - 1;
        if (next < steps) {
            fetch.read(next * kMmaDepth);
            fetch.copy(next * kMmaDepth, inputs_of(next), weights_of(next));
        }
        cp_async_commit();
        multiply_stage<kRows>(inputs_of(step), weights_of(step), sums);
        if (next < steps) fetch.store(inputs_of(next), weights_of(next));
    }
    cp_async_wait<0>();
    __syncthreads();
}

// Grid    persistent: blocks walk over the work list.
// Block   256 threads; a tile of kRows slots x 128 weight rows (64 outputs when gated).
// Needs   bf16 inputs, columns % 8 == 0, weights of another type than fp32, scale blocks of a multiple of 8 columns.
// Moves   weights ceil(slots / kRows) times, inputs ceil(rows / 128) times, mostly from L2 (derived).
template <Element kType, int kRows>
__global__ void __launch_bounds__(kMmaThreads, kType == Element::kBF16 && kRows < 128 ? 2 : 1)
    grouped_mma_kernel(const __grid_constant__ GroupedCall call) {
    MOEK_DYNAMIC_SHARED(unsigned char, shared);
    const int outputs = kMmaColumns / parts_of(call);
    const int32_t column_tiles = (call.width + outputs - 1) / outputs;
    const int64_t items = grouped_tiles(call.groups, kRows) * column_tiles;
    float* staged = reinterpret_cast<float*>(shared) + static_cast<int>(threadIdx.x) / 32 * kStagedFloats;
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        GroupedTile tile;
        if (!find_tile<kRows>(call.groups, item, column_tiles, tile)) continue;
        Sums<kRows> sums = {};
        if (call.gather.weights == nullptr) {
            multiply_tile<kType, kRows, false>(call, tile, shared, sums);
        } else {
            multiply_tile<kType, kRows, true>(call, tile, shared, sums);
        }
        store_tile<kRows>(call, tile, sums, staged);
        __syncthreads();
    }
}

template <Element kType, int kRows>
cudaError_t launch_tiles(const GroupedCall& call, const Launch& device) {
    const int outputs = kMmaColumns / (call.has_activation && call.activation.gated ? 2 : 1);
    const int64_t items = grouped_tiles(call.groups, kRows) * ((call.width + outputs - 1) / outputs);
    const int64_t resident = 4 * static_cast<int64_t>(device.multiprocessors);
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(items < resident ? items : resident));
    shape.block = dim3(kMmaThreads);
    shape.shared_bytes = static_cast<size_t>(kMmaStages) * kStageBytes<kRows>;
    shape.stream = device.stream;
    return launch(grouped_mma_kernel<kType, kRows>, shape, call);
}

// Tiles as high as the slots that an expert has on average.
template <Element kType>
cudaError_t launch_typed(const GroupedCall& call, const Launch& device) {
    const int64_t slots = call.groups.max_slots / call.groups.experts;
    if (slots <= 16) return launch_tiles<kType, 16>(call, device);
    if (slots <= 64) return launch_tiles<kType, 64>(call, device);
    return launch_tiles<kType, 128>(call, device);
}

}  // namespace

bool grouped_mma_takes(const GroupedCall& call) {
    if (call.w.type == Element::kF8E4M3 && call.w.scale_block_columns % 8 != 0) return false;
    return call.x_type == Element::kBF16 && call.w.type != Element::kF32 && call.w.columns % 8 == 0;
}

cudaError_t launch_grouped_mma(const GroupedCall& call, const Launch& device) {
    return for_weight_type(call.w.type, [&](auto type) {
        constexpr Element kType = decltype(type)::value;
        if constexpr (kType == Element::kF32) {
            return cudaErrorNotSupported;
        } else {
            return launch_typed<kType>(call, device);
        }
    });
}

}  // namespace moek
