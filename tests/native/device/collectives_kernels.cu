#include "device/collectives_kernels.hpp"
#include "device/reduce.cuh"

namespace moek::test {
namespace {

__global__ void shuffles_kernel(int* out, const int* values) {
    const int t = static_cast<int>(threadIdx.x);
    const int v = values[t];
    out[0 * 64 + t] = __shfl_sync(kWholeWarp, v, 5);
    out[1 * 64 + t] = __shfl_sync(kWholeWarp, v, t + 1, 8);
    out[2 * 64 + t] = __shfl_xor_sync(kWholeWarp, v, 3);
    out[3 * 64 + t] = __shfl_xor_sync(kWholeWarp, v, 16, 16);
    out[4 * 64 + t] = __shfl_down_sync(kWholeWarp, v, 7u);
    out[5 * 64 + t] = __shfl_down_sync(kWholeWarp, v, 3u, 8);
    out[6 * 64 + t] = __shfl_up_sync(kWholeWarp, v, 7u);
    out[7 * 64 + t] = __shfl_up_sync(kWholeWarp, v, 3u, 8);
    // Two halves of a warp at once, each by its own mask.
    if (t % 2 == 0)
        out[8 * 64 + t] = __shfl_sync(0x55555555u, v, 30);
    else
        out[8 * 64 + t] = __shfl_sync(0xAAAAAAAAu, v, 1);
}

__global__ void votes_kernel(unsigned* out, const int* values) {
    const int t = static_cast<int>(threadIdx.x);
    const int v = values[t];
    const unsigned u = static_cast<unsigned>(v);
    out[0 * 64 + t] = __ballot_sync(kWholeWarp, v % 3 == 0);
    out[1 * 64 + t] = static_cast<unsigned>(__any_sync(kWholeWarp, v > 1000) != 0);
    out[2 * 64 + t] = static_cast<unsigned>(__all_sync(kWholeWarp, v > -1000) != 0);
    out[3 * 64 + t] = __match_any_sync(kWholeWarp, v % 4);
    out[4 * 64 + t] = __reduce_add_sync(kWholeWarp, u);
    out[5 * 64 + t] = static_cast<unsigned>(__reduce_min_sync(kWholeWarp, v));
    out[6 * 64 + t] = static_cast<unsigned>(__reduce_max_sync(kWholeWarp, v));
    out[7 * 64 + t] = __reduce_and_sync(kWholeWarp, u | 1);
    out[8 * 64 + t] = __reduce_or_sync(kWholeWarp, u);
    out[9 * 64 + t] = __reduce_xor_sync(kWholeWarp, u);
    out[10 * 64 + t] = static_cast<unsigned>(__all_sync(kWholeWarp, v != values[7]) != 0);
}

__global__ void atomics_kernel(int* out, float* sum) {
    const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
    atomicAdd(&out[0], i);
    atomicSub(&out[1], 1);
    atomicMin(&out[2], -i);
    atomicMax(&out[3], i);
    atomicAnd(&out[4], ~(1 << (i % 16)));
    atomicOr(&out[5], 1 << (i % 16));
    atomicXor(&out[6], 1 << (i % 3));
    if (i == 7) atomicExch(&out[7], 77);
    int seen = 0;
    for (int old = -1; old != seen;) {
        old = seen;
        seen = atomicCAS(&out[8], old, old + 2);
    }
    atomicAdd(sum, 0.5f);
}

__global__ void reductions_kernel(int* sums, int* largest, const int* values, int n) {
    MOEK_SHARED(int, scratch, [32]);
    const int t = static_cast<int>(threadIdx.x);
    sums[0 * n + t] = warp_sum(values[t]);
    sums[1 * n + t] = warp_inclusive_sum(values[t]);
    sums[2 * n + t] = block_sum(values[t], scratch);
    __syncthreads();
    largest[0 * n + t] = warp_max(values[t]);
    largest[1 * n + t] = block_max(values[t], scratch);
}

}  // namespace

cudaError_t launch_shuffles(int* out, const int* values, cudaStream_t stream) {
    return launch(shuffles_kernel, {dim3(1), dim3(64), 0, stream}, out, values);
}

cudaError_t launch_votes(unsigned* out, const int* values, cudaStream_t stream) {
    return launch(votes_kernel, {dim3(1), dim3(64), 0, stream}, out, values);
}

cudaError_t launch_atomics(int* out, float* sum, cudaStream_t stream) {
    return launch(atomics_kernel, {dim3(3), dim3(64), 0, stream}, out, sum);
}

cudaError_t launch_reductions(int* sums, int* largest, const int* values, int n, cudaStream_t stream) {
    return launch(reductions_kernel, {dim3(1), dim3(static_cast<unsigned>(n)), 0, stream}, sums, largest, values, n);
}

}  // namespace moek::test
