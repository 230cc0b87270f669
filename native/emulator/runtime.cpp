// The device as a whole: errors, properties and launches.
#include <algorithm>
#include <cstring>

#include "emulator/cuda_runtime.hpp"
#include "emulator/device.hpp"
#include "emulator/machine.hpp"

namespace cuemu {
namespace {

thread_local cudaError_t last_error = cudaSuccess;

constexpr size_t kPlainSharedBytes = 48u << 10;
constexpr int kMaxThreadsPerBlock = 1024;
constexpr int kMaxThreadsPerMultiprocessor = 2048;
constexpr int kMaxBlocksPerMultiprocessor = 32;
constexpr size_t kReservedSharedBytes = 1024;  // of every block

struct ErrorText {
    cudaError_t error;
    const char *name, *text;
};
constexpr ErrorText kErrors[] = {
    {cudaSuccess, "cudaSuccess", "no error"},
    {cudaErrorInvalidValue, "cudaErrorInvalidValue", "invalid argument"},
    {cudaErrorMemoryAllocation, "cudaErrorMemoryAllocation", "out of memory"},
    {cudaErrorInvalidConfiguration, "cudaErrorInvalidConfiguration", "invalid configuration argument"},
    {cudaErrorInvalidSymbol, "cudaErrorInvalidSymbol", "invalid device symbol"},
    {cudaErrorInvalidDevicePointer, "cudaErrorInvalidDevicePointer", "invalid device pointer"},
    {cudaErrorInvalidMemcpyDirection, "cudaErrorInvalidMemcpyDirection", "invalid copy direction for memcpy"},
    {cudaErrorInsufficientDriver, "cudaErrorInsufficientDriver",
     "CUDA driver version is insufficient for CUDA runtime version"},
    {cudaErrorInvalidDeviceFunction, "cudaErrorInvalidDeviceFunction", "invalid device function"},
    {cudaErrorNoDevice, "cudaErrorNoDevice", "no CUDA-capable device is detected"},
    {cudaErrorInvalidDevice, "cudaErrorInvalidDevice", "invalid device ordinal"},
    {cudaErrorNoKernelImageForDevice, "cudaErrorNoKernelImageForDevice",
     "no kernel image is available for execution on the device"},
    {cudaErrorInvalidResourceHandle, "cudaErrorInvalidResourceHandle", "invalid resource handle"},
    {cudaErrorNotReady, "cudaErrorNotReady", "device not ready"},
    {cudaErrorIllegalAddress, "cudaErrorIllegalAddress", "an illegal memory access was encountered"},
    {cudaErrorLaunchFailure, "cudaErrorLaunchFailure", "unspecified launch failure"},
    {cudaErrorCooperativeLaunchTooLarge, "cudaErrorCooperativeLaunchTooLarge", "too many blocks in cooperative launch"},
    {cudaErrorNotSupported, "cudaErrorNotSupported", "operation not supported"},
    {cudaErrorUnknown, "cudaErrorUnknown", "unknown error"},
};

const ErrorText& text_of(cudaError_t error) {
    for (const ErrorText& entry : kErrors)
        if (entry.error == error) return entry;
    return kErrors[sizeof kErrors / sizeof kErrors[0] - 1];
}

size_t multiprocessor_shared_bytes() {
    return max_shared_bytes(config) + kReservedSharedBytes;
}

bool is_dim(const dim3& d, unsigned x, unsigned y, unsigned z) {
    return d.x >= 1 && d.y >= 1 && d.z >= 1 && d.x <= x && d.y <= y && d.z <= z;
}

cudaError_t check_cluster(const LaunchConfig& launch) {
    const dim3 c = launch.cluster;
    if (!is_dim(c, 16, 16, 16) || c.x * c.y * c.z > 16) return cudaErrorInvalidConfiguration;
    if (c.x * c.y * c.z > 1 && config.capability_major < 9) return cudaErrorInvalidConfiguration;
    const bool divides = launch.grid.x % c.x == 0 && launch.grid.y % c.y == 0 && launch.grid.z % c.z == 0;
    return divides ? cudaSuccess : cudaErrorInvalidConfiguration;
}

cudaError_t check_launch(const void* function, const LaunchConfig& launch) {
    const dim3 g = launch.grid, b = launch.block;
    if (!is_dim(g, 0x7FFFFFFF, 65535, 65535) || !is_dim(b, 1024, 1024, 64)) return cudaErrorInvalidConfiguration;
    const uint64_t threads = uint64_t{b.x} * b.y * b.z, blocks = uint64_t{g.x} * g.y * g.z;
    if (threads > kMaxThreadsPerBlock || blocks > UINT32_MAX) return cudaErrorInvalidConfiguration;
    const auto raised = device().max_dynamic_shared.find(function);
    const size_t limit =
        raised == device().max_dynamic_shared.end() ? kPlainSharedBytes : static_cast<size_t>(raised->second);
    if (launch.shared_bytes > limit) return cudaErrorInvalidValue;
    if (const cudaError_t error = check_cluster(launch); error != cudaSuccess) return error;
    if (!launch.cooperative) return cudaSuccess;
    int resident = 0;
    max_active_blocks(&resident, static_cast<int>(threads), launch.shared_bytes);
    const auto most = static_cast<uint64_t>(resident) * static_cast<uint64_t>(config.multiprocessors);
    return blocks <= most ? cudaSuccess : cudaErrorCooperativeLaunchTooLarge;
}

}  // namespace

Device& device() {
    static auto* instance = new Device;  // never destroyed: handles may be freed by other static objects
    return *instance;
}

cudaError_t report(cudaError_t error) {
    if (error != cudaSuccess) last_error = error;
    return error;
}

size_t max_shared_bytes(const Config& c) {
    if (c.capability_major >= 9) return 227u << 10;
    return (c.capability_major == 8 && c.capability_minor == 0 ? 163u : 99u) << 10;
}

cudaError_t set_function_attribute(const void* function, cudaFuncAttribute attribute, int value) {
    Lock lock(device().mutex);
    if (!function) return report(cudaErrorInvalidDeviceFunction);
    if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize) return report(device().sticky);
    if (value < 0 || static_cast<size_t>(value) > max_shared_bytes(config)) return report(cudaErrorInvalidValue);
    device().max_dynamic_shared[function] = value;
    return report(device().sticky);
}

