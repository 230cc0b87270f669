// The runtime API: queues, events, copies, limits and errors.
#include <cstring>
#include <vector>

#include "check.hpp"
#include "device/launch.cuh"
#include "device_array.hpp"

using namespace moek;
using test::DeviceArray;

namespace {

__global__ void store_kernel(int* target, int value) {
    if (threadIdx.x == 0 && blockIdx.x == 0) *target = value;
}

__global__ void append_kernel(int* list, int* count, int value) {
    if (threadIdx.x == 0) list[(*count)++] = value;
}

cudaError_t append(DeviceArray<int>& list, DeviceArray<int>& count, int value, cudaStream_t stream) {
    return launch(append_kernel, {dim3(1), dim3(32), 0, stream}, list.get(), count.get(), value);
}

struct Pinned {
    int* data = nullptr;
    explicit Pinned(size_t size) { CHECK_CUDA(cudaMallocHost(&data, size * sizeof(int))); }
    ~Pinned() { cudaFreeHost(data); }
};

}  // namespace

HOST_CASE(work_waits_until_somebody_waits_for_it) {
    DeviceArray<int> value(std::vector<int>(1, 1));
    Pinned seen(1);
    *seen.data = -1;
    cudaStream_t stream;
    CHECK_CUDA(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking));
    CHECK_CUDA(launch(store_kernel, {dim3(1), dim3(1), 0, stream}, value.get(), 42));
    CHECK_CUDA(cudaMemcpyAsync(seen.data, value.get(), sizeof(int), cudaMemcpyDeviceToHost, stream));
    CHECK_EQ(*seen.data, -1);
    CHECK_EQ(cudaStreamQuery(stream), cudaErrorNotReady);
    CHECK_CUDA(cudaStreamSynchronize(stream));
    CHECK_EQ(*seen.data, 42);
    CHECK_EQ(cudaStreamQuery(stream), cudaSuccess);
    CHECK_CUDA(cudaStreamDestroy(stream));
    CHECK_EQ(cudaStreamSynchronize(stream), cudaErrorInvalidResourceHandle);
}

HOST_CASE(pageable_memory_is_read_before_the_call_returns) {
    DeviceArray<int> value(1);
    int source = 7;
    CHECK_CUDA(cudaMemcpyAsync(value.get(), &source, sizeof source, cudaMemcpyHostToDevice));
    source = 8;
    CHECK_EQ(value.read()[0], 7);
    Pinned pinned(1);
    *pinned.data = 7;
    CHECK_CUDA(cudaMemcpyAsync(value.get(), pinned.data, sizeof(int), cudaMemcpyHostToDevice));
    *pinned.data = 8;  // too early: the copy has not run
    CHECK_EQ(value.read()[0], 8);
}

HOST_CASE(fresh_memory_is_not_a_number) {
    DeviceArray<float> values(100);
    for (const float value : values.read()) CHECK(value != value);
}

HOST_CASE(events_order_streams) {
    cudaStream_t first, second;
    cudaEvent_t event;
    CHECK_CUDA(cudaStreamCreateWithFlags(&first, cudaStreamNonBlocking));
    CHECK_CUDA(cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking));
    CHECK_CUDA(cudaEventCreate(&event));
    DeviceArray<int> list(4), count(std::vector<int>(1, 0));
    CHECK_CUDA(append(list, count, 1, first));
    CHECK_CUDA(cudaEventRecord(event, first));
    CHECK_CUDA(append(list, count, 4, first));
    CHECK_CUDA(cudaStreamWaitEvent(second, event));
    CHECK_CUDA(append(list, count, 2, second));
    CHECK_CUDA(cudaStreamSynchronize(second));
    CHECK_EQ(cudaEventQuery(event), cudaSuccess);
    CHECK_EQ(count.read()[0], 2);
    CHECK_CUDA(append(list, count, 3, second));
    CHECK_CUDA(cudaStreamSynchronize(second));
    CHECK_CUDA(cudaDeviceSynchronize());
    CHECK(list.read() == (std::vector<int>{1, 2, 3, 4}));
    CHECK_CUDA(cudaEventDestroy(event));
    CHECK_CUDA(cudaStreamDestroy(first));
    CHECK_CUDA(cudaStreamDestroy(second));
}

HOST_CASE(legacy_stream_takes_turns_with_blocking_ones) {
    cudaStream_t blocking, other;
    CHECK_CUDA(cudaStreamCreate(&blocking));
    CHECK_CUDA(cudaStreamCreateWithFlags(&other, cudaStreamNonBlocking));
    DeviceArray<int> list(std::vector<int>(4, 0)), count(std::vector<int>(1, 0));
    CHECK_CUDA(append(list, count, 9, other));
    CHECK_CUDA(append(list, count, 1, blocking));
    CHECK_CUDA(append(list, count, 2, nullptr));
    CHECK_CUDA(append(list, count, 3, blocking));
    CHECK_CUDA(cudaStreamSynchronize(blocking));
    CHECK(list.read() == (std::vector<int>{1, 2, 3, 0}));
    CHECK_CUDA(cudaStreamDestroy(other));
    CHECK_EQ(list.read()[3], 9);
    CHECK_CUDA(cudaStreamDestroy(blocking));
}

