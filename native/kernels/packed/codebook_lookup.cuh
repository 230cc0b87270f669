// Codebook products by table lookup. Inputs are rounded to 16 bits with one step per chunk; a table holds the exact
// integer products of one group of inputs with all 128 vectors; a code adds or subtracts one entry. Integers are exact,
// so neither the grid, nor the other rows, nor the order of their sums shows in a result; chunks are added in fp32 in
// ascending order.
//
// Why 16 bits: a lookup of 4 bytes hits the banks of shared memory as a lookup of 2 does, and rounding then costs less
// than 1e-4 of a result's rms instead of .7 % (derived: a step is max / 32767 of a chunk).
// Why a table per slot and not per token: a block wants several strips of a table's rows, and gate and up of one slot
// already are as many as a grid that fills the device leaves it (derived: 6 strips of 256 rows at I = 768).
#pragma once

#include "kernels/packed/codebook_shape.hpp"
#include "kernels/packed/outputs.cuh"
#include "kernels/packed/slots.cuh"

namespace moek {

constexpr int kLookupThreads = 256;
constexpr int kLookupWarps = kLookupThreads / 32;
constexpr int kMaxStripsPerBlock = 8;
constexpr int kMostInputStep = 32767;
// Chunks whose inputs are all below it count as zeros, as in the CPU library.
constexpr float kSmallestInput = 1e-30f;
// |dot product| <= 257 * 32767 and 64 of them in a chunk: the sums fit in 32 bits.
static_assert(257LL * kMostInputStep * kMaxChunkEntries < (1LL << 31), "sums of a chunk leave int32");

// One stack as the kernels read it, and what they leave for it in the workspace.
struct LookupStack {
    CodebookShape shape;
    const uint16_t* scales = nullptr;
    const uint8_t* codes = nullptr;
    const int8_t* codebook = nullptr;
    const uint16_t* inputs = nullptr;
    bool own_codebooks = false;  // one per matrix
    int32_t* sums = nullptr;     // [chunks, slots of the pass, padded rows]
    float* steps = nullptr;      // [chunks, slots of the pass]
};

// A pass: slots [first_slot, first_slot + slots) times one stack, or two that read the same inputs (gate and up).
struct LookupCall {
    Groups groups;
    Inputs inputs;
    int32_t first_slot = 0;
    int32_t slots = 0;
    LookupStack stacks[2];
    int32_t num_stacks = 1;
    bool same_tables =
        false;  // the second stack has the codebook, sizes and factors of the first, and shares its steps
    int32_t strips_per_block = 1;
};

// What a block keeps in shared memory: tables [kInputs, 64, 128], sums [kInputs, strips, 256], rounded inputs
// [kInputs, 64, 4 kWords], largest magnitudes [kInputs].
template <int kWords, int kInputs>
struct LookupShared {
    static constexpr int kTable = kMaxChunkEntries * kVectors;
    static constexpr int kRounded = kMaxChunkEntries * 4 * kWords;

