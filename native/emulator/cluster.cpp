// Clusters: blocks that wait for each other and reach each other's shared memory.
#include "emulator/cluster.hpp"

#include "emulator/machine.hpp"

namespace cuemu {

unsigned cluster_rank() {
    return self()->block->rank;
}

unsigned cluster_size() {
    const Block& block = *self()->block;
    return block.cluster ? static_cast<unsigned>(block.cluster->blocks.size()) : 1;
}

void cluster_sync(Site site) {
    need_capability(9, 0, "clusters need compute capability 9.0", site);
    Block& block = *self()->block;
    const int threads = static_cast<int>(block.fibers.size());
    if (!block.cluster) return barrier_sync(0, threads, site);
    Barrier& barrier = block.cluster->barrier;
    const bool strict = block.launch->config.strict;
    barrier.expected = threads * static_cast<int>(block.cluster->blocks.size());
    if (barrier.arrived == 0)
        barrier.site = site;
    else if (strict && (barrier.site.line != site.line || barrier.site.file != site.file))
        fail("threads of a cluster meet at different barriers", site);
    char* order = &barrier.order[barrier.phase & 1];
    order_release(order);
    if (++barrier.arrived == barrier.expected) {
        barrier.arrived = 0;
        ++barrier.phase;
        wake_all_from(barrier.waiting);
    } else {
        sleep_in(barrier.waiting, "waits for its cluster", site);
    }
    order_acquire(order);
}

void* map_shared(const void* pointer, unsigned rank, Site site) {
    Block& block = *self()->block;
    if (rank >= cluster_size()) fail("rank outside the cluster", site);
    if (rank == block.rank) return const_cast<void*>(pointer);
    Block& peer = *block.cluster->blocks[rank];
    if (peer.live == 0) fail("shared memory of a block that has ended", site);
    const size_t offset = shared_address(pointer, site);
    if (offset < block.launch->shared_bytes) return peer.shared + offset;
    // The peer may lay out its arrays in another order: find the array, then the same one there.
    for (int i = 0; i < block.num_arrays; ++i) {
        const SharedArray& array = block.arrays[i];
        if (offset >= array.offset && offset < array.offset + array.bytes)
            return array_of(peer, array.tag, array.bytes, array.alignment, site) + (offset - array.offset);
    }
    fail("not a pointer into shared memory", site);
}

}  // namespace cuemu
