// Grouped products of bf16 inputs and bf16 weights with wgmma, for compute capability 9.0.
//
// An output is the sum over k in steps of 16, ascending, into one fp32 accumulator from 0, whatever the tile: a row's
// bits depend on the row and its weights only.
#include "kernels/experts/dense_paths.hpp"
#include "kernels/experts/tile_store.cuh"
#include "kernels/experts/wgmma.cuh"

namespace moek {
namespace {

#if MOEK_HAS_SM90

// The producers: 128 threads that gather inputs, the first of which also starts the weights' loads. Inputs of a stage
// are announced two stages later, when their copies have landed.
template <int kHalf, int kConsumers>
MOEK_DEVICE void produce(const GroupedCall& call, const WgmmaRing<WgmmaTile<kHalf, kConsumers>>& ring) {
    using Tile = WgmmaTile<kHalf, kConsumers>;
    constexpr int kLag = 2;
    const int outputs = 2 * kHalf / parts_of(call);
    const int32_t column_tiles = (call.width + outputs - 1) / outputs;
    const int64_t items = grouped_tiles(call.groups, Tile::kSlots) * column_tiles;
    uint32_t step = 0, announced = 0;
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        GroupedTile tile;
        if (!find_tile<Tile::kSlots>(call.groups, item, column_tiles, tile)) continue;
        const InputFetch<Tile> inputs(call, tile);
        for (int32_t k = 0; k < call.w.columns; k += kWgmmaDepth, ++step) {
            mbarrier_wait(ring.empty(step), ring.parity(step) ^ 1);
            if (threadIdx.x % 128 == 0) load_weights<kHalf>(call, tile, ring, step, k);
            inputs.fetch(k, ring.inputs(step));
            if (step - announced < kLag) continue;
            cp_async_wait<kLag>();
            fence_async_proxy();
            mbarrier_arrive(ring.full(announced++));
        }
    }
    cp_async_wait<0>();
    fence_async_proxy();
    while (announced < step) mbarrier_arrive(ring.full(announced++));
}

// Adds the 64 k of a stage to both halves' sums.
template <int kHalf, class Tile>
MOEK_DEVICE void multiply_stage(const WgmmaRing<Tile>& ring, uint32_t step, int consumer, float (&sums)[2][kHalf / 2]) {
    const uint64_t x = wgmma_descriptor(ring.inputs(step) + consumer * 64 * 128);
    const uint64_t w[2] = {wgmma_descriptor(ring.weights(step, 0)), wgmma_descriptor(ring.weights(step, 1))};
    wgmma_fence();
#pragma unroll
    for (int part = 0; part < kWgmmaDepth / 16; ++part) {
        wgmma_m64k16<kHalf>(sums[0], x + part * 2, w[0] + part * 2);
        wgmma_m64k16<kHalf>(sums[1], x + part * 2, w[1] + part * 2);
    }
    wgmma_commit();
}

// Biases, activation and stores of a consumer's 64 slots, 16 weight rows of both halves at a time.
template <int kHalf>
MOEK_DEVICE void store_tile(const GroupedCall& call, const GroupedTile& tile, int consumer,
                            const float (&sums)[2][kHalf / 2], float* staged) {
    const int first_row = consumer * 64 + static_cast<int>(threadIdx.x) / 32 % 4 * kStagedSlots;
    StagedSums<32> chunk;
    chunk.sums = staged;
    chunk.first_slot = tile.first_slot + first_row;
    chunk.slots = min(kStagedSlots, tile.slots - first_row);
    chunk.columns[0] = tile.column * (2 * kHalf / parts_of(call));
    chunk.columns[1] = chunk.columns[0] + kHalf;
    if (chunk.slots <= 0) return;
#pragma unroll 1
    for (int n = 0; n < kHalf / 16; ++n) {
#pragma unroll
        for (int i = 0; i < kHalf / 2; i += 4) {
            if (i / 8 != n) continue;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                stage_fragment(staged, half * 16 + i / 4 % 2 * 8, sums[half][i], sums[half][i + 1], sums[half][i + 2],
                               sums[half][i + 3]);
            }
        }
        store_staged(call, chunk, tile.expert);
        chunk.columns[0] += 16, chunk.columns[1] += 16;
    }
}

// A consumer warpgroup: 64 slots of every tile. A stage is given back when the products of the next are under way.
template <int kHalf, int kConsumers>
MOEK_DEVICE void consume(const GroupedCall& call, const WgmmaRing<WgmmaTile<kHalf, kConsumers>>& ring) {
    using Tile = WgmmaTile<kHalf, kConsumers>;
    const int consumer = static_cast<int>(threadIdx.x) / 128 - 1;
    const bool leads_warp = threadIdx.x % 32 == 0;
    const int outputs = 2 * kHalf / parts_of(call);
    const int32_t column_tiles = (call.width + outputs - 1) / outputs;
    const int64_t items = grouped_tiles(call.groups, Tile::kSlots) * column_tiles;
    uint32_t step = 0;
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        GroupedTile tile;
        if (!find_tile<Tile::kSlots>(call.groups, item, column_tiles, tile)) continue;
        float sums[2][kHalf / 2] = {};
        for (int32_t k = 0; k < call.w.columns; k += kWgmmaDepth, ++step) {
            mbarrier_wait(ring.full(step), ring.parity(step));
            multiply_stage<kHalf>(ring, step, consumer, sums);
            if (k == 0) continue;
            wgmma_wait<1>();
            __syncwarp();
            if (leads_warp) mbarrier_arrive(ring.empty(step - 1));
        }
        wgmma_wait<0>();
        __syncwarp();
        if (leads_warp) mbarrier_arrive(ring.empty(step - 1));
        store_tile<kHalf>(call, tile, consumer, sums, ring.staged(static_cast<int>(threadIdx.x) / 32 - 4));
    }
}