    static __host__ __device__ size_t bytes(int32_t strips) {
        return sizeof(int32_t) * kInputs * (kTable + static_cast<size_t>(strips) * kStripRows + kRounded / 2 + 1);
    }
    __device__ LookupShared(unsigned char* memory, int32_t strips) {
        tables = reinterpret_cast<int32_t*>(memory);
        sums = tables + kInputs * kTable;
        rounded = reinterpret_cast<int16_t*>(sums + kInputs * strips * kStripRows);
        largest = reinterpret_cast<uint32_t*>(rounded + kInputs * kRounded);
    }
    int32_t* tables;
    int32_t* sums;
    int16_t* rounded;
    uint32_t* largest;
};

// c plus the products of four rounded inputs and four numbers of a vector.
MOEK_DEVICE int32_t dot4(int2 inputs, int32_t vector, int32_t c) {
    return __dp2a_hi(inputs.y, vector, __dp2a_lo(inputs.x, vector, c));
}

// Rounds the inputs of a chunk: q = round(32767 x / max|x|), ties to even. Groups are padded to 4 kWords inputs with
// zeros. Returns the step, max|x| / 32767: 0 where all are almost zero, NaN with q = 0 where one is not finite. The
// caller has set `largest` to 0 before a barrier; all threads of the block take part.
template <int kWords>
__device__ float round_inputs(const LookupStack& stack, const InputRow& row, const uint16_t* factors, int32_t chunk,
                              int16_t* rounded, uint32_t* largest) {
    constexpr int kPadded = 4 * kWords;
    const int32_t dimension = stack.shape.dimension;
    const int32_t first = chunk * stack.shape.chunk_groups() * dimension;
    const int32_t groups = stack.shape.groups_of(chunk);
    float values[kWords];
    uint32_t magnitude = 0;
#pragma unroll
    for (int j = 0; j < kWords; ++j) {
        const int32_t at = static_cast<int32_t>(threadIdx.x) + j * kLookupThreads;
        const int32_t group = at / kPadded;
        const int32_t k = at % kPadded;
        const int32_t column = first + group * dimension + k;
        values[j] = 0.0f;
        if (group < groups && k < dimension && column < stack.shape.columns) {
            values[j] = row[column];
            if (factors != nullptr) values[j] *= to_float(f16{factors[column]});
        }
        magnitude = max(magnitude, float_bits(values[j]) & 0x7FFFFFFFu);
    }
    magnitude = __reduce_max_sync(~0u, magnitude);
    if (threadIdx.x % 32 == 0) atomicMax(largest, magnitude);
    __syncthreads();
    const uint32_t bits = *largest;
    const float most = float_from_bits(bits);
    const bool finite = bits < 0x7F800000u;
    const bool is_zero = !finite || most < kSmallestInput;
    const float factor = is_zero ? 0.0f : kMostInputStep / most;
#pragma unroll
    for (int j = 0; j < kWords; ++j) {
        rounded[threadIdx.x + j * kLookupThreads] =
            static_cast<int16_t>(is_zero ? 0 : __float2int_rn(values[j] * factor));
    }
    return !finite ? float_from_bits(0x7FC00000u) : is_zero ? 0.0f : most / kMostInputStep;
}

// tables[entry, vector] for the inputs of a chunk: two threads per vector share the groups.
template <int kWords>
__device__ void build_tables(const LookupStack& stack, const int8_t* codebook, int32_t groups, const int16_t* rounded,
                             int32_t* tables) {
    const int32_t index = static_cast<int32_t>(threadIdx.x) % kVectors;
    const int32_t dimension = stack.shape.dimension;
    const int32_t stages = stack.shape.stages;
    for (int32_t stage = 0; stage < stages; ++stage) {
        const int8_t* numbers = codebook + (stage * kVectors + index) * dimension;
        int32_t vector[kWords];
#pragma unroll
        for (int w = 0; w < kWords; ++w) {
            uint32_t word = 0;
#pragma unroll
            for (int b = 0; b < 4; ++b) {
                const uint8_t number = 4 * w + b < dimension ? static_cast<uint8_t>(numbers[4 * w + b]) : 0;
                word |= static_cast<uint32_t>(number) << (8 * b);
            }
            vector[w] = static_cast<int32_t>(word);
        }
        for (int32_t group = static_cast<int32_t>(threadIdx.x) / kVectors; group < groups;
             group += kLookupThreads / kVectors) {
            const int2* inputs = reinterpret_cast<const int2*>(rounded + group * 4 * kWords);
            int32_t sum = 0;
#pragma unroll
            for (int w = 0; w < kWords; ++w) sum = dot4(inputs[w], vector[w], sum);
            tables[(group * stages + stage) * kVectors + index] = sum;
        }
    }
}

// Adds what 16 codes of one entry point to.
template <int kInputs>
__device__ void look_up(uint4 codes, const int32_t* table, int32_t table_stride, int32_t (&sums)[kInputs][16]) {
    const uint32_t words[4] = {codes.x, codes.y, codes.z, codes.w};
#pragma unroll
    for (int p = 0; p < 16; ++p) {
        const uint32_t word = words[p / 4];
        // Of the entry, and the sign bit in all bits: one instruction less each than by index and shift.
        const uint32_t byte = (p % 4 == 0 ? word << 2 : word >> (8 * (p % 4) - 2)) & 4 * (kVectors - 1);
        const int32_t sign = static_cast<int32_t>(__byte_perm(word, 0, 0x8888u + p % 4 * 0x1111u));
#pragma unroll
        for (int i = 0; i < kInputs; ++i) {
            const unsigned char* entries = reinterpret_cast<const unsigned char*>(table + i * table_stride);
            const int32_t value = *reinterpret_cast<const int32_t*>(entries + byte);
            sums[i][p] += (value ^ sign) - sign;
        }
    }
}

// Sums of one strip in one chunk. A warp takes every eighth pair of entries; lane = block of the strip, entry of the
// pair, quarter of the line: a warp's loads are one stretch of 512 bytes. The sums of 16 rows of a lane meet in shared
// memory, where their order does not matter.
//
// strip_sums is [16 positions, 4 blocks, 4 quarters]; the strides lead from one input to the next.
template <int kInputs>
__device__ void look_up_strip(const uint8_t* codes, int32_t entries, int32_t blocks, const int32_t* tables,
                              int32_t table_stride, int32_t* strip_sums, int32_t stride) {
    constexpr int kMostPairs = kMaxChunkEntries / 2 / kLookupWarps;
    const int32_t warp = static_cast<int32_t>(threadIdx.x) / 32;
    const int32_t block = static_cast<int32_t>(threadIdx.x) / 8 % 4;
    const int32_t parity = static_cast<int32_t>(threadIdx.x) / 4 % 2;
    const int32_t quarter = static_cast<int32_t>(threadIdx.x) % 4;
    uint4 loaded[kMostPairs];
#pragma unroll
    for (int j = 0; j < kMostPairs; ++j) {
        const int32_t entry = 2 * (warp + j * kLookupWarps) + parity;
        if (block >= blocks || entry >= entries) continue;
        const int64_t line = CodebookShape::line(entry, entries, block, blocks);
        loaded[j] = *reinterpret_cast<const uint4*>(codes + kBlockRows * line + 16 * quarter);
    }
    int32_t sums[kInputs][16] = {};
#pragma unroll
    for (int j = 0; j < kMostPairs; ++j) {
        const int32_t entry = 2 * (warp + j * kLookupWarps) + parity;
        if (block < blocks && entry < entries) {
            look_up<kInputs>(loaded[j], tables + entry * kVectors, table_stride, sums);
        }
    }
#pragma unroll
    for (int i = 0; i < kInputs; ++i) {
#pragma unroll
        for (int p = 0; p < 16; p += 2) {
            // The two entries of a pair: one lane keeps the even positions, its partner the odd ones.
            const int32_t kept = parity ? sums[i][p + 1] : sums[i][p];
            const int32_t given = parity ? sums[i][p] : sums[i][p + 1];
            const int32_t sum = kept + __shfl_xor_sync(~0u, given, 4);
            if (block < blocks) atomicAdd(strip_sums + i * stride + (p + parity) * 16 + block * 4 + quarter, sum);
        }
    }
}

// Rounds the inputs of a run of slots and makes their tables; a barrier at both ends. The first slot's block of the
// first strip leaves the steps in the workspace.
template <int kWords, int kInputs>
__device__ void make_tables(const LookupCall& call, const LookupStack& stack, const SlotRun& run, int32_t chunk,
                            const LookupShared<kWords, kInputs>& shared, bool writes_steps) {
    using Shared = LookupShared<kWords, kInputs>;
    const int64_t book = stack.own_codebooks ? run.expert : 0;
    const uint16_t* factors = stack.inputs == nullptr ? nullptr : stack.inputs + book * stack.shape.columns;
    const int8_t* codebook = stack.codebook + book * stack.shape.stages * kVectors * stack.shape.dimension;
    __syncthreads();
    if (threadIdx.x < kInputs) shared.largest[threadIdx.x] = 0;
    __syncthreads();
    for (int i = 0; i < run.count; ++i) {
        const InputRow row = input_row(call.inputs, run.first + i);
        const float step =
            round_inputs<kWords>(stack, row, factors, chunk, shared.rounded + i * Shared::kRounded, shared.largest + i);
        if (writes_steps && threadIdx.x == 0) {
            stack.steps[static_cast<int64_t>(chunk) * call.slots + run.first + i - call.first_slot] = step;
        }
    }
    __syncthreads();
    for (int i = 0; i < run.count; ++i) {
        build_tables<kWords>(stack, codebook, stack.shape.groups_of(chunk), shared.rounded + i * Shared::kRounded,
                             shared.tables + i * Shared::kTable);
    }
    __syncthreads();
}

// Integer sums of every row in every chunk, and the steps that they count.
//
// Grid    slots of the pass x chunks x shares of the strips of one or two stacks, slots fastest: neighbours read the
//         same codes. A block whose slot lies in the middle of a run of kInputs does nothing.
// Block   256 threads; shared memory LookupShared.
// Needs   codes in the order of the file, 16-byte aligned; sums and steps of the workspace.
// Moves   per slot: R G S code bytes, 4 K of inputs, 4 R of sums per chunk (derived). About 7 instructions and one
//         shared load per code and 128 (D / 2 + 3) instructions per table (derived).
template <int kWords, int kInputs>
__global__ void __launch_bounds__(kLookupThreads) lookup_kernel(LookupCall call) {
    MOEK_DYNAMIC_SHARED(unsigned char, memory);
    const LookupShared<kWords, kInputs> shared(memory, call.strips_per_block);
    const int32_t chunks = max(call.stacks[0].shape.chunks(), call.num_stacks > 1 ? call.stacks[1].shape.chunks() : 0);
    const int32_t slot = call.first_slot + static_cast<int32_t>(blockIdx.x % call.slots);
    const int32_t chunk = static_cast<int32_t>(blockIdx.x / call.slots % chunks);
    const int32_t share = static_cast<int32_t>(blockIdx.x / call.slots / chunks);
    const SlotRun run = run_at(call.groups, slot, call.first_slot, call.first_slot + call.slots, kInputs);
    if (run.count == 0) return;

    // A run that is too short looks its first input up again: what the missing one gives is not stored.
    const int32_t table_stride = run.count == kInputs ? LookupShared<kWords, kInputs>::kTable : 0;
    const int32_t stride = call.strips_per_block * kStripRows;
    for (int32_t at = threadIdx.x; at < kInputs * stride; at += kLookupThreads) shared.sums[at] = 0;
    const int32_t first = share * call.strips_per_block;
    bool has_tables = false;
    for (int32_t s = 0, strips_before = 0; s < call.num_stacks; ++s) {
        const LookupStack& stack = call.stacks[s];
        const int32_t strips = stack.shape.strips();
        const int32_t begin = max(first - strips_before, 0);
        const int32_t end = min(first + call.strips_per_block - strips_before, strips);
        const int32_t place = strips_before - first;
        strips_before += strips;
        if (begin >= end || chunk >= stack.shape.chunks()) continue;
        const bool shares_steps = s > 0 && call.same_tables;
        if (!has_tables || !call.same_tables) {
            make_tables<kWords, kInputs>(call, stack, run, chunk, shared, begin == 0 && !shares_steps);
        }
        has_tables = true;
        const uint8_t* codes = stack.codes + run.expert * stack.shape.code_bytes();
        const int32_t entries = stack.shape.groups_of(chunk) * stack.shape.stages;
        for (int32_t strip = begin; strip < end; ++strip) {
            look_up_strip<kInputs>(codes + stack.shape.strip_offset(chunk, strip), entries,
                                   stack.shape.blocks_of(strip), shared.tables, table_stride,
                                   shared.sums + (place + strip) * kStripRows, stride);
        }
        __syncthreads();
        const int32_t row = static_cast<int32_t>(threadIdx.x);
        const int32_t position = CodebookShape::position_of(row % kBlockRows);
        const int32_t at = position % 16 * 16 + row / kBlockRows * 4 + position / 16;
        for (int32_t strip = begin; strip < end; ++strip) {
            if (row / kBlockRows >= stack.shape.blocks_of(strip)) continue;
            for (int i = 0; i < run.count; ++i) {
                const int64_t place_of_slot =
                    static_cast<int64_t>(chunk) * call.slots + run.first + i - call.first_slot;
                stack.sums[place_of_slot * stack.shape.padded_rows() + strip * kStripRows + row] =
                    shared.sums[i * stride + (place + strip) * kStripRows + at];
            }
        }
    }
}

// One output before bias: chunks in ascending order, then the row's scale.
MOEK_DEVICE float chained(const LookupStack& stack, int32_t slots, int32_t slot, int32_t expert, int32_t row) {
    const int64_t rows = stack.shape.padded_rows();
    float result = 0.0f;
    for (int32_t chunk = 0; chunk < stack.shape.chunks(); ++chunk) {
        const int64_t at = static_cast<int64_t>(chunk) * slots + slot;
        result = fmaf(static_cast<float>(stack.sums[at * rows + row]), stack.steps[at], result);
    }
    return to_float(f16{stack.scales[expert * rows + row]}) * result;
}

// Sums to outputs.
//
// Grid    slots of the pass x tiles of 256 rows.
// Block   256 threads, one row each.
// Moves   4 bytes per chunk and row of each stack (derived), bound by memory.
__global__ void __launch_bounds__(kLookupThreads) lookup_finish_kernel(LookupCall call, Outputs outputs) {
    const int32_t rows = call.stacks[0].shape.rows;
    const int32_t tiles = (rows + kLookupThreads - 1) / kLookupThreads;
    const int32_t in_pass = static_cast<int32_t>(blockIdx.x / tiles);
    const int32_t slot = call.first_slot + in_pass;
    const SlotRun run = run_at(call.groups, slot, call.first_slot, call.first_slot + call.slots, 1);
    const int32_t row = static_cast<int32_t>(blockIdx.x % tiles) * kLookupThreads + static_cast<int32_t>(threadIdx.x);
    if (run.count == 0 || row >= rows) return;
    const float value = chained(call.stacks[0], call.slots, in_pass, run.expert, row);
    const float up = call.num_stacks > 1 ? chained(call.stacks[1], call.slots, in_pass, run.expert, row) : 0.0f;
    outputs.store(slot, run.expert, row, value, up);
}

}  // namespace moek
