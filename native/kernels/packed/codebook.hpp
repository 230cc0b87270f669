// Experts in trained codebooks: a byte stands for D neighbouring weights of a row, read by table lookup.
#pragma once

#include "kernels/call.hpp"

namespace moek {

// E matrices in the order of the file (FORMAT.md of the codebook format, version 1). Device memory.
struct CodebookStack {
    int32_t rows = 0;
    int32_t columns = 0;
    int32_t dimension = 1;
    int32_t stages = 1;
    int32_t matrices = 1;
    int32_t codebooks = 1;             // 1, or one per matrix
    const uint16_t* scales = nullptr;  // fp16, [E, 64 B]
    const uint8_t* codes = nullptr;    // [E, G S B, 64]
    const int8_t* codebook = nullptr;  // [C, S, 128, D]
    const uint16_t* inputs = nullptr;  // fp16, [C, K], or null
};

struct CodebookExperts {
    CodebookStack gate;  // rows 0 when the experts have no gates
    CodebookStack up;
    CodebookStack down;
};

// Whether scales [E, 64 B], factors of the inputs [C, K] and vectors [C, S, 128, D] are what the format allows: all in
// host memory.
bool codebook_numbers_valid(const CodebookStack& host);

// Products of fp32 rows round inputs to 16 bits, with one step per chunk of 64 codes, and look exact integers up,
// whatever the number of slots: within 1e-4 of a result's rms where a chunk's largest input is at most 11 times its rms
// (max / 32767 / sqrt 12, derived). bfloat16 rows take the same way while a call has fewer than 16 slots per expert
// (max_slots / experts), and tensor cores from there on: bits depend on that number, and never on other slots, the grid
// or the workspace.
//
// Workspace bytes of a stack for up to max_slots slots; gate and up take the sum of theirs. Less is allowed as long as
// one slot fits: slots then take turns.
uint64_t codebook_workspace(const CodebookStack& stack, int64_t max_slots);
cudaError_t launch_codebook_in(const ExpertsIn& call, const CodebookExperts& experts, const Workspace& workspace,
                               const Launch& launch);
cudaError_t launch_codebook_out(const ExpertsOut& call, const CodebookExperts& experts, const Workspace& workspace,
                                const Launch& launch);
cudaError_t launch_codebook_linear(const GroupedLinear& call, const CodebookStack& stack, const Workspace& workspace,
                                   const Launch& launch);

}  // namespace moek
