// Entry points of the codebook room: what the experts' halves and linear layers have in common.
#include "kernels/packed/codebook_product.cuh"

namespace moek {
namespace {

// More slots at a time would save launches only; prefills of any length fit in it by passes.
constexpr uint64_t kMostWorkspace = 64ull << 20;
// Tensor cores pay off where an expert has enough slots to fill a tile's rows (derived).
constexpr int64_t kGemmSlotsPerExpert = 16;

cudaError_t run(const CodebookProduct& product, const Workspace& workspace, const Launch& launch) {
    if (product.groups.max_slots == 0) return cudaSuccess;
    return uses_gemm(product) ? launch_gemm(product, workspace, launch) : launch_lookup(product, workspace, launch);
}

}  // namespace

bool uses_gemm(const CodebookProduct& product) {
    const int64_t experts = product.groups.offsets == nullptr ? 1 : product.groups.experts;
    if (product.inputs.io != Element::kBF16 || product.groups.max_slots < kGemmSlotsPerExpert * experts) return false;
    for (int32_t s = 0; s < product.num_stacks; ++s) {
        if (gemm_slot_bytes(product.stacks[s]) == 0) return false;
    }
    return true;
}

uint64_t codebook_workspace(const CodebookStack& stack, int64_t max_slots) {
    if (stack.rows == 0) return 0;
    const uint64_t lookup = lookup_slot_bytes(stack);
    const uint64_t gemm = gemm_slot_bytes(stack);
    const uint64_t slot = lookup > gemm ? lookup : gemm;
    const uint64_t fit = kMostWorkspace / slot > 0 ? kMostWorkspace / slot : 1;
    const uint64_t slots = static_cast<uint64_t>(max_slots) < fit ? static_cast<uint64_t>(max_slots) : fit;
    return (slots * slot + 255) / 256 * 256;
}

cudaError_t launch_codebook_in(const ExpertsIn& call, const CodebookExperts& experts, const Workspace& workspace,
                               const Launch& launch) {
    CodebookProduct product;
    product.groups = call.groups;
    product.inputs = {call.x, call.io, call.gather, experts.up.columns};
    if (call.activation.gated) {
        product.stacks[0] = experts.gate;
        product.stacks[1] = experts.up;
        product.num_stacks = 2;
    } else {
        product.stacks[0] = experts.up;
    }
    product.outputs = {call.a, call.io, experts.up.rows, call.gate_up_bias, true, call.activation};
    return run(product, workspace, launch);
}

cudaError_t launch_codebook_out(const ExpertsOut& call, const CodebookExperts& experts, const Workspace& workspace,
                                const Launch& launch) {
    CodebookProduct product;
    product.groups = call.groups;
    product.inputs = {call.a, call.io, Gather{}, experts.down.columns};
    product.stacks[0] = experts.down;
    product.outputs = {call.y, Element::kF32, experts.down.rows, call.down_bias, false, Activation{}};
    return run(product, workspace, launch);
}

cudaError_t launch_codebook_linear(const GroupedLinear& call, const CodebookStack& stack, const Workspace& workspace,
                                   const Launch& launch) {
    CodebookProduct product;
    product.groups = call.groups;
    product.inputs = {call.x, call.io, Gather{}, stack.columns};
    product.stacks[0] = stack;
    product.outputs = {call.y, call.io, stack.rows, call.bias, false, Activation{}};
    return run(product, workspace, launch);
}

}  // namespace moek
