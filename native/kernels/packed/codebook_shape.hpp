// Sizes of a codebook matrix and the place of its bytes (FORMAT.md of the codebook format, version 1), for host and
// device: chunk, strip of four blocks of 64 rows, pair of entries, block, entry of the pair, row.
#pragma once

#include <cstdint>

#include "kernels/packed/codebook.hpp"

namespace moek {

constexpr int kVectors = 128;   // of a codebook; bit 7 of a code is the sign
constexpr int kBlockRows = 64;  // a line of 64 bytes holds one entry of as many rows
constexpr int kStripBlocks = 4;
constexpr int kStripRows = kBlockRows * kStripBlocks;
constexpr int kMaxChunkEntries = 64;
constexpr int kMaxDimension = 16;

struct CodebookShape {
    int32_t rows = 0, columns = 0, dimension = 1, stages = 1;

    __host__ __device__ int32_t groups() const { return (columns + dimension - 1) / dimension; }
    __host__ __device__ int32_t chunk_groups() const { return (kMaxChunkEntries / stages) & ~1; }
    __host__ __device__ int32_t chunks() const { return (groups() + chunk_groups() - 1) / chunk_groups(); }
    __host__ __device__ int32_t blocks() const { return (rows + kBlockRows - 1) / kBlockRows; }
    __host__ __device__ int32_t strips() const { return (blocks() + kStripBlocks - 1) / kStripBlocks; }
    __host__ __device__ int64_t padded_rows() const { return static_cast<int64_t>(blocks()) * kBlockRows; }
    __host__ __device__ int64_t code_bytes() const { return padded_rows() * groups() * stages; }

    __host__ __device__ int32_t groups_of(int32_t chunk) const {
        const int32_t left = groups() - chunk * chunk_groups();
        return left < chunk_groups() ? left : chunk_groups();
    }
    __host__ __device__ int32_t blocks_of(int32_t strip) const {
        const int32_t left = blocks() - strip * kStripBlocks;
        return left < kStripBlocks ? left : kStripBlocks;
    }
    // First byte of a strip's codes in a chunk.
    __host__ __device__ int64_t strip_offset(int32_t chunk, int32_t strip) const {
        const int64_t before = static_cast<int64_t>(chunk) * chunk_groups() * stages * blocks();
        const int64_t inside = static_cast<int64_t>(strip) * kStripBlocks * groups_of(chunk) * stages;
        return kBlockRows * (before + inside);
    }
    // Place of a line in its strip and chunk: entry `entry` of `entries`, block `block` of `blocks`. Only the last of
    // an odd number of entries stands alone.
    static __host__ __device__ int32_t line(int32_t entry, int32_t entries, int32_t block, int32_t blocks) {
        return (entry | 1) < entries ? (entry & ~1) * blocks + 2 * block + (entry & 1) : entry * blocks + block;
    }
    // Byte of a row in its line, and back: rows 0-31 take the even bytes.
    static __host__ __device__ int32_t position_of(int32_t row) { return 2 * (row % 32) + row / 32; }
    static __host__ __device__ int32_t row_of(int32_t position) { return position / 2 + 32 * (position % 2); }
};

inline CodebookShape shape_of(const CodebookStack& stack) {
    return {stack.rows, stack.columns, stack.dimension, stack.stages};
}

}  // namespace moek
