#include "device/ptx.cuh"
#include "device/wrappers_kernels.hpp"

namespace moek::test {
namespace {

__global__ void token_ring_kernel(uint32_t* flags, uint64_t* total) {
    if (threadIdx.x != 0) return;
    if (blockIdx.x > 0)
        while (ld_acquire(&flags[blockIdx.x]) == 0) __nanosleep(20);
    *total += blockIdx.x;
    st_release(&flags[blockIdx.x + 1], 1u);
}

__global__ void last_block_kernel(uint32_t* counter, int* data, int* sum) {
    MOEK_SHARED(uint32_t, place, [1]);
    data[blockIdx.x * blockDim.x + threadIdx.x] = static_cast<int>(blockIdx.x);
    __syncthreads();
    if (threadIdx.x == 0) place[0] = add_acq_rel(counter, 1u);
    __syncthreads();
    if (place[0] != gridDim.x - 1 || threadIdx.x != 0) return;
    int total = 0;
    for (unsigned i = 0; i < gridDim.x * blockDim.x; ++i) total += data[i];
    *sum = total;
}

__global__ void named_barriers_kernel(int* out, const int* in, int rounds) {
    constexpr int kFull = 1, kEmpty = 2;
    MOEK_SHARED(int, slot, [64]);
    const int t = static_cast<int>(threadIdx.x) % 64;
    for (int round = 0; round < rounds; ++round) {
        if (threadIdx.x < 64) {
            if (round > 0) named_barrier_sync(kEmpty, 128);
            slot[t] = in[round * 64 + t];
            named_barrier_arrive(kFull, 128);
        } else {
            named_barrier_sync(kFull, 128);
            const int value = slot[63 - t];
            out[round * 64 + 63 - t] = value * value;
            if (round + 1 < rounds) named_barrier_arrive(kEmpty, 128);
        }
    }
}

__global__ void cp_async_kernel(int* out, const int* in, int valid) {
    MOEK_SHARED(int, wide, [256]);
    MOEK_SHARED(int, middle, [256]);
    MOEK_SHARED(int, narrow, [256]);
    const int t = static_cast<int>(threadIdx.x);
    cp_async<16>(&wide[t * 4], &in[t * 4], t * 4 < valid);
    cp_async_commit();
    for (int i = t; i < 128; i += 64) cp_async<8>(&middle[i * 2], &in[i * 2], i * 2 < valid);
    for (int i = t; i < 256; i += 64) cp_async<4>(&narrow[i], &in[i], i < valid);
    cp_async_commit();
    cp_async_wait<1>();
    __syncthreads();
    for (int i = t; i < 256; i += 64) out[i] = wide[255 - i];
    cp_async_wait<0>();
    __syncthreads();
    for (int i = t; i < 256; i += 64) {
        out[256 + i] = middle[255 - i];
        out[512 + i] = narrow[255 - i];
    }
}

__global__ void mma_kernel(float* d, const uint16_t* a, const uint16_t* b, int k, int kind) {
    MOEK_SHARED(uint16_t, a_tile, [256]);  // [16, 16], or its transpose
    MOEK_SHARED(uint16_t, b_tile, [128]);  // [8, 16], or its transpose [16, 8]
    const int lane = static_cast<int>(threadIdx.x);
    float sums[4] = {};
    for (int k0 = 0; k0 < k; k0 += 16) {
        for (int i = lane; i < 256; i += 32) {
            const int row = i / 16, column = i % 16;
            a_tile[i] = kind == 2 ? a[(k0 + row) * 16 + column] : a[row * k + k0 + column];
        }
        for (int i = lane; i < 128; i += 32)
            b_tile[i] = kind == 1 ? b[(k0 + i / 8) * 8 + i % 8] : b[i / 16 * k + k0 + i % 16];
        __syncwarp();
        uint32_t a_part[4], b_part[2];
        const int row = lane % 16, half = lane / 16 * 8;
        if (kind == 2)
            // Matrices in the order of a's registers: the row half is the column half of the transpose.
            ldmatrix_x4_trans(a_part, &a_tile[(lane / 16 * 8 + lane % 8) * 16 + lane / 8 % 2 * 8]);
        else
            ldmatrix_x4(a_part, &a_tile[row * 16 + half]);
        if (kind == 1)
            ldmatrix_x2_trans(b_part, &b_tile[row * 8]);
        else
            ldmatrix_x2(b_part, &b_tile[lane % 8 * 16 + lane / 8 % 2 * 8]);
        mma_m16n8k16(sums, a_part, b_part);
        __syncwarp();
    }
    for (int i = 0; i < 4; ++i) d[(lane / 4 + i / 2 * 8) * 8 + lane % 4 * 2 + i % 2] = sums[i];
}

}  // namespace

cudaError_t launch_token_ring(uint32_t* flags, uint64_t* total, int blocks) {
    LaunchShape shape{dim3(static_cast<unsigned>(blocks)), dim3(32)};
    shape.cooperative = true;
    return launch(token_ring_kernel, shape, flags, total);
}

cudaError_t launch_last_block(uint32_t* counter, int* data, int* sum, int blocks) {
    return launch(last_block_kernel, {dim3(static_cast<unsigned>(blocks)), dim3(32)}, counter, data, sum);
}

cudaError_t launch_named_barriers(int* out, const int* in, int rounds) {
    return launch(named_barriers_kernel, {dim3(1), dim3(128)}, out, in, rounds);
}

cudaError_t launch_cp_async(int* out, const int* in, int valid) {
    return launch(cp_async_kernel, {dim3(1), dim3(64)}, out, in, valid);
}

cudaError_t launch_mma(float* d, const uint16_t* a, const uint16_t* b, int k, int kind) {
    return launch(mma_kernel, {dim3(1), dim3(32)}, d, a, b, k, kind);
}

}  // namespace moek::test
