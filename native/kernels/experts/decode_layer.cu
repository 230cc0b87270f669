// One persistent kernel for the experts of few tokens (flags instead of launches between its phases).
//
// Every warp walks its share of each phase's list, in phase order, so with all blocks resident a wait always ends.
#include "kernels/experts/decode.cuh"
#include "kernels/experts/decode_layer.hpp"
#include "kernels/experts/dense_paths.hpp"
#include "kernels/permute/rows.cuh"

namespace moek {
namespace {

constexpr int kBlocksPerMultiprocessor = 3;  // resident by registers and shared memory on every device
constexpr int kCombineColumns = 128;         // of a warp's item

struct LayerCall {
    GroupedCall product[2];  // gate and up, down
    CombineRows combine;
    uint32_t* done[2] = {};  // [max_slots] each, at a tile's first slot: row groups of the product that are stored
};

// Returns when `count` groups were counted, at once for 0; what they stored is visible to the warp then.
struct WaitForGroups {
    const uint32_t* counter;
    uint32_t count;
    MOEK_DEVICE void operator()() const {
        if (count == 0) return;
        if (threadIdx.x % 32 == 0) {
            while (ld_acquire(counter) < count) {
            }
        }
        __syncwarp();
    }
};

MOEK_DEVICE void count_group(uint32_t* counter) {
    __syncwarp();
    if (threadIdx.x % 32 == 0) add_release(counter, 1);
}

// The walk of a product's list by all warps of the grid. Down waits for the tile's groups of gate and up.
template <Element kType>
MOEK_DEVICE void product_phase(const LayerCall& layer, int phase, unsigned char* ring) {
    const GroupedCall& call = layer.product[phase];
    const uint32_t needed = phase == 0 ? 0 : static_cast<uint32_t>(decode_groups(layer.product[0]));
    const int32_t groups = decode_groups(call);
    const int64_t items = static_cast<int64_t>(call.groups.max_slots) * groups;
    const int64_t step = static_cast<int64_t>(gridDim.x) * kDecodeWarps;
    for (int64_t item = static_cast<int64_t>(blockIdx.x) * kDecodeWarps + threadIdx.x / 32; item < items;
         item += step) {
        GroupedTile tile;
        if (!tile_at_slot<kDecodeSlots>(call.groups, item / groups, tile)) continue;
        const WaitForGroups wait{layer.done[0] + tile.first_slot, needed};
        decode_rows<kType, Element::kF32>(call, tile, static_cast<int32_t>(item % groups), ring, wait);
        count_group(layer.done[phase] + tile.first_slot);
    }
}

// First slot of the tile that a slot lies in.
MOEK_DEVICE int64_t tile_start(const Groups& groups, int64_t slot) {
    const int64_t first = first_slot_of(groups, find_expert<1, false>(groups, slot));
    return first + (slot - first) / kDecodeSlots * kDecodeSlots;
}

MOEK_DEVICE void combine_phase(const LayerCall& call) {
    const CombineRows& combine = call.combine;
    const int32_t parts = (combine.width + kCombineColumns - 1) / kCombineColumns;
    const int64_t items = static_cast<int64_t>(combine.plan.tokens) * parts;
    const int64_t step = static_cast<int64_t>(gridDim.x) * kDecodeWarps;
    const uint32_t groups = static_cast<uint32_t>(decode_groups(call.product[1]));
    for (int64_t item = static_cast<int64_t>(blockIdx.x) * kDecodeWarps + threadIdx.x / 32; item < items;
         item += step) {
        const int64_t token = item / parts;
        for (int32_t j = 0; j < combine.plan.top_k; ++j) {
            const int64_t slot = combine.plan.slot_of[token * combine.plan.top_k + j];
            if (slot < 0) continue;
            const WaitForGroups wait{call.done[1] + tile_start(call.product[1].groups, slot), groups};
            wait();
        }
        const int32_t first =
            static_cast<int32_t>(item % parts) * kCombineColumns + static_cast<int32_t>(threadIdx.x % 32);
        for (int32_t i = first; i < min(combine.width, first + kCombineColumns); i += 32) {
            combine_elements<float, 1>(combine, token, i);
        }
    }
}

// Grid    at most what is resident at once: cooperative.
// Block   4 warps, each for itself.
// Needs   as grouped_decode_kernel for both products; counters of 0.
// Moves   the weights of the experts that have slots, once per 4 slots; inputs and sums besides (derived).
template <Element kType>
__global__ void __launch_bounds__(32 * kDecodeWarps, kBlocksPerMultiprocessor)
    decode_layer_kernel(const __grid_constant__ LayerCall call) {
    MOEK_DYNAMIC_SHARED(unsigned char, rings);
    unsigned char* ring = rings + threadIdx.x / 32 * kDecodeRing;
#pragma unroll 1
    for (int phase = 0; phase < 2; ++phase) product_phase<kType>(call, phase, ring);
    combine_phase(call);
}

template <Element kType>
cudaError_t launch_typed(const LayerCall& call, const Launch& device) {
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(kBlocksPerMultiprocessor * device.multiprocessors));
    shape.block = dim3(32 * kDecodeWarps);
    shape.shared_bytes = kDecodeWarps * kDecodeRing;
    shape.stream = device.stream;
    shape.cooperative = true;
    return launch(decode_layer_kernel<kType>, shape, call);
}

}  // namespace

bool decode_layer_takes(const DecodeLayer& layer, const DenseExperts& experts) {
    return layer.in.io == Element::kF32 && layer.out.io == Element::kF32 && layer.combine.io == Element::kF32 &&
           experts.gate_up.type == experts.down.type && grouped_decode_takes(grouped_in(layer.in, experts)) &&
           grouped_decode_takes(grouped_out(layer.out, experts));
}

uint64_t decode_layer_workspace(int64_t max_slots) {
    return 2 * sizeof(uint32_t) * static_cast<uint64_t>(max_slots);
}

cudaError_t launch_decode_layer(const DecodeLayer& layer, const DenseExperts& experts, const Workspace& workspace,
                                const Launch& device) {
    const int64_t slots = layer.in.groups.max_slots;
    if (!decode_layer_takes(layer, experts)) return cudaErrorNotSupported;
    if (workspace.bytes < decode_layer_workspace(slots)) return cudaErrorInvalidValue;
    LayerCall call;
    call.product[0] = grouped_in(layer.in, experts);
    call.product[1] = grouped_out(layer.out, experts);
    call.combine = layer.combine;
    call.done[0] = static_cast<uint32_t*>(workspace.pointer);
    call.done[1] = call.done[0] + slots;
    if (slots > 0) {
        const size_t bytes = decode_layer_workspace(slots);
        const cudaError_t error = cudaMemsetAsync(workspace.pointer, 0, bytes, device.stream);
        if (error != cudaSuccess) return error;
    }
    return for_weight_type(experts.down.type,
                           [&](auto type) { return launch_typed<decltype(type)::value>(call, device); });
}

}  // namespace moek
