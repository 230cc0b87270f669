// Every check of the emulator, by a kernel that breaks one rule. What a sanitizer finds (out-of-bounds shared memory,
// data races) ends the process, so that mutations.tsv proves it instead.
#include <utility>
#include <vector>

#include "check.hpp"
#include "device/ptx.cuh"
#include "device_array.hpp"

using namespace moek;
using test::DeviceArray;

namespace {

constexpr unsigned kAll = 0xFFFFFFFFu;

__global__ void divergent_barrier_kernel() {
    if (threadIdx.x < 32)
        __syncthreads();
    else
        __syncthreads();
}

__global__ void missing_thread_kernel() {
    if (threadIdx.x == 40) return;
    __syncthreads();
}

__global__ void different_counts_kernel() {
    named_barrier_sync(1, threadIdx.x < 32 ? 64 : 96);
}

__global__ void wrong_barrier_kernel(int id, int count) {
    named_barrier_sync(id, count);
}

// Two halves wait for each other at two barriers.
__global__ void deadlock_kernel() {
    if (threadIdx.x < 32) {
        named_barrier_sync(1, 64);
        named_barrier_sync(2, 64);
    } else {
        named_barrier_sync(2, 64);
        named_barrier_sync(1, 64);
    }
}

__global__ void livelock_kernel(uint32_t* flag) {
    while (ld_acquire(flag) == 0) __nanosleep(10);
}

__global__ void lost_lock_kernel(int* lock) {
    while (atomicCAS(lock, 0, 1) != 0) {
    }
}

__global__ void shuffle_kernel(int* out, unsigned mask, int source, int leave) {
    const int lane = static_cast<int>(threadIdx.x);
    if (lane == leave) return;
    if (lane < 16) out[lane] = __shfl_sync(mask, lane, source);
}

__global__ void mixed_collectives_kernel(int* out) {
    if (threadIdx.x < 16)
        out[threadIdx.x] = __shfl_sync(kAll, 1, 0);
    else
        out[threadIdx.x] = __any_sync(kAll, 1);
}

__global__ void two_lines_kernel(int* out) {
    if (threadIdx.x < 16)
        out[threadIdx.x] = __shfl_sync(kAll, 1, 0);
    else
        out[threadIdx.x] = __shfl_sync(kAll, 2, 0);
}

__global__ void trap_kernel() {
    if (threadIdx.x == 3) __trap();
}

// fault 0: never waits; 1: misaligned source; 2: no shared destination
__global__ void cp_async_kernel(int* data, int fault) {
    MOEK_SHARED(int, tile, [64]);
    if (fault == 2) return cp_async<4>(&data[1], &data[0]);
    cp_async<16>(&tile[threadIdx.x % 16 * 4], &data[fault == 1 ? 1 : 0]);
    cp_async_commit();
    if (fault != 0) cp_async_wait<0>();
}

// fault 0: never initialised; 1: more arrivals than counted; 2: copy that nobody expects; 3: copy that nobody awaits;
// 4: count 0; 5: copy of 8 bytes; 6: destination in global memory
__global__ void mbarrier_kernel(int* data, int fault) {
    MOEK_SHARED(uint64_t, barrier, [1]);
    MOEK_SHARED(int, tile, [64]);
    if (threadIdx.x != 0) return;
    if (fault != 0) mbarrier_init(barrier, fault == 4 ? 0 : 1);
    if (fault == 2)
        mbarrier_arrive(barrier);
    else
        mbarrier_arrive_expect(barrier, 64);
    if (fault == 1) mbarrier_arrive(barrier);
    bulk_load(fault == 6 ? data : tile, data, fault == 5 ? 8 : 64, barrier);
    // In the second phase, which nothing completes, only polling is left, and the copy lands.
    if (fault == 2) mbarrier_wait(barrier, 1);
    if (fault != 3) mbarrier_wait(barrier, 0);
}

// fault 0: no fence; 1: descriptor beyond shared memory; 2: never waits; 3: half a warpgroup
__global__ void wgmma_kernel(float* out, int fault) {
    MOEK_DYNAMIC_SHARED(uint8_t, smem);
    float d[4] = {};
    for (unsigned i = threadIdx.x; i < 72 * 128; i += blockDim.x) smem[i] = 0;
    fence_async_proxy();
    __syncthreads();
    const uint64_t a = wgmma_descriptor(smem), b = wgmma_descriptor(smem + 64 * 128);
    if (fault != 0) wgmma_fence();
    wgmma_m64k16<8>(d, a, fault == 1 ? b + 4096 : b);
    wgmma_commit();
    if (fault != 2) wgmma_wait<0>();
    out[threadIdx.x] = d[0];
}

__global__ void wgmma_needs_sm90_kernel() {
    wgmma_fence();
}

[[maybe_unused]] __global__ void shared_overflow_kernel(int offset, bool dynamic) {
    MOEK_DYNAMIC_SHARED(int, smem);
    MOEK_SHARED(int, tile, [64]);
    // volatile: the compiler would drop a store that it can prove to be out of bounds, or dead.
    volatile int* const target = dynamic ? smem : tile;
    if (threadIdx.x == 0) target[offset] = 1;
}

[[maybe_unused]] __global__ void write_kernel(int* data, int64_t index) {
    if (threadIdx.x == 0) data[index] = 1;
}

LaunchShape one_block(unsigned threads, size_t shared_bytes = 0) {
    return {dim3(1), dim3(threads), shared_bytes};
}

}  // namespace

