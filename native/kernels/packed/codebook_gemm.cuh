// Codebook products on tensor cores, for bfloat16 rows and many slots per expert: a tile of codes is widened to
// bfloat16 in shared memory and multiplied by mma.sync. Widening is exact (sums of up to four numbers of at most 64 fit
// in the 8 bits of a bfloat16); inputs are rounded once, after their factor; row scales follow in the epilogue.
#pragma once

#include "device/ptx.cuh"
#include "kernels/packed/codebook_shape.hpp"
#include "kernels/packed/outputs.cuh"
#include "kernels/packed/slots.cuh"

namespace moek {

constexpr int kGemmThreads = 256;
constexpr int kTileSlots = 128;
constexpr int kTileColumns = 64;
constexpr int kPanels = 2;                // blocks of 64 rows: gate and up of the same rows, or two blocks of one stack
constexpr int kPitch = kTileColumns + 8;  // 16 bytes more than a row: ldmatrix meets no bank twice

// Columns in tiles of whole groups: as many as fit in 64 columns, the rest are zeros.
struct GemmTiling {
    int32_t tile_groups = 1, tiles = 0, groups = 0;

    static __host__ __device__ GemmTiling of(const CodebookShape& shape) {
        const int32_t tile_groups = kTileColumns / shape.dimension;
        return {tile_groups, (shape.groups() + tile_groups - 1) / tile_groups, shape.groups()};
    }
    __host__ __device__ int64_t row_elements() const { return static_cast<int64_t>(tiles) * kTileColumns; }
};

struct GemmStack {
    CodebookShape shape;
    GemmTiling tiling;
    const uint16_t* scales = nullptr;
    const uint8_t* codes = nullptr;
    const int8_t* codebook = nullptr;
    const uint16_t* inputs = nullptr;
    bool own_codebooks = false;
    bf16* rows = nullptr;  // workspace: inputs in tiles, [slots of the pass, tiles, 64]
};

// A pass: slots [first_slot, first_slot + slots).
struct GemmCall {
    Groups groups;
    Inputs inputs;
    int32_t first_slot = 0;
    int32_t slots = 0;
    GemmStack stacks[2];
    int32_t num_stacks = 1;
    bool same_rows = true;  // the second stack reads the rows of the first
    Outputs outputs;
};

MOEK_DEVICE int32_t gemm_row_tiles(const GemmCall& call) {
    const int32_t blocks = call.stacks[0].shape.blocks();
    return call.num_stacks > 1 ? blocks : (blocks + kPanels - 1) / kPanels;
}

// Gathers inputs, multiplies them by their factors, rounds them and pads their groups to tiles.
//
// Grid    any number of blocks over slots x elements of a padded row.
// Moves   2 K in, 2 K 64 / (D floor(64 / D)) out per slot (derived), bound by memory.
template <int kStack>
__global__ void __launch_bounds__(kGemmThreads) gemm_rows_kernel(GemmCall call) {
    const GemmStack& stack = call.stacks[kStack];
    const int32_t used = stack.tiling.tile_groups * stack.shape.dimension;
    const int64_t width = stack.tiling.row_elements();
    for (int64_t slot = blockIdx.x; slot < call.slots; slot += gridDim.x) {
        const SlotRun run = run_at(call.groups, call.first_slot + static_cast<int32_t>(slot), call.first_slot,
                                   call.first_slot + call.slots, 1);
        if (run.count == 0) continue;
        const InputRow row = input_row(call.inputs, run.first);
        const int64_t book = stack.own_codebooks ? run.expert : 0;
        const uint16_t* factors = stack.inputs == nullptr ? nullptr : stack.inputs + book * stack.shape.columns;
        for (int64_t at = threadIdx.x; at < width; at += kGemmThreads) {
            const int32_t place = static_cast<int32_t>(at % kTileColumns);
            const int64_t column = at / kTileColumns * used + place;
            float value = 0.0f;
            if (place < used && column < stack.shape.columns) {
                value = row[static_cast<int32_t>(column)];
                if (factors != nullptr) value *= to_float(f16{factors[column]});
            }
            stack.rows[slot * width + at] = from_float<bf16>(value);
        }
    }
}

// Slots of one expert that a block multiplies; count 0 for none.
struct GemmTile {
    int32_t expert = 0;
    int32_t first = 0;  // in the pass
    int32_t count = 0;
    int32_t row_tile = 0;
};

// Expert e owns the tile numbers from begin / 128 + e on, at least as many as it needs: no two experts share one.
MOEK_DEVICE GemmTile find_gemm_tile(const GemmCall& call, int64_t item, int64_t slot_tiles) {
    const int32_t number = static_cast<int32_t>(item % slot_tiles);
    const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
    const bool grouped = call.groups.offsets != nullptr;
    const auto begin_of = [&](int32_t expert) {
        if (!grouped) return expert == 0 ? 0 : call.slots;
        return min(max(call.groups.offsets[expert] - call.first_slot, 0), call.slots);
    };
    GemmTile tile;
    for (int32_t left = grouped ? call.groups.experts : 1; left > 1;) {
        const int32_t step = (left + 31) / 32;
        const int32_t at = tile.expert + lane * step;
        const bool begun = lane * step < left && begin_of(at) / kTileSlots + at <= number;
        const int32_t skipped = (__popc(__ballot_sync(~0u, begun)) - 1) * step;
        tile.expert += skipped;
        left = min(step, left - skipped);
    }
    const int32_t begin = begin_of(tile.expert);
    tile.first = begin + (number - begin / kTileSlots - tile.expert) * kTileSlots;
    tile.count = min(kTileSlots, begin_of(tile.expert + 1) - tile.first);
    tile.row_tile = static_cast<int32_t>(item / slot_tiles);
    return tile;
}

// What a block keeps in shared memory.
struct GemmShared {
    static size_t bytes(const GemmStack& a, const GemmStack& b) {
        const int32_t lines = max_of(lines_of(a), lines_of(b));
        return sizeof(uint16_t) * kPitch * (2 * kTileSlots + kPanels * kBlockRows) +
               2 * kPanels * static_cast<size_t>(lines) * kBlockRows +
               kPanels * sizeof(uint32_t) * static_cast<size_t>(max_of(table_of(a), table_of(b)));
    }
    static __host__ __device__ int32_t lines_of(const GemmStack& s) { return s.tiling.tile_groups * s.shape.stages; }
    static __host__ __device__ int32_t table_of(const GemmStack& s) {
        return s.shape.stages * kVectors * ((s.shape.dimension + 1) / 2);
    }
    static __host__ __device__ int32_t max_of(int32_t a, int32_t b) { return a > b ? a : b; }

