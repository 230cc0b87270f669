// What every kernel file includes first: CUDA's names from nvcc or from the emulator, shared memory, and launches.
#pragma once

// MOEK_WITH_CUDA: a host compiler translates the boundary of the CUDA library.
#if defined(__CUDACC__) || defined(MOEK_WITH_CUDA)
#define MOEK_EMULATED 0
#include <cuda_runtime.h>
#else
#define MOEK_EMULATED 1
#include "emulator/cuda_runtime.hpp"
#endif
#include <cstddef>
#include <cstdint>

// Code for Hopper alone (wgmma, TMA, clusters). The launcher picks by the device's compute capability, so that the
// emulator runs both paths; a kernel's body stands between #if MOEK_HAS_SM90 and #endif.
#if MOEK_EMULATED || defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define MOEK_HAS_SM90 1
#else
#define MOEK_HAS_SM90 0
#endif

#define MOEK_DEVICE __device__ __forceinline__
#define MOEK_HOST_DEVICE __host__ __device__ __forceinline__

// MOEK_SHARED(float, tile, [16][33]);           an array of the block, aligned to 16 bytes or to its type
// MOEK_DYNAMIC_SHARED(unsigned char, smem);     the launch's dynamic shared memory, aligned to 1024 bytes
#if MOEK_EMULATED
#define MOEK_SHARED(type, name, dims)                                     \
    static const char name##_tag = 0;                                     \
    using name##_array = type dims;                                       \
    name##_array& name = *static_cast<name##_array*>(cuemu::shared_array( \
        &name##_tag, sizeof(name##_array), alignof(name##_array) < 16 ? 16 : alignof(name##_array), cuemu::here()))
#define MOEK_DYNAMIC_SHARED(type, name) type* const name = static_cast<type*>(cuemu::dynamic_shared(cuemu::here()))
#else
#define MOEK_SHARED(type, name, dims) __shared__ __align__(16) type name dims
#define MOEK_DYNAMIC_SHARED(type, name)                                    \
    extern __shared__ __align__(1024) unsigned char moek_dynamic_shared[]; \
    type* const name = reinterpret_cast<type*>(moek_dynamic_shared)
#endif

// A device function that can meet others takes the place of its call last, for the emulator's checks:
//     MOEK_DEVICE float warp_sum(float value MOEK_SITE)  calls  __shfl_xor_sync(..., offset, 32 MOEK_FROM_SITE)
#if MOEK_EMULATED
#define MOEK_SITE , [[maybe_unused]] cuemu::Site site = cuemu::here()
#define MOEK_SITE_ONLY [[maybe_unused]] cuemu::Site site = cuemu::here()
#define MOEK_FROM_SITE , site
#define MOEK_FROM_SITE_ONLY site
#else
#define MOEK_SITE
#define MOEK_SITE_ONLY
#define MOEK_FROM_SITE
#define MOEK_FROM_SITE_ONLY
#endif

namespace moek {

/// How a kernel is launched.
struct LaunchShape {
    dim3 grid;
    dim3 block;
    size_t shared_bytes = 0;  ///< dynamic; above 48 KB launch() raises the kernel's limit
    cudaStream_t stream = nullptr;
    bool cooperative = false;      ///< all blocks resident at once, or the launch fails
    dim3 cluster = dim3(1, 1, 1);  ///< divides the grid; needs compute capability 9.0 unless it is one block
};

/// Queues `kernel` on the stream. Arguments are converted to the kernel's own parameter types.
/// Returns the launch's error; what goes wrong in the kernel shows when somebody waits for the stream.
template <class... Parameters, class... Arguments>
inline cudaError_t launch(void (*kernel)(Parameters...), const LaunchShape& shape, const Arguments&... arguments) {
    static_assert(sizeof...(Parameters) == sizeof...(Arguments), "a kernel is launched with all of its arguments");
    if (shape.shared_bytes > (size_t{48} << 10)) {
        const cudaError_t error = cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize,
                                                       static_cast<int>(shape.shared_bytes));
        if (error != cudaSuccess) return error;
    }
#if MOEK_EMULATED
    const cuemu::LaunchConfig config{shape.grid,         shape.block,       shape.cluster,
                                     shape.shared_bytes, shape.cooperative, shape.stream};
    return cuemu::launch(reinterpret_cast<const void*>(kernel), config,
                         [=] { kernel(static_cast<Parameters>(arguments)...); });
#else
    cudaLaunchAttribute attributes[2];
    unsigned num_attributes = 0;
    if (shape.cooperative) {
        attributes[num_attributes].id = cudaLaunchAttributeCooperative;
        attributes[num_attributes++].val.cooperative = 1;
    }
    if (shape.cluster.x * shape.cluster.y * shape.cluster.z > 1) {
        attributes[num_attributes].id = cudaLaunchAttributeClusterDimension;
        attributes[num_attributes].val.clusterDim.x = shape.cluster.x;
        attributes[num_attributes].val.clusterDim.y = shape.cluster.y;
        attributes[num_attributes++].val.clusterDim.z = shape.cluster.z;
    }
    cudaLaunchConfig_t config = {};
    config.gridDim = shape.grid;
    config.blockDim = shape.block;
    config.dynamicSmemBytes = shape.shared_bytes;
    config.stream = shape.stream;
    config.attrs = attributes;
    config.numAttrs = num_attributes;
    return cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...);
#endif
}

}  // namespace moek