CASE(barriers_are_met_by_all_at_one_line) {
    CHECK_CUDA(launch(divergent_barrier_kernel, one_block(64)));
    CHECK_FAILS("threads of a block meet at different barriers");
    CHECK_CUDA(launch(missing_thread_kernel, one_block(64)));
    CHECK_FAILS("ended");
    CHECK_CUDA(launch(different_counts_kernel, one_block(96)));
    CHECK_FAILS("threads give one barrier different counts");
    CHECK_CUDA(launch(wrong_barrier_kernel, one_block(64), 16, 64));
    CHECK_FAILS("barrier id outside 0..15");
    CHECK_CUDA(launch(wrong_barrier_kernel, one_block(64), 1, 33));
    CHECK_FAILS("no multiple of the warp size");
    CHECK_CUDA(launch(wrong_barrier_kernel, one_block(64), 1, 96));
    CHECK_FAILS("within the block");
}

CASE(deadlocks_and_livelocks_end) {
    CHECK_CUDA(launch(deadlock_kernel, one_block(64)));
    CHECK_FAILS("deadlock: no thread can go on");
    cuemu::config.max_idle = 2000;
    {
        DeviceArray<uint32_t> flag(std::vector<uint32_t>(1, 0));
        CHECK_CUDA(launch(livelock_kernel, {dim3(3), dim3(32)}, flag.get()));
        CHECK_FAILS("livelock: every thread only polls");
    }
    DeviceArray<int> lock(std::vector<int>(1, 1));
    CHECK_CUDA(launch(lost_lock_kernel, one_block(32), lock.get()));
    CHECK_FAILS("livelock");
}

CASE(reports_name_the_place_and_who_waits_where) {
    CHECK_CUDA(launch(deadlock_kernel, one_block(64)));
    CHECK_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
    const std::string report = cuemu::last_report();
    CHECK(report.find("waits at a barrier at ") != std::string::npos);
    CHECK(report.find("reports_test.cu:") != std::string::npos);
    CHECK(report.find("64 threads in all") != std::string::npos);
    cudaDeviceReset();
}

// A failed check resets the device: arrays live no longer than one launch.
CASE(warp_operations_keep_to_their_mask) {
    const auto shuffle_fails = [](unsigned mask, int source, int leave, const char* report) {
        DeviceArray<int> out(32);
        CHECK_CUDA(launch(shuffle_kernel, one_block(32), out.get(), mask, source, leave));
        CHECK_FAILS(report);
    };
    shuffle_fails(0x0000FFFFu, 20, -1, "shuffle reads a lane outside its mask");
    shuffle_fails(0x00000FFFu, 0, -1, "warp operation by a lane outside its mask");
    shuffle_fails(0x0000FFFFu, 0, 5, "ended");
    // The upper lanes never come: they have ended, or all others wait for them.
    shuffle_fails(kAll, 0, -1, cuemu::config.order == cuemu::Order::forward ? "deadlock" : "");
    for (const auto& [kernel, report] :
         {std::make_pair(mixed_collectives_kernel, "lanes of a warp meet in different operations"),
          std::make_pair(two_lines_kernel, "from different lines")}) {
        DeviceArray<int> out(32);
        CHECK_CUDA(launch(kernel, one_block(32), out.get()));
        CHECK_FAILS(report);
    }
}