#endif

// Grid    persistent: blocks walk over the work list.
// Block   a producer warpgroup and kConsumers of 64 slots each; tiles of 64 kConsumers slots x 2 kHalf weight rows.
// Needs   bf16 inputs and weights, columns % 8 == 0, a prepared stack.
// Moves   weights ceil(slots / 64 kConsumers) times, inputs ceil(rows / 2 kHalf) times, mostly from L2 (derived).
template <int kHalf, int kConsumers>
__global__ void __launch_bounds__(128 * (kConsumers + 1), kConsumers == 1 ? 3 : 1)
    grouped_wgmma_kernel([[maybe_unused]] const __grid_constant__ GroupedCall call) {
#if MOEK_HAS_SM90
    using Tile = WgmmaTile<kHalf, kConsumers>;
    MOEK_DYNAMIC_SHARED(unsigned char, shared);
    const WgmmaRing<Tile> ring{shared};
    if (threadIdx.x == 0) {
        for (uint32_t stage = 0; stage < kWgmmaStages; ++stage) {
            mbarrier_init(ring.full(stage), 128 + 1);
            mbarrier_init(ring.empty(stage), 4 * kConsumers);
        }
        mbarrier_init_fence();
    }
    __syncthreads();
    if (threadIdx.x < 128) {
        if (kConsumers == 2) lower_registers<72>();
        produce<kHalf, kConsumers>(call, ring);
    } else {
        if (kConsumers == 2) raise_registers<216>();
        consume<kHalf, kConsumers>(call, ring);
    }
#endif
}

template <int kHalf, int kConsumers>
cudaError_t launch_tiles(const GroupedCall& call, const Launch& device) {
    using Tile = WgmmaTile<kHalf, kConsumers>;
    const int outputs = 2 * kHalf / (call.has_activation && call.activation.gated ? 2 : 1);
    const int64_t items = grouped_tiles(call.groups, Tile::kSlots) * ((call.width + outputs - 1) / outputs);
    const int64_t resident = (kConsumers == 1 ? 3 : 1) * static_cast<int64_t>(device.multiprocessors);
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(items < resident ? items : resident));
    shape.block = dim3(Tile::kThreads);
    shape.shared_bytes = Tile::kSharedBytes;
    shape.stream = device.stream;
    return launch(grouped_wgmma_kernel<kHalf, kConsumers>, shape, call);
}

}  // namespace

// Views of three axes, so that a load never crosses from gate to up rows: [matrix and part, row, k], or where gate and
// up rows take turns [pair of rows, part, k].
cudaError_t prepare_dense(DenseStack& stack, bool gated, GateUpOrder order) {
    stack.has_map = false;
    if (stack.type != Element::kBF16 || stack.columns % 8 != 0 || stack.columns == 0 || stack.rows == 0) {
        return cudaSuccess;
    }
    const uint64_t row_bytes = static_cast<uint64_t>(stack.columns) * 2;
    const uint64_t rows = static_cast<uint64_t>(stack.rows), matrices = static_cast<uint64_t>(stack.matrices);
    TileMap map = {};
    map.data = stack.data;
    map.element = TileElement::bf16;
    map.rank = 3;
    map.size[0] = static_cast<uint64_t>(stack.columns);
    map.box[0] = kWgmmaDepth;
    map.swizzle_bytes = 128;
    map.stride_bytes[1] = row_bytes;
    if (gated && order == GateUpOrder::kInterleaved) {
        map.size[1] = 2, map.size[2] = matrices * rows / 2;
        map.stride_bytes[2] = 2 * row_bytes;
        map.box[1] = 1, map.box[2] = kWgmmaBoxRows;
    } else {
        const uint64_t parts = gated ? 2 : 1;
        map.size[1] = rows / parts, map.size[2] = matrices * parts;
        map.stride_bytes[2] = rows / parts * row_bytes;
        map.box[1] = kWgmmaBoxRows, map.box[2] = 1;
    }
    const cudaError_t error = encode_tensor_map(&stack.map, map);
    stack.has_map = error == cudaSuccess;
    return error;
}

bool grouped_wgmma_takes(const GroupedCall& call, const Launch& device) {
    return device.capability == 90 && call.x_type == Element::kBF16 && call.w.has_map;
}

// Few slots per expert: lower and narrower tiles, so that more blocks share the reading of weights.
cudaError_t launch_grouped_wgmma(const GroupedCall& call, const Launch& device) {
    if (call.groups.max_slots / call.groups.experts <= 64) return launch_tiles<32, 1>(call, device);
    return launch_tiles<128, 2>(call, device);
}

}  // namespace moek
