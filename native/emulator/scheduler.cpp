// Workers take blocks, and of their blocks' threads one after the other, until the grid is done or something fails.
#include <algorithm>
#include <cstdio>
#include <new>
#include <thread>

#include "emulator/machine.hpp"

namespace cuemu {

__thread Thread* current;
__thread Worker* worker;
Config config;

namespace {

std::mutex report_mutex;
std::string report_text;
Stats totals{};

constexpr uint64_t kEnded = UINT64_MAX;  // in Worker::idle

uint64_t xorshift(uint64_t& state) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

uint64_t mix(uint64_t seed, uint64_t stream) {
    return (seed + 1) * 0x9E3779B97F4A7C15ull ^ (stream + 1) * 0xD1B54A32D192ED03ull;
}

void switch_to_scheduler(Fiber* fiber, bool for_good) {
    Worker& w = *worker;
    ++w.stats.switches;
    if (under_tsan()) __tsan_switch_to_fiber(w.tsan, kSwitchWithoutOrder);
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(for_good ? nullptr : &fiber->asan_fake_stack, w.asan_bottom, w.asan_bytes);
    Context::swap(fiber->context, w.context);
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(fiber->asan_fake_stack, &worker->asan_bottom, &worker->asan_bytes);
}

/// First frame of every fiber.
void thread_entry() {
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(nullptr, &worker->asan_bottom, &worker->asan_bytes);
    Fiber* fiber = self();
    Launch& launch = *fiber->block->launch;
    order_acquire(&worker->begun);
    (*launch.body)();
    order_release(&launch.finished);
    fiber->done = true;
    made_progress();
    switch_to_scheduler(fiber, true);
    __builtin_unreachable();
}

/// False when there is no stack left for it.
bool start_thread(Fiber* fiber) {
    if (!fiber->stack) fiber->stack = map_stack();
    if (!fiber->stack) return false;
    if (under_tsan() && !fiber->tsan) fiber->tsan = __tsan_create_fiber(0);
    fiber->context.prepare(fiber->stack, thread_entry);
    fiber->started = true;
    return true;
}

/// False when it could not start.
bool run_thread(Worker& w, Fiber* fiber) {
    if (!fiber->started && !start_thread(fiber)) return false;
    ++w.stats.switches;
    current = fiber;
    if (under_tsan()) __tsan_switch_to_fiber(fiber->tsan, kSwitchWithoutOrder);
    if (__sanitizer_start_switch_fiber) __sanitizer_start_switch_fiber(&w.asan_fake_stack, fiber->stack, kStackBytes);
    Context::swap(w.context, fiber->context);
    if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(w.asan_fake_stack, nullptr, nullptr);
    current = nullptr;
    return true;
}

void start_unit(Worker& w, unsigned unit) {
    Launch& launch = *w.launch;
    const dim3 c = launch.cluster;
    const unsigned across = launch.grid.x / c.x, down = launch.grid.y / c.y;
    const unsigned x0 = unit % across * c.x, y0 = unit / across % down * c.y, z0 = unit / across / down * c.z;
    const unsigned size = c.x * c.y * c.z;
    const auto cluster = size > 1 ? std::make_shared<Cluster>() : nullptr;
    if (cluster) cluster->live_blocks = static_cast<int>(size);
    for (unsigned rank = 0; rank < size; ++rank) {
        const uint3 index{x0 + rank % c.x, y0 + rank / c.x % c.y, z0 + rank / c.x / c.y};
        Block* block = make_block(launch, w, index);
        block->cluster = cluster;
        block->rank = rank;
        if (cluster) cluster->blocks.push_back(block);
        w.blocks.push_back(block);
        w.live_threads += block->fibers.size();
        w.ready.reserve(w.live_threads);
        for (Fiber* fiber : block->fibers) w.ready.push(fiber);
        w.stats.threads += block->fibers.size();
    }
    order_release(&w.begun);
}

void retire(Worker& w, Block* block) {
    w.live_threads -= block->fibers.size();
    w.blocks.erase(std::find(w.blocks.begin(), w.blocks.end(), block));
    if (!under_tsan()) return destroy_block(block);
    // A worker that reused the memory at once would seem to order its blocks, or to race with them.
    std::lock_guard<std::mutex> guard(w.launch->mutex);
    w.launch->ended.push_back(block);
}

void end_block(Worker& w, Block* block) {
    if (const char* wrong = check_ended_block(*block)) record_failure(*w.launch, wrong, block->fibers[0], Site{});
    if (!block->cluster) return retire(w, block);
    // Others of the cluster may still point into this one's shared memory.
    const std::shared_ptr<Cluster> cluster = block->cluster;
    if (--cluster->live_blocks > 0) return;
    for (Block* member : cluster->blocks) retire(w, member);
}

void after_end_of_thread(Worker& w, Fiber* fiber) {
    Block* block = fiber->block;
    block->ended_lanes[fiber->linear / 32] |= 1u << fiber->linear % 32;
    if (fiber->num_copies > 0 || fiber->num_stores > 0 || fiber->num_wgmmas > 0)
        return record_failure(*w.launch, "a thread ended with asynchronous work that it never waited for", fiber,
                              Site{});
    if (--block->live == 0) return end_block(w, block);
    for (Barrier& barrier : block->barriers)
        if (can_never_complete(barrier, block->live))
            return record_failure(*w.launch, "a thread ended while others wait for it at a barrier", fiber,
                                  barrier.site);
}

uint64_t moves_of_all(const Launch& launch) {
    uint64_t moves = 0;
    for (const Worker* w : launch.workers) moves += w->moves.load(std::memory_order_relaxed);
    return moves;
}

/// Every worker has gone on polling since this one reached its limit: none is in a long stretch of one thread.
bool nobody_moves(Worker& w) {
    const auto& workers = w.launch->workers;
    if (w.idle.load(std::memory_order_relaxed) == w.launch->config.max_idle + 1) {
        for (size_t i = 0; i < workers.size(); ++i) w.marks[i] = workers[i]->idle.load(std::memory_order_relaxed);
        return false;
    }
    for (size_t i = 0; i < workers.size(); ++i) {
        const uint64_t rounds = workers[i]->idle.load(std::memory_order_acquire);
        if (rounds <= w.launch->config.max_idle) return false;
        if (rounds != kEnded && rounds < w.marks[i] + 64) return false;
    }
    return true;
}

/// One more round in which only polling threads are left. False when that has gone on for too long.
bool begin_idle_round(Worker& w) {
    const uint64_t moves = moves_of_all(*w.launch);
    const uint64_t idle = moves == w.seen_moves ? w.idle.load(std::memory_order_relaxed) + 1 : 0;
    w.seen_moves = moves;
    w.idle.store(idle, std::memory_order_relaxed);
    if (idle % 64 == 63 && w.launch->workers.size() > 1) std::this_thread::yield();
    if (idle <= w.launch->config.max_idle || !nobody_moves(w)) return true;
    // A worker may have moved and ended since the moves were counted.
    if (moves_of_all(*w.launch) != moves) return true;
    record_failure(*w.launch, "livelock: every thread only polls", nullptr, Site{});
    return false;
}

Fiber* next_thread(Worker& w) {
    switch (w.launch->config.order) {
        case Order::forward:
            return w.ready.pop_front();
        case Order::reverse:
            return w.ready.pop_back();
        default:
            return w.ready.take(w.random() % w.ready.size());
    }
}

/// Brings work into the ready ring. False when the worker has none left.
bool find_work(Worker& w) {
    const bool early = w.launch->config.order == Order::random && w.random() % 16 == 0;
    if (early) land_bulk_copy(w);
    if (!w.ready.empty() && !early) return true;
    // As late as can be: a reader that does not wait for the copy has read by now.
    if (w.ready.empty() && land_bulk_copy(w)) return find_work(w);
    const bool only_polling = w.ready.empty() && !w.spinning.empty();
    wake(w.spinning);
    if (!w.ready.empty()) return !only_polling || begin_idle_round(w);
    if (!w.blocks.empty()) record_failure(*w.launch, "deadlock: no thread can go on", nullptr, Site{});
    return false;
}

void schedule(Worker& w) {
    Launch& launch = *w.launch;
    const unsigned unit_blocks = launch.cluster.x * launch.cluster.y * launch.cluster.z;
    while (!launch.failed.load(std::memory_order_relaxed)) {
        while (w.blocks.empty() || w.blocks.size() + unit_blocks <= static_cast<size_t>(launch.resident)) {
            const unsigned next = launch.next_unit.fetch_add(1, std::memory_order_relaxed);
            if (next >= launch.num_units) break;
            start_unit(w, launch.unit_order[next]);
        }
        if (!find_work(w)) break;
        Fiber* fiber = next_thread(w);
        if (!run_thread(w, fiber)) {
            record_failure(launch, "no memory for a thread's stack", fiber, Site{});
            break;
        }
        if (fiber->done) after_end_of_thread(w, fiber);
    }
}

/// Leaves the blocks of a failed launch as they stand. Their threads are told to TSan as finished.
void abandon(Worker& w) {
    for (const Block* block : w.blocks)
        for (const Fiber* fiber : block->fibers) {
            if (!fiber->tsan || !fiber->started) continue;
            __tsan_switch_to_fiber(fiber->tsan, kSwitchWithoutOrder);
            order_release(&w.launch->finished);
            __tsan_switch_to_fiber(w.tsan, kSwitchWithoutOrder);
        }
    std::lock_guard<std::mutex> guard(w.launch->mutex);
    w.launch->ended.insert(w.launch->ended.end(), w.blocks.begin(), w.blocks.end());
    w.blocks.clear();
}

void work(Worker& w) {
    Thread* outer_thread = current;
    Worker* outer_worker = worker;
    worker = &w;
    if (under_tsan()) w.tsan = __tsan_get_current_fiber();
    try {
        schedule(w);
    } catch (const std::bad_alloc&) {
        record_failure(*w.launch, "no host memory for a block", nullptr, Site{});
    }
    w.idle.store(kEnded, std::memory_order_release);
    abandon(w);
    current = outer_thread;
    worker = outer_worker;
    std::lock_guard<std::mutex> guard(report_mutex);
    totals.switches += w.stats.switches;
    totals.threads += w.stats.threads;
    totals.barriers += w.stats.barriers;
    totals.collectives += w.stats.collectives;
}

void describe_threads(std::string& text, const Worker& w) {
    int shown = 0, alive = 0;
    char line[256];
    for (const Block* block : w.blocks)
        for (const Fiber* fiber : block->fibers) {
            if (fiber->done || (++alive, ++shown > 8)) continue;
            const char* waits = fiber->waits ? fiber->waits : fiber->started ? "can run" : "has not started";
            std::snprintf(line, sizeof line, "\n  block (%u,%u,%u) thread %u %s", block->index.x, block->index.y,
                          block->index.z, fiber->linear, waits);
            text += line;
            if (fiber->waits && fiber->site.file) {
                std::snprintf(line, sizeof line, " at %s:%d", fiber->site.file, fiber->site.line);
                text += line;
            }
        }
    if (alive > 8) text += "\n  ... " + std::to_string(alive) + " threads in all";
}

void set_up_order(Launch& launch) {
    launch.unit_order.resize(launch.num_units);
    for (unsigned i = 0; i < launch.num_units; ++i)
        launch.unit_order[i] = launch.config.order == Order::reverse ? launch.num_units - 1 - i : i;
    if (launch.config.order != Order::random) return;
    uint64_t state = mix(launch.config.seed, 0);
    for (unsigned i = launch.num_units; i > 1; --i)
        std::swap(launch.unit_order[i - 1], launch.unit_order[xorshift(state) % i]);
}

void run_workers(Launch& launch, int num_workers) {
    std::vector<Worker> workers(static_cast<size_t>(num_workers));
    for (int i = 0; i < num_workers; ++i) {
        workers[static_cast<size_t>(i)].launch = &launch;
        workers[static_cast<size_t>(i)].id = i;
        workers[static_cast<size_t>(i)].random_state = mix(launch.config.seed, static_cast<uint64_t>(i) + 1);
        workers[static_cast<size_t>(i)].marks.resize(workers.size());
        launch.workers.push_back(&workers[static_cast<size_t>(i)]);
    }
    std::vector<std::thread> threads;
    threads.reserve(workers.size());
    for (size_t i = 1; i < workers.size(); ++i) threads.emplace_back(work, std::ref(workers[i]));
    work(workers[0]);
    for (std::thread& thread : threads) thread.join();
    order_acquire(&launch.finished);
    for (Block* block : launch.ended) destroy_block(block);
}

}  // namespace

bool run_grid(dim3 grid, dim3 block, dim3 cluster, size_t shared_bytes, bool cooperative,
              const std::function<void()>& body) {
    Launch launch;
    launch.grid = grid;
    launch.block = block;
    launch.cluster = cluster;
    launch.shared_bytes = shared_bytes;
    launch.body = &body;
    launch.config = config;
    const unsigned unit_blocks = cluster.x * cluster.y * cluster.z;
    launch.num_units = grid.x * grid.y * grid.z / unit_blocks;
    const unsigned cores = std::max(1u, std::thread::hardware_concurrency());
    const unsigned wanted = config.workers > 0 ? static_cast<unsigned>(config.workers) : cores;
    const unsigned num_workers = std::min(wanted, launch.num_units);
    launch.resident = config.resident;
    if (cooperative)
        launch.resident = static_cast<int>((launch.num_units + num_workers - 1) / num_workers * unit_blocks);
    set_up_order(launch);
    run_workers(launch, static_cast<int>(num_workers));
    if (!launch.failed) return true;
    set_report(std::move(launch.report));
    return false;
}

void set_report(std::string text) {
    std::lock_guard<std::mutex> guard(report_mutex);
    report_text = std::move(text);
}

void record_failure(Launch& launch, const char* what, const Fiber* culprit, Site site) {
    std::lock_guard<std::mutex> guard(launch.mutex);
    if (launch.failed.exchange(true)) return;
    launch.report = what;
    if (site.file) launch.report += std::string(" at ") + site.file + ":" + std::to_string(site.line);
    if (culprit) {
        const uint3 b = culprit->block->index;
        launch.report += " (block " + std::to_string(b.x) + "," + std::to_string(b.y) + "," + std::to_string(b.z) +
                         " thread " + std::to_string(culprit->linear) + ")";
    }
    if (worker) describe_threads(launch.report, *worker);
}

void fail(const char* what, Site site) {
    Fiber* fiber = self();
    record_failure(*fiber->block->launch, what, fiber, site);
    switch_to_scheduler(fiber, true);
    __builtin_unreachable();
}

void sleep_in(FiberList& list, const char* waits, Site site) {
    Fiber* fiber = self();
    fiber->waits = waits;
    fiber->site = site;
    list.push(fiber);
    switch_to_scheduler(fiber, false);
    fiber->waits = nullptr;
}

void wake(FiberList& list) {
    for (Fiber *fiber = list.head, *next; fiber; fiber = next) {
        next = fiber->next;
        worker->ready.push(fiber);
    }
    list = {};
}

void wake_all_from(FiberList& list) {
    made_progress();
    const bool queue_myself = random_order() && worker->random() % 2 == 0;
    if (queue_myself) list.push(self());
    wake(list);
    if (queue_myself) switch_to_scheduler(self(), false);
}

void made_progress() {
    worker->moves.store(worker->moves.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void poll(Site site) {
    Fiber* fiber = self();
    // Some steps in a row first: a flag that is up already should not cost a switch.
    if (++fiber->polls % 4 != 0 && !random_order()) return;
    sleep_in(worker->spinning, "polls", site);
}

void preempt() {
    if (!random_order() || worker->random() % 8 != 0) return;
    worker->ready.push(self());
    switch_to_scheduler(self(), false);
}

uint64_t Worker::random() {
    return xorshift(random_state);
}

void ReadyRing::reserve(size_t capacity) {
    if (capacity <= slots_.size()) return;
    size_t size = 64;
    while (size < capacity) size *= 2;
    std::vector<Fiber*> grown(size);
    for (size_t i = 0; i < count_; ++i) grown[i] = at(i);
    slots_.swap(grown);
    first_ = 0;
}

Fiber* ReadyRing::pop_front() {
    Fiber* fiber = at(0);
    ++first_;
    --count_;
    return fiber;
}

Fiber* ReadyRing::take(size_t position) {
    std::swap(at(position), at(count_ - 1));
    return pop_back();
}

Stats stats() {
    std::lock_guard<std::mutex> guard(report_mutex);
    return totals;
}

std::string last_report() {
    std::lock_guard<std::mutex> guard(report_mutex);
    return report_text;
}

}  // namespace cuemu
