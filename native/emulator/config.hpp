// What a test may set and read. Of the product, only the boundary reads the report of a failed launch.
#pragma once
#include <cstdint>
#include <string>

namespace cuemu {

/// In which order threads that can go on are taken, and blocks are started.
enum class Order { forward, reverse, random };

struct Config {
    int workers = 0;               ///< OS threads of a launch; 0: one per core. 1 makes a launch repeatable.
    int resident = 1;              ///< blocks alive at once on a worker; a cooperative launch has all alive
    Order order = Order::forward;  ///< random also lets asynchronous work land at any allowed moment
    uint64_t seed = 1;             ///< of Order::random
    bool strict = true;            ///< refuse barriers reached from different lines and the like
    uint64_t max_idle = 20'000;    ///< rounds over threads that only poll which count as a livelock
    int capability_major = 9;      ///< compute capability of the emulated device
    int capability_minor = 0;
    int multiprocessors = 4;             ///< bounds the blocks of a cooperative launch
    uint64_t memory_bytes = 4ull << 30;  ///< device memory; cudaMalloc beyond it fails
    int fail_allocation = 0;             ///< n > 0: the n-th allocation from now on fails, once
};

/// Read when work starts: change it only while no work is queued.
extern Config config;

/// Counted since the process started, over all launches.
struct Stats {
    uint64_t switches, threads, barriers, collectives;
};
Stats stats();

/// The text of the last failed launch: what went wrong, where, and what every other thread was doing. Empty if none.
std::string last_report();

}  // namespace cuemu