HOST_CASE(copies_stay_inside_their_allocations) {
    DeviceArray<int> a(10), b(10);
    int host[20] = {};
    CHECK_EQ(cudaMemcpy(a.get(), host, 44, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    CHECK_EQ(cudaMemcpy(host, a.get() + 1, 40, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
    CHECK_EQ(cudaMemcpy(a.get(), host, 4, cudaMemcpyDeviceToDevice), cudaErrorInvalidValue);
    CHECK_EQ(cudaMemset(a.get(), 0, 44), cudaErrorInvalidValue);
    CHECK_CUDA(cudaMemset(a.get(), 0, 40));
    CHECK_CUDA(cudaMemcpyAsync(b.get(), a.get(), 40, cudaMemcpyDefault));
    for (const int value : b.read()) CHECK_EQ(value, 0);
    CHECK_CUDA(cudaMemcpy2DAsync(a.get(), 8, host, 4, 4, 5, cudaMemcpyHostToDevice));
    CHECK_EQ(cudaMemcpy2DAsync(a.get(), 8, host, 4, 4, 6, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
    cudaPointerAttributes attributes;
    CHECK_CUDA(cudaPointerGetAttributes(&attributes, a.get() + 3));
    CHECK_EQ(attributes.type, cudaMemoryTypeDevice);
    CHECK_CUDA(cudaPointerGetAttributes(&attributes, host));
    CHECK_EQ(attributes.type, cudaMemoryTypeUnregistered);
    CHECK_EQ(cudaFree(host), cudaErrorInvalidValue);
    CHECK_EQ(cudaGetLastError(), cudaErrorInvalidValue);
    CHECK_EQ(cudaGetLastError(), cudaSuccess);
}

HOST_CASE(allocations_fail_when_told_or_when_full) {
    void* memory = nullptr;
    cuemu::config.fail_allocation = 2;
    CHECK_CUDA(cudaMalloc(&memory, 16));
    CHECK_CUDA(cudaFree(memory));
    CHECK_EQ(cudaMalloc(&memory, 16), cudaErrorMemoryAllocation);
    CHECK(memory == nullptr);
    cuemu::config.memory_bytes = 1000;
    CHECK_EQ(cudaMalloc(&memory, 1001), cudaErrorMemoryAllocation);
    CHECK_CUDA(cudaMalloc(&memory, 600));
    size_t free_bytes = 0, total_bytes = 0;
    CHECK_CUDA(cudaMemGetInfo(&free_bytes, &total_bytes));
    CHECK_EQ(free_bytes, size_t{400});
    void* more = nullptr;
    CHECK_EQ(cudaMalloc(&more, 600), cudaErrorMemoryAllocation);
    CHECK_CUDA(cudaFree(memory));
}

HOST_CASE(launches_are_checked) {
    DeviceArray<int> value(1);
    const auto configure = [&](dim3 grid, dim3 block, size_t shared_bytes, bool cooperative, dim3 cluster) {
        LaunchShape shape{grid, block, shared_bytes};
        shape.cooperative = cooperative;
        shape.cluster = cluster;
        return launch(store_kernel, shape, value.get(), 1);
    };
    CHECK_EQ(configure(dim3(1), dim3(1024), 0, false, dim3(1)), cudaSuccess);
    CHECK_EQ(configure(dim3(0), dim3(32), 0, false, dim3(1)), cudaErrorInvalidConfiguration);
    CHECK_EQ(configure(dim3(1), dim3(1025), 0, false, dim3(1)), cudaErrorInvalidConfiguration);
    CHECK_EQ(configure(dim3(1), dim3(32, 33), 0, false, dim3(1)), cudaErrorInvalidConfiguration);
    CHECK_EQ(configure(dim3(1, 65536), dim3(32), 0, false, dim3(1)), cudaErrorInvalidConfiguration);
    CHECK_EQ(configure(dim3(1), dim3(32), 227 << 10, false, dim3(1)), cudaSuccess);
    CHECK_EQ(configure(dim3(1), dim3(32), (227 << 10) + 1, false, dim3(1)), cudaErrorInvalidValue);
    CHECK_EQ(configure(dim3(8), dim3(1024), 0, true, dim3(1)), cudaSuccess);
    CHECK_EQ(configure(dim3(17), dim3(1024), 0, true, dim3(1)), cudaErrorCooperativeLaunchTooLarge);
    CHECK_EQ(configure(dim3(6), dim3(32), 0, false, dim3(4)), cudaErrorInvalidConfiguration);
    CHECK_EQ(configure(dim3(8), dim3(32), 0, false, dim3(4)), cudaSuccess);
    CHECK_CUDA(cudaDeviceReset());  // the launches themselves need not run
    cuemu::config.capability_major = 8;
    CHECK_EQ(configure(dim3(8), dim3(32), 0, false, dim3(4)), cudaErrorInvalidConfiguration);
    CHECK_EQ(configure(dim3(1), dim3(32), 164 << 10, false, dim3(1)), cudaErrorInvalidValue);
    cudaDeviceProp properties;
    CHECK_CUDA(cudaGetDeviceProperties(&properties, 0));
    CHECK_EQ(properties.major, 8);
    CHECK_EQ(cudaSetDevice(1), cudaErrorInvalidDevice);
    CHECK_EQ(std::strcmp(cudaGetErrorName(cudaErrorLaunchFailure), "cudaErrorLaunchFailure"), 0);
}
