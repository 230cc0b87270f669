#include "kernels/ops/attention.cuh"

namespace moek {
namespace {

int32_t chunks_of(int32_t positions) {
    return static_cast<int32_t>((static_cast<int64_t>(positions) + kChunk - 1) / kChunk);
}

int64_t pairs_of(const Attention& call) {
    return static_cast<int64_t>(call.rows) * (call.heads / call.kv_heads);
}

bool whole_quads(const Attention& call) {
    const int64_t all =
        call.key_dim | call.value_dim | call.k_stride | call.k_head_stride | call.v_stride | call.v_head_stride;
    return all % kQuad == 0 && aligned<float>(call.k, kQuad) && aligned<float>(call.v, kQuad);
}

// Where the chunks of a pair go, if one block for all of them would leave most of the device idle.
Parts parts_of(const Attention& call, int64_t blocks, const Launch& launch) {
    const bool few = blocks < 2 * int64_t{launch.multiprocessors};
    const uint64_t needed = attention_workspace(call.rows, call.heads, call.value_dim, call.positions);
    const bool split =
        few && call.positions > kChunk && call.workspace.pointer != nullptr && call.workspace.bytes >= needed;
    return {split ? static_cast<float*>(call.workspace.pointer) : nullptr, split ? chunks_of(call.positions) : 1};
}

template <int kPairs, int kColumns>
cudaError_t attention_tiled(const Attention& call, const Launch& launch) {
    const int64_t blocks = (pairs_of(call) + kPairs - 1) / kPairs;
    const int64_t row_heads = static_cast<int64_t>(call.rows) * call.heads;
    const Parts parts = parts_of(call, blocks * call.kv_heads, launch);
    if (blocks > INT32_MAX || row_heads > INT32_MAX) return cudaErrorInvalidValue;
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(blocks), call.kv_heads, parts.chunks);
    shape.block = dim3(kAttentionThreads);
    shape.shared_bytes = AttentionShared<kPairs>::bytes(call.key_dim);
    shape.stream = launch.stream;
    const cudaError_t error = whole_quads(call)
                                  ? moek::launch(attention_kernel<kPairs, kColumns, true>, shape, call, parts)
                                  : moek::launch(attention_kernel<kPairs, kColumns, false>, shape, call, parts);
    if (error != cudaSuccess || parts.memory == nullptr) return error;
    LaunchShape merge;
    merge.grid = dim3(static_cast<unsigned>(row_heads));
    merge.block = dim3(128);
    merge.stream = launch.stream;
    return moek::launch(attention_merge_kernel, merge, call, parts);
}

// Few pairs: small tiles, so that more blocks fit a multiprocessor. Any choice gives the same bits.
template <int kColumns, int kMostPairs>
cudaError_t attention_of(const Attention& call, const Launch& launch) {
    return pairs_of(call) <= 8 ? attention_tiled<8, kColumns>(call, launch)
                               : attention_tiled<kMostPairs, kColumns>(call, launch);
}

}  // namespace

uint64_t attention_workspace(int64_t rows, int32_t heads, int32_t value_dim, int32_t positions) {
    if (positions <= kChunk) return 0;
    return sizeof(float) * static_cast<uint64_t>(rows) * static_cast<uint64_t>(heads) *
           static_cast<uint64_t>(chunks_of(positions)) * (static_cast<uint64_t>(value_dim) + 2);
}

cudaError_t launch_attention(const Attention& call, const Launch& launch) {
    constexpr int32_t kMaxKeyDim = 576;
    if (call.rows == 0) return cudaSuccess;
    if (call.kv_heads < 1 || call.heads % call.kv_heads != 0) return cudaErrorInvalidValue;
    if (call.key_dim < 1 || call.key_dim > kMaxKeyDim || call.value_dim < 1) return cudaErrorInvalidValue;
    if (call.bias != nullptr && (call.places == nullptr || call.bias_reach < 0)) return cudaErrorInvalidValue;
    if (call.value_dim <= 128) return attention_of<128, 32>(call, launch);
    if (call.value_dim <= 256) return attention_of<256, 32>(call, launch);
    if (call.value_dim <= 512) return attention_of<512, 16>(call, launch);
    return cudaErrorInvalidValue;
}

}  // namespace moek
