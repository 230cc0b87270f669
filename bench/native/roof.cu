#include "device/ptx.cuh"
#include "device/types.cuh"
#include "roof.hpp"

namespace moek::bench {
namespace {

constexpr int kThreads = 256;
constexpr int kBlocksPerMultiprocessor = 8;
constexpr int kColumnTiles = 16;   // of mma.sync: 16 x 8 results each, 64 accumulators a thread
constexpr int kTileColumns = 256;  // of wgmma: 128 accumulators a thread
constexpr int kTileDepth = 64;
constexpr int kWarpgroups = kThreads / 128;
constexpr int kTileRows = 64;
// 1.375 and 1.625: products of several bits, so that the multipliers have something to do. Operands are the same
// along K, so results do not depend on how the tiles are swizzled.
constexpr float kA = 1.375f, kB = 1.625f;

// Grid: 8 blocks a multiprocessor. Moves: `vectors` 16-byte loads, four under way a thread.
__global__ void read_roof_kernel(uint32_t* found, const uint4* data, uint64_t vectors) {
    const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
    uint32_t seen = 0;
    uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x;
    for (; i + 3 * step < vectors; i += 4 * step) {
        const uint4 a = data[i], b = data[i + step], c = data[i + 2 * step], d = data[i + 3 * step];
        seen |= a.x ^ a.y ^ a.z ^ a.w ^ b.x ^ b.y ^ b.z ^ b.w;
        seen |= c.x ^ c.y ^ c.z ^ c.w ^ d.x ^ d.y ^ d.z ^ d.w;
    }
    for (; i < vectors; i += step) seen |= data[i].x ^ data[i].y ^ data[i].z ^ data[i].w;
    if (seen != 0) *found = 1;
}

// Grid: 8 blocks a multiprocessor. Moves: 16-byte loads and stores.
__global__ void copy_roof_kernel(uint4* target, const uint4* source, uint64_t vectors) {
    const uint64_t step = uint64_t{gridDim.x} * blockDim.x;
    for (uint64_t i = uint64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < vectors; i += step) target[i] = source[i];
}

MOEK_DEVICE uint32_t pair(float value) {
    return uint32_t{from_float<bf16>(value).bits} * 0x10001u;
}

// y[thread] = one result. Moves nothing: rounds x 16 products of 16 x 8 x 16 a warp.
__global__ void mma_roof_kernel(float* y, int rounds) {
    const uint32_t a[4] = {pair(kA), pair(kA), pair(kA), pair(kA)};
    const uint32_t b[2] = {pair(kB), pair(kB)};
    float d[kColumnTiles][4] = {};
    for (int round = 0; round < rounds; ++round) {
#pragma unroll
        for (int tile = 0; tile < kColumnTiles; ++tile) mma_m16n8k16(d[tile], a, b);
    }
    float least = d[0][0];
#pragma unroll
    for (int tile = 0; tile < kColumnTiles; ++tile) {
        for (int i = 0; i < 4; ++i) least = fminf(least, d[tile][i]);
    }
    y[blockIdx.x * blockDim.x + threadIdx.x] = least;
}

// Two warpgroups, each 64 x 256 results from its own A and the block's B, [64, 64] and [256, 64] in shared memory.
__global__ void wgmma_roof_kernel([[maybe_unused]] float* y, [[maybe_unused]] int rounds) {
#if MOEK_HAS_SM90
    MOEK_DYNAMIC_SHARED(uint32_t, tiles);
    constexpr int kWordsOfA = kWarpgroups * kTileRows * kTileDepth / 2;
    constexpr int kWords = kWordsOfA + kTileColumns * kTileDepth / 2;
    for (int i = static_cast<int>(threadIdx.x); i < kWords; i += kThreads) tiles[i] = pair(i < kWordsOfA ? kA : kB);
    fence_async_proxy();
    __syncthreads();
    const int group = static_cast<int>(threadIdx.x) / 128;
    const uint64_t a = wgmma_descriptor(tiles + group * kTileRows * kTileDepth / 2);
    const uint64_t b = wgmma_descriptor(tiles + kWordsOfA);
    float d[kTileColumns / 2] = {};
    for (int round = 0; round < rounds; ++round) {
        wgmma_fence();
#pragma unroll
        for (int k = 0; k < 16; ++k) wgmma_m64k16<kTileColumns>(d, a + 2 * (k % 4), b + 2 * (k % 4));
        wgmma_commit();
        wgmma_wait<0>();
    }
    float least = d[0];
#pragma unroll
    for (int i = 1; i < kTileColumns / 2; ++i) least = fminf(least, d[i]);
    y[blockIdx.x * blockDim.x + threadIdx.x] = least;
#endif
}

int blocks(int kind, const Launch& launch) {
    return kind == 0 ? 2 * launch.multiprocessors : launch.multiprocessors;
}

LaunchShape memory_shape(const Launch& launch) {
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(kBlocksPerMultiprocessor * launch.multiprocessors));
    shape.block = dim3(kThreads);
    shape.stream = launch.stream;
    return shape;
}

}  // namespace

cudaError_t launch_read_roof(uint32_t* found, const void* data, uint64_t bytes, const Launch& launch) {
    return moek::launch(read_roof_kernel, memory_shape(launch), found, static_cast<const uint4*>(data), bytes / 16);
}

cudaError_t launch_copy_roof(void* target, const void* source, uint64_t bytes, const Launch& launch) {
    return moek::launch(copy_roof_kernel, memory_shape(launch), static_cast<uint4*>(target),
                        static_cast<const uint4*>(source), bytes / 16);
}

cudaError_t launch_mma_roof(float* y, int kind, int rounds, const Launch& launch) {
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(blocks(kind, launch)));
    shape.block = dim3(kThreads);
    shape.stream = launch.stream;
    if (kind == 0) return moek::launch(mma_roof_kernel, shape, y, rounds);
    shape.shared_bytes = sizeof(uint16_t) * kTileDepth * (kWarpgroups * kTileRows + kTileColumns);
    return moek::launch(wgmma_roof_kernel, shape, y, rounds);
}

uint64_t mma_roof_outputs(int kind, const Launch& launch) {
    return static_cast<uint64_t>(blocks(kind, launch)) * kThreads;
}

double mma_roof_flops(int kind, int rounds, const Launch& launch) {
    const double of_block = kind == 0 ? 2.0 * 16 * 8 * 16 * kColumnTiles * (kThreads / 32)
                                      : 2.0 * kTileRows * kTileColumns * 16 * 16 * kWarpgroups;
    return of_block * rounds * blocks(kind, launch);
}

float mma_roof_value(int kind, int rounds) {
    return kA * kB * 16.0f * static_cast<float>(kind == 0 ? rounds : 16 * rounds);
}

}  // namespace moek::bench