cudaError_t max_active_blocks(int* num_blocks, int block_threads, size_t dynamic_shared_bytes) {
    if (!num_blocks || block_threads < 1) return report(cudaErrorInvalidValue);
    const int warps = (block_threads + 31) / 32;
    const int by_threads = kMaxThreadsPerMultiprocessor / (warps * 32);
    const auto by_shared =
        static_cast<int>(multiprocessor_shared_bytes() / (dynamic_shared_bytes + kReservedSharedBytes));
    *num_blocks =
        block_threads > kMaxThreadsPerBlock ? 0 : std::min({by_threads, by_shared, kMaxBlocksPerMultiprocessor});
    return cudaSuccess;
}

cudaError_t launch(const void* function, const LaunchConfig& wanted, std::function<void()> body) {
    Lock lock(device().mutex);
    CUstream_st* stream = find_stream(wanted.stream);
    if (!stream) return report(cudaErrorInvalidResourceHandle);
    if (device().sticky != cudaSuccess) return report(device().sticky);
    if (const cudaError_t error = check_launch(function, wanted); error != cudaSuccess) return report(error);
    return report(enqueue(stream, [wanted, body = std::move(body)] {
        const bool done =
            run_grid(wanted.grid, wanted.block, wanted.cluster, wanted.shared_bytes, wanted.cooperative, body);
        return done ? cudaSuccess : cudaErrorLaunchFailure;
    }));
}

void need_capability(int major, int minor, const char* what, Site site) {
    const Config& c = worker->launch->config;
    if (c.capability_major < major || (c.capability_major == major && c.capability_minor < minor)) fail(what, site);
}

}  // namespace cuemu

using cuemu::config;
using cuemu::device;
using cuemu::Lock;
using cuemu::report;

const char* cudaGetErrorName(cudaError_t error) {
    return cuemu::text_of(error).name;
}
const char* cudaGetErrorString(cudaError_t error) {
    return cuemu::text_of(error).text;
}

cudaError_t cudaPeekAtLastError() {
    Lock lock(device().mutex);
    return device().sticky != cudaSuccess ? device().sticky : cuemu::last_error;
}

cudaError_t cudaGetLastError() {
    const cudaError_t error = cudaPeekAtLastError();
    cuemu::last_error = cudaSuccess;
    return error;
}

cudaError_t cudaDriverGetVersion(int* version) {
    if (!version) return report(cudaErrorInvalidValue);
    *version = 12040;
    return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
    return cudaDriverGetVersion(version);
}

