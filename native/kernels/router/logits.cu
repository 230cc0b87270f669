#include <algorithm>

#include "kernels/router/logits.cuh"

namespace moek {
namespace {

constexpr int64_t kMaxGridY = 65535;

template <typename X, typename W, int kTokens, int kExperts>
cudaError_t logits_tiled(const RouterLogits& call, const Launch& launch) {
    const int64_t tiles = (int64_t{call.tokens} + kTokens - 1) / kTokens;
    LaunchShape shape;
    shape.grid = dim3((call.experts + kExperts - 1) / kExperts, static_cast<unsigned>(std::min(tiles, kMaxGridY)),
                      static_cast<unsigned>((tiles + kMaxGridY - 1) / kMaxGridY));
    shape.block = dim3(kLogitsThreads);
    shape.stream = launch.stream;
    const bool whole = call.width % kQuad == 0 && aligned<X>(call.x, kQuad) && aligned<W>(call.weight, kQuad);
    return whole ? moek::launch(router_logits_kernel<X, W, kTokens, kExperts, true>, shape, call)
                 : moek::launch(router_logits_kernel<X, W, kTokens, kExperts, false>, shape, call);
}

// The largest tile that still gives every multiprocessor a block; the bits are the same.
template <typename X, typename W>
cudaError_t logits_typed(const RouterLogits& call, const Launch& launch) {
    const auto tiles = [&](int64_t side) {
        return ((call.tokens + side - 1) / side) * ((call.experts + side - 1) / side);
    };
    if (call.tokens >= 8 && tiles(8) >= launch.multiprocessors) return logits_tiled<X, W, 8, 8>(call, launch);
    if (call.tokens >= 4 && tiles(4) >= launch.multiprocessors) return logits_tiled<X, W, 4, 4>(call, launch);
    return logits_tiled<X, W, 1, 1>(call, launch);
}

template <typename X>
cudaError_t logits_of(const RouterLogits& call, const Launch& launch) {
    switch (call.weight_type) {
        case Element::kF32:
            return logits_typed<X, float>(call, launch);
        case Element::kF16:
            return logits_typed<X, f16>(call, launch);
        case Element::kBF16:
            return logits_typed<X, bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

}  // namespace

cudaError_t launch_router_logits(const RouterLogits& call, const Launch& launch) {
    if (call.tokens == 0) return cudaSuccess;
    switch (call.io) {
        case Element::kF32:
            return logits_of<float>(call, launch);
        case Element::kF16:
            return logits_of<f16>(call, launch);
        case Element::kBF16:
            return logits_of<bf16>(call, launch);
        default:
            return cudaErrorInvalidValue;
    }
}

}  // namespace moek
