// Launches tensor-core products: a pass of slots at a time, rows into tiles first, then the products.
#include <algorithm>

#include "kernels/packed/codebook_gemm.cuh"
#include "kernels/packed/codebook_product.cuh"

namespace moek {
namespace {

// What every device since 8.0 lets a block have (sm_86 and sm_89: 99 KiB).
constexpr size_t kMostShared = 99 << 10;
// Blocks for a multiprocessor, as many as it ever holds; they walk on from there.
constexpr int64_t kBlocksPerMultiprocessor = 8;

GemmStack view_of(const CodebookStack& stack) {
    GemmStack view;
    view.shape = shape_of(stack);
    view.tiling = GemmTiling::of(view.shape);
    view.scales = stack.scales;
    view.codes = stack.codes;
    view.codebook = stack.codebook;
    view.inputs = stack.inputs;
    view.own_codebooks = stack.codebooks > 1;
    return view;
}

cudaError_t launch_rows(const GemmCall& call, int32_t stack, const Launch& launch) {
    LaunchShape shape;
    shape.grid =
        dim3(static_cast<unsigned>(std::min<int64_t>(call.slots, kBlocksPerMultiprocessor * launch.multiprocessors)));
    shape.block = dim3(kGemmThreads);
    shape.stream = launch.stream;
    return stack == 0 ? moek::launch(gemm_rows_kernel<0>, shape, call) : moek::launch(gemm_rows_kernel<1>, shape, call);
}

cudaError_t launch_pass(const GemmCall& call, const Launch& launch) {
    cudaError_t error = launch_rows(call, 0, launch);
    if (error == cudaSuccess && !call.same_rows) error = launch_rows(call, 1, launch);
    if (error != cudaSuccess) return error;
    const int64_t experts = call.groups.offsets == nullptr ? 1 : call.groups.experts;
    const int64_t blocks = call.stacks[0].shape.blocks();
    const int64_t row_tiles = call.num_stacks > 1 ? blocks : ceil_div(blocks, kPanels);
    const int64_t items = (call.slots / kTileSlots + experts) * row_tiles;
    LaunchShape shape;
    shape.grid = dim3(static_cast<unsigned>(std::min(items, kBlocksPerMultiprocessor * launch.multiprocessors)));
    shape.block = dim3(kGemmThreads);
    shape.shared_bytes = GemmShared::bytes(call.stacks[0], call.stacks[call.num_stacks - 1]);
    shape.stream = launch.stream;
    return moek::launch(gemm_kernel<0>, shape, call);
}

}  // namespace

uint64_t gemm_slot_bytes(const CodebookStack& stack) {
    const GemmStack view = view_of(stack);
    if (GemmShared::bytes(view, view) > kMostShared) return 0;
    return sizeof(bf16) * static_cast<uint64_t>(view.tiling.row_elements());
}

cudaError_t launch_gemm(const CodebookProduct& product, const Workspace& workspace, const Launch& launch) {
    GemmCall call;
    call.groups = product.groups;
    call.inputs = product.inputs;
    call.num_stacks = product.num_stacks;
    for (int32_t s = 0; s < call.num_stacks; ++s) call.stacks[s] = view_of(product.stacks[s]);
    call.same_rows = call.num_stacks == 1 || same_inputs(product.stacks[0], product.stacks[1]);
    call.outputs = product.outputs;
    const int64_t max_slots = product.groups.max_slots;
    const int64_t pass = slots_per_pass(product, workspace, gemm_slot_bytes);
    if (pass == 0) return cudaErrorInvalidValue;
    for (int64_t slot = 0; slot < max_slots; slot += pass) {
        call.first_slot = static_cast<int32_t>(slot);
        call.slots = static_cast<int32_t>(std::min(pass, max_slots - slot));
        bf16* rows = static_cast<bf16*>(workspace.pointer);
        call.stacks[0].rows = rows;
        call.stacks[1].rows = call.same_rows ? rows : rows + call.slots * call.stacks[0].tiling.row_elements();
        const cudaError_t error = launch_pass(call, launch);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

}  // namespace moek