CASE(asynchronous_copies_follow_their_rules) {
    const std::vector<int> zeros(64, 0);
    CHECK_CUDA(launch(trap_kernel, one_block(32)));
    CHECK_FAILS("the kernel trapped");
    const char* const cp_async_reports[] = {"asynchronous work that it never waited for", "not aligned to the size",
                                            "not a pointer into shared memory"};
    for (int fault = 0; fault < 3; ++fault) {
        DeviceArray<int> source(zeros);
        CHECK_CUDA(launch(cp_async_kernel, one_block(32), source.get(), fault));
        // In random order all copies may land before the thread ends.
        if (fault == 0 && cuemu::config.order == cuemu::Order::random) {
            cudaDeviceReset();
            continue;
        }
        CHECK_FAILS(cp_async_reports[fault]);
    }
    const char* const mbarrier_reports[] = {"before mbarrier_init",
                                            "more arrivals at an mbarrier than its count",
                                            "more bytes than its mbarrier expects",
                                            "a block ended with a bulk copy in flight",
                                            "mbarrier count outside",
                                            "no multiple of 16",
                                            "not a pointer into shared memory"};
    for (int fault = 0; fault < 7; ++fault) {
        if (fault == 3 && cuemu::config.order == cuemu::Order::random) continue;  // it may land in time
        DeviceArray<int> source(zeros);
        CHECK_CUDA(launch(mbarrier_kernel, one_block(32), source.get(), fault));
        CHECK_FAILS(mbarrier_reports[fault]);
    }
}

CASE(wgmma_follows_its_rules) {
    const char* const reports[] = {"wgmma before wgmma_fence", "shared address out of range",
                                   "asynchronous work that it never waited for", "incomplete warpgroup"};
    for (int fault = 0; fault < 4; ++fault) {
        if (fault == 2 && cuemu::config.order == cuemu::Order::random) continue;  // it may be computed in time
        DeviceArray<float> out(128);
        CHECK_CUDA(launch(wgmma_kernel, one_block(fault == 3 ? 64 : 128, 72 * 128), out.get(), fault));
        CHECK_FAILS(reports[fault]);
    }
    cuemu::config.capability_major = 8;
    CHECK_CUDA(launch(wgmma_needs_sm90_kernel, one_block(128)));
    CHECK_FAILS("wgmma needs compute capability 9.0");
}

#ifndef __SANITIZE_ADDRESS__
CASE(red_zones_show_writes_out_of_bounds) {
    for (const int offset : {64, -1}) {
        CHECK_CUDA(launch(shared_overflow_kernel, one_block(32, 256), offset, false));
        CHECK_FAILS("a shared array was written outside its bounds");
    }
    CHECK_CUDA(launch(shared_overflow_kernel, one_block(32, 256), 64, true));
    CHECK_FAILS("dynamic shared memory was written beyond its end");
    for (const int64_t index : {100, -1}) {
        DeviceArray<int> data(100);
        CHECK_CUDA(launch(write_kernel, one_block(32), data.get(), index));
        CHECK_EQ(cudaDeviceSynchronize(), cudaErrorIllegalAddress);
        CHECK_FAILS("written outside an allocation of 400 bytes");
    }
}
#endif

CASE(failed_launches_stick) {
    void* memory = nullptr;
    CHECK_CUDA(launch(trap_kernel, one_block(32)));
    CHECK_EQ(cudaStreamSynchronize(nullptr), cudaErrorLaunchFailure);
    CHECK_EQ(cudaMalloc(&memory, 16), cudaErrorLaunchFailure);
    CHECK_EQ(launch(trap_kernel, one_block(32)), cudaErrorLaunchFailure);
    CHECK_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    CHECK_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
    CHECK_EQ(cudaDeviceReset(), cudaSuccess);
    CHECK_EQ(cudaGetLastError(), cudaSuccess);
    CHECK_EQ(cudaMalloc(&memory, 16), cudaSuccess);
    CHECK_EQ(cudaFree(memory), cudaSuccess);
}
