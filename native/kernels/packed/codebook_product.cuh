// What the launchers of codebook products share: one product, its workspace, and passes over the slots.
#pragma once

#include "kernels/packed/codebook_shape.hpp"
#include "kernels/packed/outputs.cuh"
#include "kernels/packed/slots.cuh"

namespace moek {

// y[slot] = activation(stacks x[slot]): the three entry points are one product with other parts.
struct CodebookProduct {
    Groups groups;
    Inputs inputs;
    CodebookStack stacks[2];
    int32_t num_stacks = 1;
    Outputs outputs;
};

// Both stacks round the same inputs in the same groups.
inline bool same_inputs(const CodebookStack& a, const CodebookStack& b) {
    return a.columns == b.columns && a.dimension == b.dimension && a.inputs == b.inputs && a.codebooks == b.codebooks;
}

inline int64_t ceil_div(int64_t count, int64_t size) {
    return (count + size - 1) / size;
}

// Workspace bytes of one slot.
uint64_t lookup_slot_bytes(const CodebookStack& stack);
uint64_t gemm_slot_bytes(const CodebookStack& stack);

// Whether tensor cores compute a product: by its types and sizes and the most slots that it may have.
bool uses_gemm(const CodebookProduct& product);

cudaError_t launch_lookup(const CodebookProduct& product, const Workspace& workspace, const Launch& launch);
cudaError_t launch_gemm(const CodebookProduct& product, const Workspace& workspace, const Launch& launch);

// Slots that a workspace holds at a time, 0 if not one.
inline int64_t slots_per_pass(const CodebookProduct& product, const Workspace& workspace,
                              uint64_t (*slot_bytes)(const CodebookStack&)) {
    uint64_t bytes = 0;
    for (int32_t s = 0; s < product.num_stacks; ++s) bytes += slot_bytes(product.stacks[s]);
    const uint64_t slots = workspace.pointer == nullptr ? 0 : workspace.bytes / bytes;
    const uint64_t most = static_cast<uint64_t>(product.groups.max_slots);
    return static_cast<int64_t>(slots < most ? slots : most);
}

}  // namespace moek
