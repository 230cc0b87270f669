// The emulated multiprocessors: what a launch, its workers, its blocks and its threads are made of.
//
// A launch runs on a few OS threads, the workers. A worker owns the blocks that it started: their threads are fibers
// that switch at synchronisation points only, so nothing in a block needs a lock. Memory used here is never touched by
// instrumented code, and is not allocated or copied by the fibers: TSan would take that for the kernel's doing.
#pragma once
#include <atomic>
#include <cstring>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "emulator/config.hpp"
#include "emulator/fiber.hpp"
#include "emulator/kernel_api.hpp"
#include "emulator/sanitizers.hpp"

namespace cuemu {

struct Block;
struct Worker;
struct Launch;

/// A copy of `bytes` that lands later; the rest up to `total` is filled with zero.
struct PendingCopy {
    void* destination;
    const void* source;
    uint32_t bytes, total;
    unsigned group;
};

/// A wgmma of one thread's accumulators that is computed later.
struct PendingWgmma {
    float* accumulators;
    uint64_t a, b;  ///< descriptors
    int columns;
    bool accumulate;  ///< else overwrite
    unsigned group;
};

constexpr int kMaxPendingCopies = 64;
constexpr int kMaxPendingWgmmas = 64;
constexpr int kMaxBulkStores = 16;

/// One CUDA thread. Keeps its stack and its TSan fiber, which are dear to make, for threads of later launches.
struct Fiber : Thread {
    Fiber() = default;
    Fiber(const Fiber&) = delete;
    Fiber& operator=(const Fiber&) = delete;
    ~Fiber();

    Block* block = nullptr;
    Context context;
    char* stack = nullptr;
    void* tsan = nullptr;
    bool started = false;
    void* asan_fake_stack = nullptr;
    const char* waits = nullptr;  ///< for what, null when it can run
    Site site;                    ///< where it waits
    Fiber* next = nullptr;        ///< in the list it waits in
    bool done = false;
    unsigned polls = 0;
    PendingCopy copies[kMaxPendingCopies];
    int num_copies = 0;
    unsigned copy_group = 0;             ///< number of committed groups
    PendingCopy stores[kMaxBulkStores];  ///< bulk copies to global memory
    int num_stores = 0;
    unsigned store_group = 0;
    PendingWgmma wgmmas[kMaxPendingWgmmas];
    int num_wgmmas = 0;
    unsigned wgmma_group = 0;
    bool wgmma_fenced = false;
};

struct FiberList {
    Fiber *head = nullptr, *tail = nullptr;
    bool empty() const { return head == nullptr; }
    void push(Fiber* fiber) {
        fiber->next = nullptr;
        (tail ? tail->next : head) = fiber;
        tail = fiber;
    }
};

struct Barrier {
    int arrived = 0, expected = 0;
    int sleeping = 0;  ///< of the arrived, those that wait; the others only arrived
    Site site;
    unsigned phase = 0;
    char order[2];  ///< TSan's sync objects, by parity: the next phase must not order the threads of this one
    FiberList waiting;
};

/// Lanes of one mask that meet.
struct WarpGroup {
    unsigned mask = 0;
    int arrived = 0, reading = 0;
    Collective what{};
    Site site;
    unsigned phase = 0;
    uint64_t values[2][32];
    char order[2];
    FiberList waiting;
};
constexpr int kMasksPerWarp = 8;

struct SharedArray {
    const void* tag;
    size_t offset, bytes, alignment;
};
constexpr int kMaxSharedArrays = 48;
constexpr size_t kStaticSharedBytes = 48u << 10;
constexpr size_t kRedZoneBytes = 64;

/// What a CUtensorMap holds here: an array in global memory and the box that one copy takes of it, fastest axis first.
struct TensorMap {
    uint64_t magic;  ///< tells an encoded map from other bytes
    const char* data;
    uint32_t rank, element_bytes;
    uint64_t size[3], stride[3];  ///< elements, bytes
    uint32_t box[3];
    uint32_t swizzle_mask;  ///< 0, 1, 3, 7: units of 16 bytes that are exchanged by the address's bits from 7 on
};

/// A bulk copy in flight. Performed by a TSan fiber of its own, ordered after the issuing thread and nothing else.
struct BulkCopy {
    char* destination;
    const char* source;  ///< null for a tile
    uint32_t bytes;
    uint64_t* mbarrier;  ///< told when it has landed
    TensorMap map;
    int32_t start[3];
    void* tsan;
};
constexpr int kMaxBulkCopies = 64;

/// Blocks that can reach each other's shared memory.
struct Cluster {
    std::vector<Block*> blocks;
    int live_blocks = 0;
    Barrier barrier;
};

/// The asynchronous units (TMA, tensor cores) as TSan sees them: what they read of shared memory must have been passed
/// on by fence.proxy.async, or have been written by them.
struct AsyncProxy {
    void* tsan = nullptr;
    char passed_on = 0, done = 0;
};

struct Block {
    Launch* launch = nullptr;
    Worker* worker = nullptr;
    uint3 index{};
    std::vector<Fiber*> fibers;
    int live = 0;  ///< threads that have not ended
    Barrier barriers[16];
    std::vector<WarpGroup> groups;      ///< kMasksPerWarp a warp
    std::vector<unsigned> ended_lanes;  ///< a mask a warp
    char* shared = nullptr;             ///< dynamic shared memory, then the arrays
    size_t shared_used = 0, shared_bytes = 0;
    SharedArray arrays[kMaxSharedArrays];
    int num_arrays = 0;
    std::shared_ptr<Cluster> cluster;  ///< null unless launched with one
    unsigned rank = 0;                 ///< in the cluster
    AsyncProxy proxy;
    BulkCopy bulk_copies[kMaxBulkCopies];
    int num_bulk_copies = 0;
};

/// Threads that can run, at any position of which the next one may be taken.
class ReadyRing {
public:
    bool empty() const { return count_ == 0; }
    size_t size() const { return count_; }
    void reserve(size_t capacity);
    void push(Fiber* fiber) { at(count_++) = fiber; }
    Fiber* pop_front();
    Fiber* pop_back() { return at(--count_); }
    Fiber* take(size_t position);

private:
    Fiber*& at(size_t i) { return slots_[(first_ + i) & (slots_.size() - 1)]; }
    std::vector<Fiber*> slots_;  // a power of two
    size_t first_ = 0, count_ = 0;
};

/// An OS thread of a launch.
struct alignas(64) Worker {
    Launch* launch = nullptr;
    int id = 0;
    uint64_t random_state = 1;
    ReadyRing ready;
    FiberList spinning;
    std::vector<Block*> blocks;
    size_t live_threads = 0;
    Context context;  ///< of the scheduler
    char begun = 0;   ///< TSan's sync object: what it did before its blocks began
    void* tsan = nullptr;
    void* asan_fake_stack = nullptr;
    const void* asan_bottom = nullptr;
    size_t asan_bytes = 0;
    std::atomic<uint64_t> moves{0};  ///< what threads did here that others may have waited for
    std::atomic<uint64_t> idle{0};   ///< rounds over polling threads since any worker last moved
    uint64_t seen_moves = 0;         ///< of all workers
    std::vector<uint64_t> marks;     ///< idle of every worker when this one reached the limit
    Stats stats{};

