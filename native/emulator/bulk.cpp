// Bulk copies: plain runs of bytes, and tiles of a tensor map. They land as late as they may: when no thread of the
// worker can go on, or in random order at any time.
#include "emulator/async.hpp"
#include "emulator/machine.hpp"

namespace cuemu {
namespace {

constexpr uint64_t kMapMagic = 0x6D6F656B74656E73;

BulkCopy& new_copy(Block& block, Site site) {
    if (block.num_bulk_copies == kMaxBulkCopies) fail("too many bulk copies of a block in flight", site);
    BulkCopy& copy = block.bulk_copies[block.num_bulk_copies++];
    copy.tsan = under_tsan() ? __tsan_create_fiber(0) : nullptr;
    return copy;
}

/// Bytes that one row of the box takes from global memory: what lies outside is zero.
void copy_box_row(const BulkCopy& copy, int64_t y, int64_t z, size_t row) {
    const TensorMap& map = copy.map;
    const size_t row_bytes = size_t{map.box[0]} * map.element_bytes;
    const bool inside_rows =
        y >= 0 && z >= 0 && static_cast<uint64_t>(y) < map.size[1] && static_cast<uint64_t>(z) < map.size[2];
    const char* source = map.data + y * static_cast<int64_t>(map.stride[1]) + z * static_cast<int64_t>(map.stride[2]);
    for (uint32_t i = 0; i < map.box[0]; ++i) {
        const int64_t x = int64_t{copy.start[0]} + i;
        const bool inside = inside_rows && x >= 0 && static_cast<uint64_t>(x) < map.size[0];
        const size_t offset = row * row_bytes + size_t{i} * map.element_bytes;
        // The exchange goes by the bits of the shared address; the start is aligned to its pattern.
        const size_t swizzled = offset ^ ((offset >> 7 & map.swizzle_mask) << 4);
        char* destination = copy.destination + swizzled;
        note_write(destination, map.element_bytes);
        if (!inside) {
            std::memset(destination, 0, map.element_bytes);
            continue;
        }
        const char* element = source + x * map.element_bytes;
        note_read(element, map.element_bytes);
        std::memcpy(destination, element, map.element_bytes);
    }
}

void copy_tile(const BulkCopy& copy) {
    size_t row = 0;
    for (uint32_t z = 0; z < copy.map.box[2]; ++z)
        for (uint32_t y = 0; y < copy.map.box[1]; ++y)
            copy_box_row(copy, int64_t{copy.start[1]} + y, int64_t{copy.start[2]} + z, row++);
}

const char* land(Worker& w, Block& block, const BulkCopy& copy) {
    if (copy.tsan) __tsan_switch_to_fiber(copy.tsan, kSwitchWithoutOrder);
    if (copy.source)
        std::memcpy(copy.destination, copy.source, copy.bytes);
    else
        copy_tile(copy);
    const char* wrong = mbarrier_complete_bytes(copy.mbarrier, copy.bytes);
    order_release(&block.proxy.passed_on);
    order_release(&block.launch->finished);
    if (copy.tsan) {
        __tsan_switch_to_fiber(w.tsan, kSwitchWithoutOrder);
        __tsan_destroy_fiber(copy.tsan);
    }
    return wrong;
}

void store_before(Fiber& fiber, unsigned group) {
    int kept = 0;
    for (int i = 0; i < fiber.num_stores; ++i) {
        const PendingCopy& store = fiber.stores[i];
        if (store.group >= group) {
            fiber.stores[kept++] = store;
            continue;
        }
        note_proxy_read(*fiber.block, store.source, store.bytes);
        note_write(store.destination, store.bytes);
        for (uint32_t b = 0; b < store.bytes; ++b)
            static_cast<char*>(store.destination)[b] = static_cast<const char*>(store.source)[b];
    }
    fiber.num_stores = kept;
    await_proxy(*fiber.block);
}

void check_alignment(const void* a, const void* b, uint32_t bytes, Site site) {
    if ((reinterpret_cast<uintptr_t>(a) | reinterpret_cast<uintptr_t>(b) | bytes) % 16 != 0)
        fail("bulk copy: an address or the size is no multiple of 16", site);
    if (bytes == 0) fail("bulk copy of nothing", site);
}

}  // namespace

void bulk_load(void* destination, const void* source, uint32_t bytes, uint64_t* mbarrier, Site site) {
    need_capability(9, 0, "bulk copies need compute capability 9.0", site);
    check_alignment(destination, source, bytes, site);
    shared_pointer(shared_address(destination, site), bytes, site);
    BulkCopy& copy = new_copy(*self()->block, site);
    copy.destination = static_cast<char*>(destination);
    copy.source = static_cast<const char*>(source);
    copy.bytes = bytes;
    copy.mbarrier = mbarrier;
}

void tile_load(void* destination, const void* map, const int32_t* start, int rank, uint64_t* mbarrier, Site site) {
    need_capability(9, 0, "tile loads need compute capability 9.0", site);
    TensorMap tensor;
    std::memcpy(&tensor, map, sizeof tensor);
    if (tensor.magic != kMapMagic) fail("tile load: not an encoded tensor map", site);
    if (tensor.rank != static_cast<uint32_t>(rank)) fail("tile load: the map has another rank", site);
    const uint32_t alignment = tensor.swizzle_mask == 0 ? 128 : 128 * (tensor.swizzle_mask + 1);
    if (shared_address(destination, site) % alignment != 0)
        fail("tile load: the destination is not aligned to the swizzle's pattern", site);
    const uint32_t bytes = tensor.box[0] * tensor.box[1] * tensor.box[2] * tensor.element_bytes;
    shared_pointer(shared_address(destination, site), bytes, site);
    BulkCopy& copy = new_copy(*self()->block, site);
    copy.destination = static_cast<char*>(destination);
    copy.source = nullptr;
    copy.bytes = bytes;
    copy.mbarrier = mbarrier;
    copy.map = tensor;
    for (int i = 0; i < 3; ++i) copy.start[i] = i < rank ? start[i] : 0;
}

void bulk_store(void* destination, const void* source, uint32_t bytes, Site site) {
    need_capability(9, 0, "bulk copies need compute capability 9.0", site);
    check_alignment(destination, source, bytes, site);
    shared_pointer(shared_address(source, site), bytes, site);
    Fiber& fiber = *self();
    if (fiber.num_stores == kMaxBulkStores) fail("too many bulk stores of one thread in flight", site);
    note_proxy_read(*fiber.block, source, bytes);
    note_write(destination, bytes);
    fiber.stores[fiber.num_stores++] = {destination, source, bytes, bytes, fiber.store_group};
}

void bulk_store_commit() {
    ++self()->store_group;
}

void bulk_store_wait(unsigned pending_groups) {
    Fiber& fiber = *self();
    if (fiber.store_group > pending_groups) store_before(fiber, fiber.store_group - pending_groups);
}

bool land_bulk_copy(Worker& w) {
    for (Block* block : w.blocks) {
        if (block->num_bulk_copies == 0) continue;
        const size_t picked = w.random() % static_cast<size_t>(block->num_bulk_copies);
        const BulkCopy copy = block->bulk_copies[picked];
        block->bulk_copies[picked] = block->bulk_copies[--block->num_bulk_copies];
        if (const char* wrong = land(w, *block, copy)) record_failure(*w.launch, wrong, block->fibers[0], Site{});
        return true;
    }
    return false;
}

cudaError_t encode_map(void* map, const TileShape& shape) {
    const bool valid_swizzle = shape.swizzle_bytes == 0 || shape.swizzle_bytes == 32 || shape.swizzle_bytes == 64 ||
                               shape.swizzle_bytes == 128;
    const uint32_t inner_bytes = shape.box[0] * shape.element_bytes;
    if (!map || !shape.data || shape.rank < 2 || shape.rank > 3 || !valid_swizzle) return cudaErrorInvalidValue;
    if (reinterpret_cast<uintptr_t>(shape.data) % 16 != 0 || inner_bytes % 16 != 0) return cudaErrorInvalidValue;
    if (shape.swizzle_bytes != 0 && inner_bytes > shape.swizzle_bytes) return cudaErrorInvalidValue;
    TensorMap tensor{};
    tensor.magic = kMapMagic;
    tensor.data = static_cast<const char*>(shape.data);
    tensor.rank = shape.rank;
    tensor.element_bytes = shape.element_bytes;
    tensor.swizzle_mask = shape.swizzle_bytes == 0 ? 0 : shape.swizzle_bytes / 16 - 1;
    for (uint32_t i = 0; i < 3; ++i) {
        const bool has = i < shape.rank;
        tensor.size[i] = has ? shape.size[i] : 1;
        tensor.box[i] = has ? shape.box[i] : 1;
        tensor.stride[i] = i == 0 ? shape.element_bytes : has ? shape.stride_bytes[i] : 0;
        if (tensor.size[i] == 0 || tensor.size[i] > uint64_t{1} << 32) return cudaErrorInvalidValue;
        if (tensor.box[i] == 0 || tensor.box[i] > 256) return cudaErrorInvalidValue;
        if (i > 0 && has && (tensor.stride[i] % 16 != 0 || tensor.stride[i] >= uint64_t{1} << 40))
            return cudaErrorInvalidValue;
    }
    static_assert(sizeof tensor <= 128, "a CUtensorMap has 128 bytes");
    std::memcpy(map, &tensor, sizeof tensor);
    return cudaSuccess;
}

}  // namespace cuemu
