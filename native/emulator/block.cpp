// Blocks: their threads, their shared memory with red zones and poison, and their barriers.
#include <cstdlib>
#include <new>

#include "emulator/machine.hpp"

namespace cuemu {
namespace {

constexpr int kRedZoneByte = 0xC5;
constexpr int kPoisonByte = 0xFF;  // NaN in every float type
constexpr size_t kKeptFibers = 4096;

struct FiberCache {
    std::mutex mutex;
    std::vector<Fiber*> fibers;
};

FiberCache& cache() {
    static auto* instance = new FiberCache;
    return *instance;
}

void take_fibers(std::vector<Fiber*>& fibers, size_t count) {
    std::lock_guard<std::mutex> guard(cache().mutex);
    auto& kept = cache().fibers;
    while (fibers.size() < count) {
        if (kept.empty()) {
            fibers.push_back(new Fiber);
        } else {
            fibers.push_back(kept.back());
            kept.pop_back();
        }
    }
}

void give_fibers(const std::vector<Fiber*>& fibers) {
    std::lock_guard<std::mutex> guard(cache().mutex);
    for (Fiber* fiber : fibers) {
        // One that never came to its end has frames on its stack that the sanitizers know of.
        if (cache().fibers.size() < kKeptFibers && (fiber->done || !fiber->started))
            cache().fibers.push_back(fiber);
        else
            delete fiber;
    }
}

void reset(Fiber& fiber, Block& block, unsigned linear) {
    const dim3 d = block.launch->block;
    fiber.thread_index = {linear % d.x, linear / d.x % d.y, linear / d.x / d.y};
    fiber.block_index = block.index;
    fiber.block_dim = d;
    fiber.grid_dim = block.launch->grid;
    fiber.linear = linear;
    fiber.block = &block;
    fiber.asan_fake_stack = nullptr;
    fiber.waits = nullptr;
    fiber.started = fiber.done = false;
    fiber.polls = fiber.copy_group = fiber.store_group = fiber.wgmma_group = 0;
    fiber.num_copies = fiber.num_stores = fiber.num_wgmmas = 0;
    fiber.wgmma_fenced = false;
}

/// memset that TSan does not see: it would take the emulator's filling for a write of the thread that came first.
__attribute__((noinline, optimize("no-tree-loop-distribute-patterns"))) void fill_unseen(char* memory, size_t bytes,
                                                                                         int value) {
    for (size_t i = 0; i < bytes; ++i) memory[i] = static_cast<char>(value);
}

bool is_filled(const char* memory, size_t bytes, int value) {
    for (size_t i = 0; i < bytes; ++i)
        if (static_cast<unsigned char>(memory[i]) != value) return false;
    return true;
}

size_t round_up(size_t value, size_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

Fiber::~Fiber() {
    if (tsan) __tsan_destroy_fiber(tsan);
    if (stack) unmap_stack(stack);
}

Block* make_block(Launch& launch, Worker& w, uint3 index) {
    auto* block = new Block;
    block->launch = &launch;
    block->worker = &w;
    block->index = index;
    const unsigned threads = launch.block.x * launch.block.y * launch.block.z;
    block->live = static_cast<int>(threads);
    block->groups.resize((threads + 31) / 32 * kMasksPerWarp);
    block->ended_lanes.resize((threads + 31) / 32);
    take_fibers(block->fibers, threads);
    for (unsigned i = 0; i < threads; ++i) reset(*block->fibers[i], *block, i);
    block->shared_used = launch.shared_bytes + kRedZoneBytes;
    // Twice the arrays' limit leaves room for their red zones and alignment.
    block->shared_bytes = round_up(block->shared_used + 2 * kStaticSharedBytes, 1024);
    block->shared = static_cast<char*>(std::aligned_alloc(1024, block->shared_bytes));
    if (!block->shared) throw std::bad_alloc();
    std::memset(block->shared, kPoisonByte, launch.shared_bytes);
    std::memset(block->shared + launch.shared_bytes, kRedZoneByte, kRedZoneBytes);
    poison(block->shared + launch.shared_bytes, block->shared_bytes - launch.shared_bytes);
    // Here, where nothing of the block has run: a TSan fiber knows what its maker knew.
    if (under_tsan()) block->proxy.tsan = __tsan_create_fiber(0);
    return block;
}

void destroy_block(Block* block) {
    for (int i = 0; i < block->num_bulk_copies; ++i)
        if (block->bulk_copies[i].tsan) __tsan_destroy_fiber(block->bulk_copies[i].tsan);
    if (block->proxy.tsan) __tsan_destroy_fiber(block->proxy.tsan);
    give_fibers(block->fibers);
    unpoison(block->shared, block->shared_bytes);
    std::free(block->shared);
    delete block;
}

const char* check_ended_block(const Block& block) {
    if (block.num_bulk_copies > 0) return "a block ended with a bulk copy in flight";
    unpoison(block.shared, block.shared_bytes);
    if (!is_filled(block.shared + block.launch->shared_bytes, kRedZoneBytes, kRedZoneByte))
        return "dynamic shared memory was written beyond its end";
    for (int i = 0; i < block.num_arrays; ++i) {
        const SharedArray& array = block.arrays[i];
        if (!is_filled(block.shared + array.offset - kRedZoneBytes, kRedZoneBytes, kRedZoneByte) ||
            !is_filled(block.shared + array.offset + array.bytes, kRedZoneBytes, kRedZoneByte))
            return "a shared array was written outside its bounds";
    }
    return nullptr;
}

char* array_of(Block& block, const void* tag, size_t bytes, size_t alignment, Site site) {
    size_t arrays_bytes = bytes;
    for (int i = 0; i < block.num_arrays; ++i) {
        if (block.arrays[i].tag == tag) return block.shared + block.arrays[i].offset;
        arrays_bytes += block.arrays[i].bytes;
    }
    if (arrays_bytes > kStaticSharedBytes) fail("more than 48 KB of shared arrays", site);
    if (block.num_arrays == kMaxSharedArrays) fail("too many shared arrays", site);
    const size_t offset = round_up(block.shared_used + kRedZoneBytes, alignment);
    if (offset + bytes + kRedZoneBytes > block.shared_bytes) fail("too far aligned shared arrays", site);
    block.shared_used = offset + bytes;
    char* array = block.shared + offset;
    unpoison(array - kRedZoneBytes, bytes + 2 * kRedZoneBytes);
    fill_unseen(array - kRedZoneBytes, kRedZoneBytes, kRedZoneByte);
    fill_unseen(array, bytes, kPoisonByte);
    fill_unseen(array + bytes, kRedZoneBytes, kRedZoneByte);
    poison(array - kRedZoneBytes, kRedZoneBytes);
    poison(array + bytes, kRedZoneBytes);
    block.arrays[block.num_arrays++] = {tag, offset, bytes, alignment};
    return array;
}

void* shared_array(const void* tag, size_t bytes, size_t alignment, Site site) {
    return array_of(*self()->block, tag, bytes, alignment, site);
}

void* dynamic_shared(Site) {
    return self()->block->shared;
}

uint32_t shared_address(const void* pointer, Site site) {
    const Block& block = *self()->block;
    const ptrdiff_t offset = static_cast<const char*>(pointer) - block.shared;
    if (offset < 0 || static_cast<size_t>(offset) >= block.shared_bytes) fail("not a pointer into shared memory", site);
    return static_cast<uint32_t>(offset);
}

void* shared_pointer(uint32_t address, size_t bytes, Site site) {
    const Block& block = *self()->block;
    if (address + bytes > block.shared_used) fail("shared address out of range", site);
    return block.shared + address;
}

bool can_never_complete(const Barrier& barrier, int live) {
    return barrier.arrived > 0 && barrier.expected - barrier.arrived > live - barrier.sleeping;
}

namespace {

Barrier& barrier_at(int id, int count, const char* what, Site site) {
    Block& block = *self()->block;
    if (id < 0 || id > 15) fail("barrier id outside 0..15", site);
    const int threads = static_cast<int>(block.fibers.size());
    if (count < 1 || count > threads || (count % 32 != 0 && count != threads))
        fail("barrier count is no multiple of the warp size within the block", site);
    Barrier& barrier = block.barriers[id];
    const bool strict = block.launch->config.strict;
    if (barrier.arrived == 0) {
        barrier.expected = count;
        barrier.site = site;
        if (count > block.live) fail("barrier waits for threads that have ended", site);
    } else if (barrier.expected != count) {
        fail("threads give one barrier different counts", site);
    } else if (strict && id == 0 && (barrier.site.line != site.line || barrier.site.file != site.file)) {
        fail(what, site);
    }
    ++worker->stats.barriers;
    return barrier;
}

/// True for the last one to arrive.
bool arrive(Barrier& barrier) {
    if (++barrier.arrived < barrier.expected) return false;
    barrier.arrived = barrier.sleeping = 0;
    ++barrier.phase;
    return true;
}

}  // namespace

void barrier_sync(int id, int count, Site site) {
    Barrier& barrier = barrier_at(id, count, "threads of a block meet at different barriers", site);
    char* order = &barrier.order[barrier.phase & 1];
    order_release(order);
    if (arrive(barrier)) {
        wake_all_from(barrier.waiting);
    } else {
        ++barrier.sleeping;
        sleep_in(barrier.waiting, "waits at a barrier", site);
    }
    order_acquire(order);
}

void barrier_arrive(int id, int count, Site site) {
    Barrier& barrier = barrier_at(id, count, "threads of a block meet at different barriers", site);
    order_release(&barrier.order[barrier.phase & 1]);
    if (!arrive(barrier)) return;
    made_progress();
    wake(barrier.waiting);
}

}  // namespace cuemu
