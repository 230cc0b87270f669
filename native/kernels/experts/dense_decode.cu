// Grouped products in fp32 for few slots per expert: one launch, weights read once per four slots of an expert.
//
// The bits are those of dense_simt.cu: a quad of lanes owns a weight row and its 16 partial sums.
#include "kernels/experts/decode.cuh"
#include "kernels/experts/dense_paths.hpp"

namespace moek {
namespace {

// Grid    any; warps walk over (slot, group of eight weight rows). A slot that does not begin a tile costs a search.
// Block   4 warps, each for itself: no barrier of the block.
// Needs   rows of weights whose bytes are a multiple of 16, scale blocks of a multiple of 4 columns.
// Moves   the weights of the experts that have slots, once per 4 slots, 16 bytes a load (derived).
template <Element kType, Element kInput>
__global__ void __launch_bounds__(32 * kDecodeWarps, 3)
    grouped_decode_kernel(const __grid_constant__ GroupedCall call) {
    MOEK_DYNAMIC_SHARED(unsigned char, rings);
    const int warp = static_cast<int>(threadIdx.x) / 32;
    const int32_t groups = decode_groups(call);
    const int64_t items = static_cast<int64_t>(call.groups.max_slots) * groups;
    for (int64_t item = blockIdx.x * static_cast<int64_t>(kDecodeWarps) + warp; item < items;
         item += static_cast<int64_t>(gridDim.x) * kDecodeWarps) {
        GroupedTile tile;
        if (!tile_at_slot<kDecodeSlots>(call.groups, item / groups, tile)) continue;
        decode_rows<kType, kInput>(call, tile, static_cast<int32_t>(item % groups), rings + warp * kDecodeRing,
                                   NoWait{});
    }
}

template <Element kType, Element kInput>
cudaError_t launch_typed(const GroupedCall& call, const Launch& device) {
    const int64_t items = static_cast<int64_t>(call.groups.max_slots) * decode_groups(call);
    const int64_t blocks = (items + kDecodeWarps - 1) / kDecodeWarps;
    const int64_t resident = 3 * static_cast<int64_t>(device.multiprocessors);
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(blocks < resident ? blocks : resident));
    shape.block = dim3(32 * kDecodeWarps);
    shape.shared_bytes = kDecodeWarps * kDecodeRing;
    shape.stream = device.stream;
    return launch(grouped_decode_kernel<kType, kInput>, shape, call);
}

}  // namespace

bool grouped_decode_takes(const GroupedCall& call) {
    // Tensor cores take bf16 inputs with narrower weights.
    if (call.x_type == Element::kBF16 && call.w.type != Element::kF32) return false;
    const int64_t bits = static_cast<int64_t>(call.w.columns) * element_bits(call.w.type);
    if (bits % 128 != 0 || call.w.columns % 4 != 0) return false;
    if (call.w.type == Element::kF8E4M3 && call.w.scale_block_columns % 4 != 0) return false;
    return call.groups.max_slots <= 32 || call.groups.max_slots <= 4 * static_cast<int64_t>(call.groups.experts);
}

cudaError_t launch_grouped_decode(const GroupedCall& call, const Launch& device) {
    return for_weight_type(call.w.type, [&](auto type) {
        constexpr Element kType = decltype(type)::value;
        if constexpr (kType == Element::kF32) {
            if (call.x_type == Element::kBF16) return launch_typed<kType, Element::kBF16>(call, device);
        }
        return launch_typed<kType, Element::kF32>(call, device);
    });
}

}  // namespace moek
