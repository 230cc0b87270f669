// Tensor maps: how the TMA unit is told of an array in global memory. Host code.
#pragma once
#include "device/launch.cuh"

#if MOEK_EMULATED
#include "emulator/async.hpp"
/// Opaque, as in CUDA; passed to kernels as a __grid_constant__ parameter.
struct alignas(64) CUtensorMap {
    unsigned char opaque[128];
};
#else
#include <cuda.h>
#include <cudaTypedefs.h>
#endif

namespace moek {

enum class TileElement { u8, bf16, f32 };

/// An array in global memory and the box that one load takes of it, fastest axis first.
struct TileMap {
    const void* data;  ///< aligned to 16 bytes
    TileElement element;
    uint32_t rank;             ///< 2 or 3
    uint64_t size[3];          ///< elements
    uint64_t stride_bytes[3];  ///< between rows [1] and planes [2], multiples of 16; [0] is not read
    uint32_t box[3];           ///< elements, at most 256 each; box[0] is a multiple of 16 bytes
    /// 0, 32, 64 or 128, and box[0] takes no more: units of 16 bytes are exchanged by the address's bits from 7 on, the
    /// layout that wgmma reads without bank conflicts. The destination is aligned to 8 times as much, or to 128.
    uint32_t swizzle_bytes;
};

inline uint32_t element_bytes(TileElement element) {
    return element == TileElement::u8 ? 1 : element == TileElement::bf16 ? 2 : 4;
}

#if MOEK_EMULATED

inline cudaError_t encode_tensor_map(CUtensorMap* map, const TileMap& tile) {
    const cuemu::TileShape shape{tile.data,
                                 tile.rank,
                                 element_bytes(tile.element),
                                 {tile.size[0], tile.size[1], tile.size[2]},
                                 {0, tile.stride_bytes[1], tile.stride_bytes[2]},
                                 {tile.box[0], tile.box[1], tile.box[2]},
                                 tile.swizzle_bytes};
    return cuemu::encode_map(map, shape);
}

#else

/// The driver's encoder, looked up at run time: the library does not link against the driver.
inline cudaError_t find_tensor_map_encoder(PFN_cuTensorMapEncodeTiled* encoder) {
    void* entry = nullptr;
    cudaDriverEntryPointQueryResult found;
    const cudaError_t error = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &entry, cudaEnableDefault, &found);
    if (error != cudaSuccess) return error;
    if (found != cudaDriverEntryPointSuccess || entry == nullptr) return cudaErrorNotSupported;
    *encoder = reinterpret_cast<PFN_cuTensorMapEncodeTiled>(entry);
    return cudaSuccess;
}

/// Writes the map. cudaErrorInvalidValue if the tile breaks a rule above, cudaErrorNotSupported by an older driver.
inline cudaError_t encode_tensor_map(CUtensorMap* map, const TileMap& tile) {
    if (tile.rank < 2 || tile.rank > 3) return cudaErrorInvalidValue;
    PFN_cuTensorMapEncodeTiled encoder = nullptr;
    if (const cudaError_t error = find_tensor_map_encoder(&encoder); error != cudaSuccess) return error;
    const CUtensorMapDataType types[] = {CU_TENSOR_MAP_DATA_TYPE_UINT8, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16,
                                         CU_TENSOR_MAP_DATA_TYPE_FLOAT32};
    CUtensorMapSwizzle swizzle;
    switch (tile.swizzle_bytes) {
        case 0:
            swizzle = CU_TENSOR_MAP_SWIZZLE_NONE;
            break;
        case 32:
            swizzle = CU_TENSOR_MAP_SWIZZLE_32B;
            break;
        case 64:
            swizzle = CU_TENSOR_MAP_SWIZZLE_64B;
            break;
        case 128:
            swizzle = CU_TENSOR_MAP_SWIZZLE_128B;
            break;
        default:
            return cudaErrorInvalidValue;
    }
    const cuuint64_t size[3] = {tile.size[0], tile.size[1], tile.size[2]};
    const cuuint64_t strides[2] = {tile.stride_bytes[1], tile.stride_bytes[2]};
    const cuuint32_t box[3] = {tile.box[0], tile.box[1], tile.box[2]}, element_strides[3] = {1, 1, 1};
    const CUresult result = encoder(map, types[static_cast<int>(tile.element)], tile.rank, const_cast<void*>(tile.data),
                                    size, strides, box, element_strides, CU_TENSOR_MAP_INTERLEAVE_NONE, swizzle,
                                    CU_TENSOR_MAP_L2_PROMOTION_L2_128B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    return result == CUDA_SUCCESS ? cudaSuccess : cudaErrorInvalidValue;
}

#endif

}  // namespace moek
