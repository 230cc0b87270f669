// Experts in QMoE's codewords: 16-bit entries of one published dictionary, each a run of ternary weights.
#pragma once

#include "kernels/call.hpp"

namespace moek {

// A codeword as kernels read it: how many weights it stands for, 28 at most, and place and symbol of those that are not
// zero, three at most.
struct QmoeEntry {
    static constexpr int kMostNonzeros = 3;
    uint32_t bits = 0;  // a byte for each nonzero: place, 32 if its symbol is 1, 64 if it is 2; then the weights

    __host__ __device__ uint32_t weights() const { return bits >> 24; }
    __host__ __device__ int32_t place(int i) const { return static_cast<int32_t>(bits >> 8 * i & 31); }
    __host__ __device__ bool is_low(int i) const { return (bits >> 8 * i & 32) != 0; }
    __host__ __device__ bool is_high(int i) const { return (bits >> 8 * i & 64) != 0; }
};

// E matrices of ternary weights. Device memory.
struct QmoeStack {
    int32_t rows = 0;
    int32_t columns = 0;
    int32_t matrices = 1;
    const uint16_t* codewords = nullptr;
    const int64_t* row_offsets = nullptr;  // [E R + 1]
    const uint16_t* min_max = nullptr;     // bf16, [E, R, 2]
    const QmoeEntry* entries = nullptr;    // [65536], made by qmoe_entries
};

struct QmoeExperts {
    QmoeStack gate;  // rows 0 when the experts have no gates
    QmoeStack up;
    QmoeStack down;
};

// Fills the dictionary, [65536, 2] words in host memory (QMoE's device form: pair count in bits 0-3 of both words, then
// two bits a weight).
void qmoe_dictionary(uint32_t* words);

// Fills the entries, [65536] in host memory, from the dictionary's words.
void qmoe_entries(QmoeEntry* entries, const uint32_t* words);

// First row of a host stack whose codewords do not cover the columns exactly, whose offsets are out of order or whose
// levels are not finite (without min_max they are not looked at); -1 when all is well. Rows without codewords, which
// the authors' encoder leaves behind the last multiple of 32, are bad: their weights are lost.
int64_t qmoe_first_bad_row(const QmoeStack& host, const uint32_t* dictionary, int64_t codeword_count);

uint64_t qmoe_workspace(const QmoeStack& stack, int64_t max_slots);
cudaError_t launch_qmoe_in(const ExpertsIn& call, const QmoeExperts& experts, const Workspace& workspace,
                           const Launch& launch);
cudaError_t launch_qmoe_out(const ExpertsOut& call, const QmoeExperts& experts, const Workspace& workspace,
                            const Launch& launch);
cudaError_t launch_qmoe_linear(const GroupedLinear& call, const QmoeStack& stack, const Workspace& workspace,
                               const Launch& launch);

}  // namespace moek
