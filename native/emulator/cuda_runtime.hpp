// Stands for <cuda_runtime.h> where nvcc is not the compiler.
#pragma once
#include <functional>

#include "emulator/intrinsics.hpp"
#include "emulator/kernel_api.hpp"
#include "emulator/runtime_api.hpp"

namespace cuemu {

struct LaunchConfig {
    dim3 grid, block, cluster;
    size_t shared_bytes;
    bool cooperative;
    cudaStream_t stream;
};

/// Checks the configuration and queues the grid on its stream; `body` calls the kernel with its arguments.
cudaError_t launch(const void* function, const LaunchConfig& config, std::function<void()> body);

}  // namespace cuemu
