#include "device/hopper_kernels.hpp"
#include "device/ptx.cuh"

namespace moek::test {
namespace {

[[maybe_unused]] constexpr int kTile = 128;

__global__ void bulk_ring_kernel([[maybe_unused]] int* sums, [[maybe_unused]] const int* in,
                                 [[maybe_unused]] int tiles) {
#if MOEK_HAS_SM90
    MOEK_SHARED(int, slots, [2][kTile]);
    MOEK_SHARED(uint64_t, full, [2]);
    MOEK_SHARED(uint64_t, empty, [2]);
    const int t = static_cast<int>(threadIdx.x), users = static_cast<int>(blockDim.x) - 32;
    if (t == 0) {
        for (int s = 0; s < 2; ++s) {
            mbarrier_init(&full[s], 1);
            mbarrier_init(&empty[s], static_cast<uint32_t>(users));
        }
        mbarrier_init_fence();
    }
    __syncthreads();
    if (t == 0) {
        for (int i = 0; i < tiles; ++i) {
            const uint32_t round = static_cast<uint32_t>(i / 2);
            mbarrier_wait(&empty[i % 2], (round + 1) % 2);
            mbarrier_arrive_expect(&full[i % 2], kTile * sizeof(int));
            bulk_load(slots[i % 2], in + (blockIdx.x * tiles + i) * kTile, kTile * sizeof(int), &full[i % 2]);
        }
    } else if (t >= 32) {
        int sum = 0;
        for (int i = 0; i < tiles; ++i) {
            mbarrier_wait(&full[i % 2], static_cast<uint32_t>(i / 2) % 2);
            for (int j = t - 32; j < kTile; j += users) sum += slots[i % 2][j];
            mbarrier_arrive(&empty[i % 2]);
        }
        atomicAdd(&sums[blockIdx.x], sum);
    }
#endif
}

__global__ void bulk_store_kernel([[maybe_unused]] int* out, [[maybe_unused]] const int* in) {
#if MOEK_HAS_SM90
    MOEK_SHARED(int, tile, [256]);
    MOEK_SHARED(uint64_t, full, [1]);
    const int t = static_cast<int>(threadIdx.x);
    if (t == 0) {
        mbarrier_init(full, 1);
        mbarrier_init_fence();
        mbarrier_arrive_expect(full, sizeof(int) * 256);
        bulk_load(tile, in, sizeof(int) * 256, full);
    }
    __syncthreads();
    mbarrier_wait(full, 0);
    for (int i = t; i < 256; i += 64) tile[i] += 1;
    fence_async_proxy();
    __syncthreads();
    if (t == 0) {
        bulk_store(out, tile, sizeof(int) * 128);
        bulk_store_commit();
        bulk_store(out + 128, tile + 128, sizeof(int) * 128);
        bulk_store_commit();
        bulk_store_wait<1>();
        bulk_store_wait<0>();
    }
#endif
}

__global__ void tile_load_kernel([[maybe_unused]] uint8_t* out,
                                 [[maybe_unused]] const __grid_constant__ CUtensorMap map, [[maybe_unused]] int32_t x,
                                 [[maybe_unused]] int32_t y, [[maybe_unused]] int32_t z,
                                 [[maybe_unused]] uint32_t bytes) {
#if MOEK_HAS_SM90
    MOEK_DYNAMIC_SHARED(uint8_t, tile);
    MOEK_SHARED(uint64_t, full, [1]);
    if (threadIdx.x == 0) {
        prefetch_tensor_map(map);
        mbarrier_init(full, 1);
        mbarrier_init_fence();
        mbarrier_arrive_expect(full, bytes);
        if (z < 0)
            tile_load_2d(tile, map, x, y, full);
        else
            tile_load_3d(tile, map, x, y, z, full);
    }
    __syncthreads();
    mbarrier_wait(full, 0);
    for (uint32_t i = threadIdx.x; i < bytes; i += blockDim.x) out[i] = tile[i];
#endif
}

// One warpgroup, k in steps of 64 columns; d in the accumulator layout.
template <int kColumns>
__global__ void __launch_bounds__(128)
    wgmma_kernel([[maybe_unused]] float* d, [[maybe_unused]] const __grid_constant__ CUtensorMap a,
                 [[maybe_unused]] const __grid_constant__ CUtensorMap b, [[maybe_unused]] int k) {
#if MOEK_HAS_SM90
    MOEK_DYNAMIC_SHARED(uint8_t, smem);  // a [64, 128 bytes], then b [kColumns, 128 bytes]
    MOEK_SHARED(uint64_t, full, [1]);
    uint8_t* const b_tile = smem + 64 * 128;
    if (threadIdx.x == 0) {
        mbarrier_init(full, 1);
        mbarrier_init_fence();
    }
    __syncthreads();
    float sums[kColumns / 2] = {};
    for (int k0 = 0; k0 < k; k0 += 64) {
        if (threadIdx.x == 0) {
            mbarrier_arrive_expect(full, (64 + kColumns) * 128);
            tile_load_2d(smem, a, k0, 0, full);
            tile_load_2d(b_tile, b, k0, 0, full);
        }
        mbarrier_wait(full, static_cast<uint32_t>(k0 / 64) % 2);
        const uint64_t a_descriptor = wgmma_descriptor(smem), b_descriptor = wgmma_descriptor(b_tile);
        wgmma_fence();
        for (int step = 0; step < 4; ++step)
            wgmma_m64k16<kColumns>(sums, a_descriptor + 2 * step, b_descriptor + 2 * step, k0 + step > 0);
        wgmma_commit();
        wgmma_wait<0>();
        __syncthreads();
    }
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    for (int j = 0; j < kColumns / 8; ++j)
        for (int i = 0; i < 4; ++i)
            d[(warp * 16 + lane / 4 + i / 2 * 8) * kColumns + j * 8 + lane % 4 * 2 + i % 2] = sums[4 * j + i];
#endif
}

#if MOEK_HAS_SM90
// Stores operand[rows, 16] from k0 on where a descriptor of this swizzle looks for it.
MOEK_DEVICE void store_operand(uint8_t* shared, const uint16_t* operand, int rows, int k, int k0, int swizzle_bytes) {
    for (int i = static_cast<int>(threadIdx.x); i < rows * 16; i += static_cast<int>(blockDim.x)) {
        const int row = i / 16, column = i % 16;
        int offset;
        if (swizzle_bytes == 0)
            offset = row / 8 * 256 + column / 8 * 128 + row % 8 * 16 + column % 8 * 2;
        else
            offset = row * swizzle_bytes + column * 2;
        if (swizzle_bytes > 0) offset ^= (offset >> 7 & (swizzle_bytes / 16 - 1)) << 4;
        *reinterpret_cast<uint16_t*>(shared + offset) = operand[row * k + k0 + column];
    }
}

MOEK_DEVICE uint64_t descriptor_of(const void* shared, int swizzle_bytes) {
    const uint64_t start = shared_address(shared) >> 4;
    if (swizzle_bytes == 0) return start | uint64_t{128 >> 4} << 16 | uint64_t{256 >> 4} << 32;
    const uint64_t layout = swizzle_bytes == 128 ? 1 : swizzle_bytes == 64 ? 2 : 3;
    return start | uint64_t{1} << 16 | static_cast<uint64_t>(swizzle_bytes * 8 >> 4) << 32 | layout << 62;
}
#endif

__global__ void __launch_bounds__(128, 1)
    wgmma_layout_kernel([[maybe_unused]] float* d, [[maybe_unused]] const uint16_t* a,
                        [[maybe_unused]] const uint16_t* b, [[maybe_unused]] int k,
                        [[maybe_unused]] int swizzle_bytes) {
#if MOEK_HAS_SM90
    MOEK_DYNAMIC_SHARED(uint8_t, smem);
    uint8_t* const b_tile = smem + 64 * 128;
    float sums[8] = {};
    lower_registers<64>();
    raise_registers<96>();
    for (int k0 = 0; k0 < k; k0 += 16) {
        store_operand(smem, a, 64, k, k0, swizzle_bytes);
        store_operand(b_tile, b, 16, k, k0, swizzle_bytes);
        fence_async_proxy();
        __syncthreads();
        wgmma_fence();
        wgmma_m64k16<16>(sums, descriptor_of(smem, swizzle_bytes), descriptor_of(b_tile, swizzle_bytes));
        wgmma_commit();
        wgmma_wait<0>();
        __syncthreads();
    }
    const int lane = static_cast<int>(threadIdx.x) % 32, warp = static_cast<int>(threadIdx.x) / 32;
    for (int i = 0; i < 8; ++i)
        d[(warp * 16 + lane / 4 + i / 2 % 2 * 8) * 16 + i / 4 * 8 + lane % 4 * 2 + i % 2] = sums[i];
#endif
}

__global__ void cluster_ring_kernel([[maybe_unused]] int* out) {
#if MOEK_HAS_SM90
    MOEK_SHARED(int, given, [32]);
    MOEK_SHARED(uint64_t, arrived, [1]);
    const uint32_t rank = cluster_rank(), next = (rank + 1) % cluster_size();
    if (threadIdx.x == 0) {
        mbarrier_init(arrived, 32);
        mbarrier_init_fence();
    }
    cluster_sync();
    *map_shared(&given[threadIdx.x], next) = static_cast<int>(blockIdx.x);
    mbarrier_arrive_remote(arrived, next);
    mbarrier_wait(arrived, 0);
    if (threadIdx.x == 0) out[blockIdx.x] = given[31] + 10 * static_cast<int>(rank);
    cluster_sync();
#endif
}

template <int kColumns>
cudaError_t launch_wgmma_of(float* d, const CUtensorMap& a, const CUtensorMap& b, int k) {
    return launch(wgmma_kernel<kColumns>, {dim3(1), dim3(128), (64 + kColumns) * 128}, d, a, b, k);
}

}  // namespace

cudaError_t launch_bulk_ring(int* sums, const int* in, int blocks, int tiles) {
    return launch(bulk_ring_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(96)}, sums, in, tiles);
}

