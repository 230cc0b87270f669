// The scheduler, the barriers and the launch, by a kernel that needs them all.
#include <vector>

#include "check.hpp"
#include "device/launch.cuh"
#include "device/reduce.cuh"
#include "device_array.hpp"

using namespace moek;
using test::DeviceArray;

namespace {

// Row sums of x [rows, columns], a block a row: strided loads, a block reduction, one store.
__global__ void row_sum_kernel(float* sums, const float* x, int columns) {
    MOEK_SHARED(float, scratch, [32]);
    float sum = 0.0f;
    for (int c = static_cast<int>(threadIdx.x); c < columns; c += static_cast<int>(blockDim.x))
        sum += x[static_cast<int>(blockIdx.x) * columns + c];
    sum = block_sum(sum, scratch);
    if (threadIdx.x == 0) sums[blockIdx.x] = sum;
}

// y[i] = x[n - 1 - i] through shared memory: wrong without the barrier.
__global__ void reverse_kernel(int* y, const int* x, int n) {
    MOEK_DYNAMIC_SHARED(int, tile);
    const int i = static_cast<int>(threadIdx.x);
    tile[i] = x[i];
    __syncthreads();
    y[i] = tile[n - 1 - i];
}

}  // namespace

CASE(row_sums) {
    const int rows = 5, columns = 300;
    std::vector<float> x(rows * columns);
    test::Random random(1);
    for (float& value : x) value = random.uniform();
    DeviceArray<float> device_x(x), sums(rows);
    CHECK_CUDA(launch(row_sum_kernel, {dim3(rows), dim3(64)}, sums.get(), device_x.get(), columns));
    const std::vector<float> actual = sums.read();
    for (int r = 0; r < rows; ++r) {
        double expected = 0;
        for (int c = 0; c < columns; ++c) expected += x[static_cast<size_t>(r * columns + c)];
        // At most columns additions, each off by half an ulp of a sum that stays below columns.
        CHECK_NEAR(actual[static_cast<size_t>(r)], expected, columns * columns * 0x1p-24);
    }
}

CASE(barrier_orders_shared_memory) {
    const int n = 96;
    std::vector<int> x(n);
    for (int i = 0; i < n; ++i) x[static_cast<size_t>(i)] = i * i;
    DeviceArray<int> device_x(x), y(n);
    CHECK_CUDA(launch(reverse_kernel, {dim3(1), dim3(n), n * sizeof(int)}, y.get(), device_x.get(), n));
    const std::vector<int> actual = y.read();
    for (int i = 0; i < n; ++i) CHECK_EQ(actual[static_cast<size_t>(i)], x[static_cast<size_t>(n - 1 - i)]);
}