    uint64_t random();
};
extern __thread Worker* worker __attribute__((tls_model("initial-exec")));

inline Fiber* self() {
    return static_cast<Fiber*>(current);
}

struct Launch {
    dim3 grid, block, cluster;
    size_t shared_bytes = 0;
    const std::function<void()>* body = nullptr;
    Config config;
    int resident = 1;
    unsigned num_units = 0;  ///< clusters, started whole
    std::atomic<unsigned> next_unit{0};
    std::vector<unsigned> unit_order;
    std::vector<Worker*> workers;
    std::atomic<bool> failed{false};
    std::mutex mutex;           ///< guards what follows
    std::string report;         ///< of the first failure
    std::vector<Block*> ended;  ///< kept until the end under TSan: reuse would look like a race
    char finished = 0;          ///< TSan's sync object of threads that have ended
};

inline bool random_order() {
    return worker->launch->config.order == Order::random;
}

// scheduler.cpp
/// Runs a whole grid. True on success; else last_report() tells what happened.
bool run_grid(dim3 grid, dim3 block, dim3 cluster, size_t shared_bytes, bool cooperative,
              const std::function<void()>& body);
/// Waits in `list` until somebody wakes it.
void sleep_in(FiberList& list, const char* waits, Site site);
void wake(FiberList& list);
/// For the last thread to arrive: wakes the list and goes on, or in random order lets the dice say who is first.
void wake_all_from(FiberList& list);
/// What last_report() returns from now on.
void set_report(std::string text);
void record_failure(Launch& launch, const char* what, const Fiber* culprit, Site site);

// block.cpp
/// Whether the barrier needs more threads than the block still has.
bool can_never_complete(const Barrier& barrier, int live);
Block* make_block(Launch& launch, Worker& worker, uint3 index);
/// Frees the block's threads and memory.
void destroy_block(Block* block);
/// Null when all is well, else what is wrong with the shared memory or with what the block left undone.
const char* check_ended_block(const Block& block);

/// The block's array of this tag, which may belong to another block of the cluster.
char* array_of(Block& block, const void* tag, size_t bytes, size_t alignment, Site site);

// bulk.cpp
/// Lets one bulk copy of the worker's blocks land; false if none is in flight.
bool land_bulk_copy(Worker& worker);

// proxy.cpp
/// Announces that the asynchronous units read shared memory, on behalf of whoever runs.
void note_proxy_read(Block& block, const void* address, size_t bytes);
/// The running thread has waited for the units: what they read may be overwritten.
void await_proxy(Block& block);

}  // namespace cuemu