cudaError_t launch_bulk_store(int* out, const int* in) {
    return launch(bulk_store_kernel, {dim3(1), dim3(64)}, out, in);
}

cudaError_t launch_tile_load(uint8_t* out, const CUtensorMap& map, int32_t x, int32_t y, int32_t z, uint32_t bytes) {
    return launch(tile_load_kernel, {dim3(1), dim3(64), bytes}, out, map, x, y, z, bytes);
}

cudaError_t launch_wgmma(float* d, const CUtensorMap& a, const CUtensorMap& b, int columns, int k) {
    switch (columns) {
        case 8:
            return launch_wgmma_of<8>(d, a, b, k);
        case 16:
            return launch_wgmma_of<16>(d, a, b, k);
        case 24:
            return launch_wgmma_of<24>(d, a, b, k);
        case 32:
            return launch_wgmma_of<32>(d, a, b, k);
        case 40:
            return launch_wgmma_of<40>(d, a, b, k);
        case 48:
            return launch_wgmma_of<48>(d, a, b, k);
        case 56:
            return launch_wgmma_of<56>(d, a, b, k);
        case 64:
            return launch_wgmma_of<64>(d, a, b, k);
        case 72:
            return launch_wgmma_of<72>(d, a, b, k);
        case 80:
            return launch_wgmma_of<80>(d, a, b, k);
        case 88:
            return launch_wgmma_of<88>(d, a, b, k);
        case 96:
            return launch_wgmma_of<96>(d, a, b, k);
        case 104:
            return launch_wgmma_of<104>(d, a, b, k);
        case 112:
            return launch_wgmma_of<112>(d, a, b, k);
        case 120:
            return launch_wgmma_of<120>(d, a, b, k);
        case 128:
            return launch_wgmma_of<128>(d, a, b, k);
        case 136:
            return launch_wgmma_of<136>(d, a, b, k);
        case 144:
            return launch_wgmma_of<144>(d, a, b, k);
        case 152:
            return launch_wgmma_of<152>(d, a, b, k);
        case 160:
            return launch_wgmma_of<160>(d, a, b, k);
        case 168:
            return launch_wgmma_of<168>(d, a, b, k);
        case 176:
            return launch_wgmma_of<176>(d, a, b, k);
        case 184:
            return launch_wgmma_of<184>(d, a, b, k);
        case 192:
            return launch_wgmma_of<192>(d, a, b, k);
        case 200:
            return launch_wgmma_of<200>(d, a, b, k);
        case 208:
            return launch_wgmma_of<208>(d, a, b, k);
        case 216:
            return launch_wgmma_of<216>(d, a, b, k);
        case 224:
            return launch_wgmma_of<224>(d, a, b, k);
        case 232:
            return launch_wgmma_of<232>(d, a, b, k);
        case 240:
            return launch_wgmma_of<240>(d, a, b, k);
        case 248:
            return launch_wgmma_of<248>(d, a, b, k);
        case 256:
            return launch_wgmma_of<256>(d, a, b, k);
        default:
            return cudaErrorInvalidValue;
    }
}

cudaError_t launch_wgmma_layout(float* d, const uint16_t* a, const uint16_t* b, int k, int swizzle_bytes) {
    return launch(wgmma_layout_kernel, {dim3(1), dim3(128), (64 + 16) * 128}, d, a, b, k, swizzle_bytes);
}

cudaError_t launch_cluster_ring(int* out, int clusters) {
    LaunchShape shape{dim3(static_cast<unsigned>(4 * clusters)), dim3(32)};
    shape.cluster = dim3(4);
    return launch(cluster_ring_kernel, shape, out);
}

}  // namespace moek::test