    MOEK_DEVICE GemmShared(unsigned char* memory, const GemmStack& a, const GemmStack& b) {
        lines = max_of(lines_of(a), lines_of(b));
        rows = reinterpret_cast<uint16_t*>(memory);
        weights = rows + 2 * kTileSlots * kPitch;
        codes = reinterpret_cast<uint8_t*>(weights + kPanels * kBlockRows * kPitch);
        table[0] = reinterpret_cast<uint32_t*>(codes + 2 * kPanels * lines * kBlockRows);
        table[1] = table[0] + max_of(table_of(a), table_of(b));
    }
    MOEK_DEVICE uint8_t* codes_of(int32_t buffer, int32_t panel) const {
        return codes + (buffer * kPanels + panel) * lines * kBlockRows;
    }

    uint16_t* rows;            // [2 buffers, 128 slots, kPitch]
    uint16_t* weights;         // [2 panels, 64 rows, kPitch]
    uint8_t* codes;            // [2 buffers, 2 panels, lines, 64]
    uint32_t* table[kPanels];  // [stages, 128, ceil(D / 2)] pairs of bfloat16
    int32_t lines;
};

// A panel: 64 rows of one stack.
struct Panel {
    const GemmStack* stack;
    const uint8_t* codes;  // of the matrix
    int32_t block;
    bool active;
};

// The codebook of a panel as pairs of bfloat16.
MOEK_DEVICE void load_table(const GemmStack& stack, int32_t expert, uint32_t* table) {
    const int32_t dimension = stack.shape.dimension;
    const int32_t pairs = (dimension + 1) / 2;
    const int64_t book = stack.own_codebooks ? expert : 0;
    const int8_t* numbers = stack.codebook + book * stack.shape.stages * kVectors * dimension;
    for (int32_t at = threadIdx.x; at < stack.shape.stages * kVectors * pairs; at += kGemmThreads) {
        const int8_t* vector = numbers + at / pairs * dimension;
        const int32_t k = at % pairs * 2;
        table[at] = pack(from_float<bf16>(static_cast<float>(vector[k])),
                         from_float<bf16>(k + 1 < dimension ? static_cast<float>(vector[k + 1]) : 0.0f));
    }
}

// Starts the copies of a tile's rows; rows that the run does not have are zeros.
MOEK_DEVICE void copy_rows(const GemmStack& stack, const GemmTile& tile, int32_t k_tile, uint16_t* rows) {
    constexpr int kVectorsPerRow = kTileColumns / 8;
    for (int32_t at = threadIdx.x; at < kTileSlots * kVectorsPerRow; at += kGemmThreads) {
        const int32_t row = at / kVectorsPerRow;
        const int32_t place = at % kVectorsPerRow * 8;
        const bool valid = row < tile.count;
        const int64_t source = (tile.first + static_cast<int64_t>(valid ? row : 0)) * stack.tiling.row_elements() +
                               static_cast<int64_t>(k_tile) * kTileColumns + place;
        cp_async<16>(rows + row * kPitch + place, stack.rows + source, valid);
    }
}

// Starts the copies of a panel's lines of codes.
MOEK_DEVICE void copy_codes(const Panel& panel, int32_t k_tile, uint8_t* codes) {
    const CodebookShape& shape = panel.stack->shape;
    const GemmTiling& tiling = panel.stack->tiling;
    const int32_t strip = panel.block / kStripBlocks;
    const int32_t chunk_groups = shape.chunk_groups();
    for (int32_t at = threadIdx.x; at < tiling.tile_groups * shape.stages * 4; at += kGemmThreads) {
        const int32_t group = k_tile * tiling.tile_groups + at / 4 / shape.stages;
        if (group >= tiling.groups) continue;
        const int32_t chunk = group / chunk_groups;
        const int32_t entry = group % chunk_groups * shape.stages + at / 4 % shape.stages;
        const int64_t line = CodebookShape::line(entry, shape.groups_of(chunk) * shape.stages,
                                                 panel.block % kStripBlocks, shape.blocks_of(strip));
        cp_async<16>(codes + at * 16, panel.codes + shape.strip_offset(chunk, strip) + line * kBlockRows + at % 4 * 16);
    }
}

// Two neighbouring weights without scale: one entry of the table, or the exact sum of several.
MOEK_DEVICE uint32_t weight_pair(const uint32_t* table, int32_t pairs, int32_t pair, const uint32_t (&codes)[4],
                                 int32_t stages, int32_t byte) {
    uint32_t word = 0;
    float low = 0.0f, high = 0.0f;
#pragma unroll
    for (int s = 0; s < 4; ++s) {
        if (s >= stages) break;
        const uint32_t code = codes[s] >> (8 * byte) & 255;
        word = table[(s * kVectors + static_cast<int32_t>(code & 127)) * pairs + pair];
        word ^= (code >> 7) * 0x80008000u;
        low += float_from_bits(word << 16);
        high += float_from_bits(word & 0xFFFF0000u);
    }
    return stages == 1 ? word : float_bits(low) >> 16 | (float_bits(high) & 0xFFFF0000u);
}

// Widens the codes of a panel. A thread takes four codes per stage of one group: four rows. Columns of groups that the
// matrix does not have keep what they had, which is finite and meets zeros.
MOEK_DEVICE void widen(const GemmStack& stack, int32_t k_tile, const uint8_t* lines, const uint32_t* table,
                       uint16_t* weights) {
    constexpr int kWords = kBlockRows / 4;
    const int32_t dimension = stack.shape.dimension;
    const int32_t pairs = (dimension + 1) / 2;
    const int32_t stages = stack.shape.stages;
    const int32_t groups = min(stack.tiling.tile_groups, stack.tiling.groups - k_tile * stack.tiling.tile_groups);
    for (int32_t at = threadIdx.x; at < groups * kWords; at += kGemmThreads) {
        const int32_t group = at / kWords;
        const int32_t place = at % kWords;
        uint32_t codes[4] = {};
#pragma unroll
        for (int s = 0; s < 4; ++s) {
            if (s < stages) {
                codes[s] = *reinterpret_cast<const uint32_t*>(lines + (group * stages + s) * kBlockRows + place * 4);
            }
        }
#pragma unroll
        for (int byte = 0; byte < 4; ++byte) {
            uint16_t* to = weights + CodebookShape::row_of(4 * place + byte) * kPitch + group * dimension;
            for (int32_t pair = 0; pair < pairs; ++pair) {
                const uint32_t word = weight_pair(table, pairs, pair, codes, stages, byte);
                if (dimension % 2 == 0) {
                    reinterpret_cast<uint32_t*>(to)[pair] = word;
                } else {
                    to[2 * pair] = static_cast<uint16_t>(word);
                    if (2 * pair + 1 < dimension) to[2 * pair + 1] = static_cast<uint16_t>(word >> 16);
                }
            }
        }
    }
}

using Accumulators = float[kPanels][2][4][4];  // panel, 16 slots, 8 rows, fragment

// Multiplies a tile: warps 4 x 2, each 32 slots times 32 rows of both panels.
MOEK_DEVICE void multiply(const uint16_t* rows, const uint16_t* weights, const bool (&active)[kPanels],
                          Accumulators& sums) {
    const int32_t warp = static_cast<int32_t>(threadIdx.x) / 32;
    const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
    const uint16_t* a = rows + (warp / 2 * 32 + lane % 16) * kPitch + lane / 16 * 8;
    const uint16_t* b = weights + (warp % 2 * 32 + lane / 16 * 8 + lane % 8) * kPitch + lane / 8 % 2 * 8;
#pragma unroll
    for (int k = 0; k < kTileColumns; k += 16) {
        uint32_t slots[2][4];
#pragma unroll
        for (int m = 0; m < 2; ++m) ldmatrix_x4(slots[m], a + m * 16 * kPitch + k);
#pragma unroll
        for (int panel = 0; panel < kPanels; ++panel) {
            if (!active[panel]) continue;
#pragma unroll
            for (int half = 0; half < 2; ++half) {
                uint32_t w[4];
                ldmatrix_x4(w, b + (panel * kBlockRows + half * 16) * kPitch + k);
                const uint32_t even[2] = {w[0], w[1]};
                const uint32_t odd[2] = {w[2], w[3]};
#pragma unroll
                for (int m = 0; m < 2; ++m) {
                    mma_m16n8k16(sums[panel][m][2 * half], slots[m], even);
                    mma_m16n8k16(sums[panel][m][2 * half + 1], slots[m], odd);
                }
            }
        }
    }
}

constexpr int kStagePitch = kBlockRows + 4;
static_assert(sizeof(float) * kPanels * 64 * kStagePitch <= sizeof(uint16_t) * 2 * kTileSlots * kPitch,
              "half of a tile's sums do not fit where its rows were");

// Row scales, then what the outputs ask for. Half of the tile at a time goes through shared memory, so that
// neighbouring threads store neighbouring rows.
MOEK_DEVICE void store_tile(const GemmCall& call, const GemmTile& tile, const Panel (&panels)[kPanels],
                            const Accumulators& sums, float* stage) {
    const int32_t warp = static_cast<int32_t>(threadIdx.x) / 32;
    const int32_t lane = static_cast<int32_t>(threadIdx.x) % 32;
    const bool gated = call.num_stacks > 1;
#pragma unroll
    for (int m = 0; m < 2; ++m) {
        __syncthreads();
#pragma unroll
        for (int at = 0; at < kPanels * 4 * 4; ++at) {
            const int panel = at / 16, n = at / 4 % 4, f = at % 4;
            const int32_t slot = warp / 2 * 16 + f / 2 * 8 + lane / 4;
            const int32_t row = warp % 2 * 32 + n * 8 + lane % 4 * 2 + f % 2;
            stage[(panel * 64 + slot) * kStagePitch + row] = sums[panel][m][n][f];
        }
        __syncthreads();
        for (int32_t at = threadIdx.x; at < (gated ? 1 : kPanels) * 64 * kBlockRows; at += kGemmThreads) {
            const int32_t panel = at / (64 * kBlockRows);
            const int32_t staged = at / kBlockRows % 64;
            const int32_t slot = staged / 16 * 32 + m * 16 + staged % 16;
            const int32_t row = (panel == 0 ? panels[0].block : panels[1].block) * kBlockRows + at % kBlockRows;
            if (slot >= tile.count || row >= call.outputs.rows) continue;
            const float* sum = stage + (panel * 64 + staged) * kStagePitch + at % kBlockRows;
            const int64_t scale = tile.expert * call.stacks[0].shape.padded_rows() + row;
            const float first = to_float(f16{call.stacks[0].scales[scale]}) * sum[0];
            const float up = gated ? to_float(f16{call.stacks[1].scales[scale]}) * sum[64 * kStagePitch] : 0.0f;
            call.outputs.store(call.first_slot + static_cast<int64_t>(tile.first) + slot, tile.expert, row, first, up);
        }
    }
    __syncthreads();
}

// All columns of the panels that read one stack's rows.
MOEK_DEVICE void gemm_columns(const GemmStack& stack, const GemmTile& tile, const Panel (&panels)[kPanels],
                              const bool (&active)[kPanels], const GemmShared& shared, Accumulators& sums) {
    const auto copy = [&](int32_t k_tile) {
        const int32_t buffer = k_tile % 2;
        copy_rows(stack, tile, k_tile, shared.rows + buffer * kTileSlots * kPitch);
#pragma unroll
        for (int p = 0; p < kPanels; ++p) {
            if (active[p]) copy_codes(panels[p], k_tile, shared.codes_of(buffer, p));
        }
        cp_async_commit();
    };
    copy(0);
    for (int32_t k_tile = 0; k_tile < stack.tiling.tiles; ++k_tile) {
        const int32_t buffer = k_tile % 2;
        cp_async_wait<0>();
        __syncthreads();
        if (k_tile + 1 < stack.tiling.tiles) copy(k_tile + 1);
#pragma unroll
        for (int p = 0; p < kPanels; ++p) {
            if (!active[p]) continue;
            widen(*panels[p].stack, k_tile, shared.codes_of(buffer, p), shared.table[p],
                  shared.weights + p * kBlockRows * kPitch);
        }
        __syncthreads();
        multiply(shared.rows + buffer * kTileSlots * kPitch, shared.weights, active, sums);
    }
    __syncthreads();
}

// Grid    any number of blocks over tiles of slots x tiles of rows, slots fastest: neighbours share codes in L2.
// Block   256 threads; shared memory GemmShared.
// Needs   the rows of gemm_rows_kernel; codes in the order of the file, 16-byte aligned.
// Moves   per tile: 128 K 2 bytes of rows, 128 G S of codes; 128 x 128 x K multiplications. Widening is about 3
//         instructions a weight, a fifth of the tile's time at 1024 multiplications a clock (derived).
template <int kUnused>
__global__ void __launch_bounds__(kGemmThreads, 2) gemm_kernel(GemmCall call) {
    MOEK_DYNAMIC_SHARED(unsigned char, memory);
    const GemmShared shared(memory, call.stacks[0], call.stacks[call.num_stacks - 1]);
    const int64_t experts = call.groups.offsets == nullptr ? 1 : call.groups.experts;
    const int64_t slot_tiles = call.slots / kTileSlots + experts;
    const int64_t items = slot_tiles * gemm_row_tiles(call);
    for (int64_t item = blockIdx.x; item < items; item += gridDim.x) {
        const GemmTile tile = find_gemm_tile(call, item, slot_tiles);
        if (tile.count <= 0) continue;
        Panel panels[kPanels];
#pragma unroll
        for (int p = 0; p < kPanels; ++p) {
            const GemmStack& stack = call.stacks[call.num_stacks > 1 ? p : 0];
            panels[p].stack = &stack;
            panels[p].codes = stack.codes + tile.expert * stack.shape.code_bytes();
            panels[p].block = call.num_stacks > 1 ? tile.row_tile : tile.row_tile * kPanels + p;
            panels[p].active = panels[p].block < stack.shape.blocks();
            if (panels[p].active) load_table(stack, tile.expert, shared.table[p]);
        }
        for (int32_t at = threadIdx.x; at < kPanels * kBlockRows * kPitch; at += kGemmThreads) shared.weights[at] = 0;
        Accumulators sums = {};
        // Rows of its own for each panel take two turns.
        for (int turn = 0; turn < (call.same_rows ? 1 : 2); ++turn) {
            const bool active[kPanels] = {panels[0].active && (call.same_rows || turn == 0),
                                          panels[1].active && (call.same_rows || turn == 1)};
            if (turn == 0) {
                gemm_columns(call.stacks[0], tile, panels, active, shared, sums);
            } else {
                gemm_columns(call.stacks[1], tile, panels, active, shared, sums);
            }
        }
        store_tile(call, tile, panels, sums, reinterpret_cast<float*>(shared.rows));
    }
}

}  // namespace moek
