// Launches products with QMoE's codewords.
#include <algorithm>

#include "kernels/packed/qmoe.cuh"

namespace moek {
namespace {

constexpr int kSlotsPerRun = 4;
// What every device since 8.0 lets a block have (sm_86 and sm_89: 99 KiB).
constexpr int64_t kMostShared = 96 << 10;
// Blocks for a multiprocessor, as many as it ever holds; they walk on from there.
constexpr int64_t kBlocksPerMultiprocessor = 8;

// Of one slot's inputs.
int64_t shared_bytes(const QmoeCall& call) {
    return static_cast<int64_t>(sizeof(float)) * (call.inputs.columns + kQmoePadding);
}

template <int kSlots, bool kShared>
cudaError_t launch_as(const QmoeCall& call, const Launch& launch) {
    const int64_t tiles = (call.stacks[0].rows + kQmoeRowsPerBlock - 1) / kQmoeRowsPerBlock;
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(
        std::min(call.groups.max_slots * tiles, kBlocksPerMultiprocessor * launch.multiprocessors)));
    shape.block = dim3(kQmoeThreads);
    shape.shared_bytes = kShared ? static_cast<size_t>(kSlots * shared_bytes(call)) : 0;
    shape.stream = launch.stream;
    return moek::launch(qmoe_kernel<kSlots, kShared>, shape, call);
}

// Runs of slots share the decoding; they pay off where most experts have several. Every path gives the same bits.
cudaError_t run(const QmoeCall& call, const Launch& launch) {
    const int64_t slots = call.groups.max_slots;
    if (slots == 0) return cudaSuccess;
    const int64_t experts = call.groups.offsets == nullptr ? 1 : call.groups.experts;
    const int64_t row_bytes = shared_bytes(call);
    if (slots >= 2 * experts && kSlotsPerRun * row_bytes <= kMostShared) {
        return launch_as<kSlotsPerRun, true>(call, launch);
    }
    if (row_bytes <= kMostShared) return launch_as<1, true>(call, launch);
    return slots >= 2 * experts ? launch_as<kSlotsPerRun, false>(call, launch) : launch_as<1, false>(call, launch);
}

}  // namespace

uint64_t qmoe_workspace(const QmoeStack&, int64_t) {
    return 0;
}

cudaError_t launch_qmoe_in(const ExpertsIn& call, const QmoeExperts& experts, const Workspace&, const Launch& launch) {
    QmoeCall product;
    product.groups = call.groups;
    product.inputs = {call.x, call.io, call.gather, experts.up.columns};
    product.num_stacks = call.activation.gated ? 2 : 1;
    product.stacks[0] = call.activation.gated ? experts.gate : experts.up;
    product.stacks[1] = experts.up;
    product.outputs = {call.a, call.io, experts.up.rows, call.gate_up_bias, true, call.activation};
    return run(product, launch);
}

cudaError_t launch_qmoe_out(const ExpertsOut& call, const QmoeExperts& experts, const Workspace&,
                            const Launch& launch) {
    QmoeCall product;
    product.groups = call.groups;
    product.inputs = {call.a, call.io, Gather{}, experts.down.columns};
    product.stacks[0] = experts.down;
    product.outputs = {call.y, Element::kF32, experts.down.rows, call.down_bias, false, Activation{}};
    return run(product, launch);
}

cudaError_t launch_qmoe_linear(const GroupedLinear& call, const QmoeStack& stack, const Workspace&,
                               const Launch& launch) {
    QmoeCall product;
    product.groups = call.groups;
    product.inputs = {call.x, call.io, Gather{}, stack.columns};
    product.stacks[0] = stack;
    product.outputs = {call.y, call.io, stack.rows, call.bias, false, Activation{}};
    return run(product, launch);
}

}  // namespace moek