cudaError_t cudaGetDeviceCount(int* count) {
    if (!count) return report(cudaErrorInvalidValue);
    *count = 1;
    return cudaSuccess;
}

cudaError_t cudaGetDevice(int* ordinal) {
    if (!ordinal) return report(cudaErrorInvalidValue);
    *ordinal = 0;
    return cudaSuccess;
}

cudaError_t cudaSetDevice(int ordinal) {
    return ordinal == 0 ? cudaSuccess : report(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int ordinal) {
    if (!properties) return report(cudaErrorInvalidValue);
    if (ordinal != 0) return report(cudaErrorInvalidDevice);
    cudaDeviceProp p{};
    std::strcpy(p.name, "MoeKernels emulated device");
    p.totalGlobalMem = config.memory_bytes;
    p.sharedMemPerBlock = cuemu::kPlainSharedBytes;
    p.sharedMemPerBlockOptin = cuemu::max_shared_bytes(config);
    p.sharedMemPerMultiprocessor = cuemu::multiprocessor_shared_bytes();
    p.reservedSharedMemPerBlock = cuemu::kReservedSharedBytes;
    p.regsPerBlock = p.regsPerMultiprocessor = 65536;
    p.warpSize = 32;
    p.maxThreadsPerBlock = cuemu::kMaxThreadsPerBlock;
    p.maxThreadsPerMultiProcessor = cuemu::kMaxThreadsPerMultiprocessor;
    p.maxBlocksPerMultiProcessor = cuemu::kMaxBlocksPerMultiprocessor;
    const int block_limit[3] = {1024, 1024, 64}, grid_limit[3] = {0x7FFFFFFF, 65535, 65535};
    std::copy(block_limit, block_limit + 3, p.maxThreadsDim);
    std::copy(grid_limit, grid_limit + 3, p.maxGridSize);
    p.major = config.capability_major;
    p.minor = config.capability_minor;
    p.multiProcessorCount = config.multiprocessors;
    p.concurrentKernels = p.asyncEngineCount = p.cooperativeLaunch = p.unifiedAddressing = 1;
    *properties = p;
    return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int ordinal) {
    cudaDeviceProp p;
    if (!value) return report(cudaErrorInvalidValue);
    if (const cudaError_t error = cudaGetDeviceProperties(&p, ordinal); error != cudaSuccess) return error;
    switch (attribute) {
        case cudaDevAttrMaxThreadsPerBlock:
            *value = p.maxThreadsPerBlock;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlock:
            *value = static_cast<int>(p.sharedMemPerBlock);
            break;
        case cudaDevAttrWarpSize:
            *value = p.warpSize;
            break;
        case cudaDevAttrClockRate:
            *value = p.clockRate;
            break;
        case cudaDevAttrMultiProcessorCount:
            *value = p.multiProcessorCount;
            break;
        case cudaDevAttrMemoryClockRate:
            *value = p.memoryClockRate;
            break;
        case cudaDevAttrGlobalMemoryBusWidth:
            *value = p.memoryBusWidth;
            break;
        case cudaDevAttrL2CacheSize:
            *value = p.l2CacheSize;
            break;
        case cudaDevAttrMaxThreadsPerMultiProcessor:
            *value = p.maxThreadsPerMultiProcessor;
            break;
        case cudaDevAttrComputeCapabilityMajor:
            *value = p.major;
            break;
        case cudaDevAttrComputeCapabilityMinor:
            *value = p.minor;
            break;
        case cudaDevAttrMaxSharedMemoryPerMultiprocessor:
            *value = static_cast<int>(p.sharedMemPerMultiprocessor);
            break;
        case cudaDevAttrCooperativeLaunch:
            *value = p.cooperativeLaunch;
            break;
        case cudaDevAttrMaxSharedMemoryPerBlockOptin:
            *value = static_cast<int>(p.sharedMemPerBlockOptin);
            break;
        default:
            return report(cudaErrorInvalidValue);
    }
    return cudaSuccess;
}

cudaError_t cudaDeviceSynchronize() {
    Lock lock(device().mutex);
    return report(cuemu::drain_all());
}

cudaError_t cudaDeviceReset() {
    Lock lock(device().mutex);
    cuemu::drop_all_streams();
    cuemu::free_all();
    device().sticky = cudaSuccess;
    device().max_dynamic_shared.clear();
    cuemu::last_error = cudaSuccess;
    return cudaSuccess;
}
