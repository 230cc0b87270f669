// Launches table lookups: a pass of slots at a time, sums first, then outputs.
#include <algorithm>

#include "kernels/packed/codebook_lookup.cuh"
#include "kernels/packed/codebook_product.cuh"

namespace moek {
namespace {

constexpr int64_t kMostBlocks = 0x7FFFFFFF;

LookupStack view_of(const CodebookStack& stack) {
    LookupStack view;
    view.shape = shape_of(stack);
    view.scales = stack.scales;
    view.codes = stack.codes;
    view.codebook = stack.codebook;
    view.inputs = stack.inputs;
    view.own_codebooks = stack.codebooks > 1;
    return view;
}

// Lays sums and steps of a pass out in the workspace; sums are multiples of 256 bytes.
void place_in(LookupCall& call, const Workspace& workspace) {
    int32_t* next = static_cast<int32_t*>(workspace.pointer);
    for (LookupStack& stack : call.stacks) {
        stack.sums = next;
        next += static_cast<int64_t>(stack.shape.chunks()) * call.slots * stack.shape.padded_rows();
    }
    for (LookupStack& stack : call.stacks) {
        stack.steps = reinterpret_cast<float*>(next);
        next += static_cast<int64_t>(stack.shape.chunks()) * call.slots;
    }
    if (call.same_tables) call.stacks[1].steps = call.stacks[0].steps;
}

template <int kWords, int kInputs>
cudaError_t launch_sums(const LookupCall& call, int64_t blocks, const Launch& launch) {
    const size_t bytes = LookupShared<kWords, kInputs>::bytes(call.strips_per_block);
    const LaunchShape shape{dim3(static_cast<unsigned>(blocks)), dim3(kLookupThreads), bytes, launch.stream};
    return moek::launch(lookup_kernel<kWords, kInputs>, shape, call);
}

template <int kInputs>
cudaError_t launch_sums(int32_t words, const LookupCall& call, int64_t blocks, const Launch& launch) {
    switch (words) {
        case 1:
            return launch_sums<1, kInputs>(call, blocks, launch);
        case 2:
            return launch_sums<2, kInputs>(call, blocks, launch);
        case 3:
            return launch_sums<3, kInputs>(call, blocks, launch);
        default:
            return launch_sums<4, kInputs>(call, blocks, launch);
    }
}

}  // namespace

uint64_t lookup_slot_bytes(const CodebookStack& stack) {
    const CodebookShape shape = shape_of(stack);
    return sizeof(int32_t) * static_cast<uint64_t>(shape.chunks()) * (static_cast<uint64_t>(shape.padded_rows()) + 1);
}

cudaError_t launch_lookup(const CodebookProduct& product, const Workspace& workspace, const Launch& launch) {
    LookupCall call;
    call.groups = product.groups;
    call.inputs = product.inputs;
    call.num_stacks = product.num_stacks;
    int32_t strips = 0, chunks = 0, words = 1;
    for (int32_t s = 0; s < call.num_stacks; ++s) {
        call.stacks[s] = view_of(product.stacks[s]);
        strips += call.stacks[s].shape.strips();
        chunks = std::max(chunks, call.stacks[s].shape.chunks());
        words = std::max(words, (call.stacks[s].shape.dimension + 3) / 4);
    }
    const CodebookStack& first = product.stacks[0];
    const CodebookStack& second = product.stacks[1];
    call.same_tables = call.num_stacks > 1 && same_inputs(first, second) && first.stages == second.stages &&
                       first.codebook == second.codebook;

    // Pairs of slots share what it takes to find an entry; they pay off where most experts have two.
    const int64_t max_slots = product.groups.max_slots;
    const int32_t experts = product.groups.offsets == nullptr ? 1 : product.groups.experts;
    const bool pairs = max_slots >= 2 * static_cast<int64_t>(experts);
    const int64_t jobs = ceil_div(max_slots, pairs ? 2 : 1) * chunks * strips;
    const int64_t per_block = ceil_div(jobs, 2 * static_cast<int64_t>(launch.multiprocessors));
    const int32_t most_strips = std::min(kMaxStripsPerBlock, strips);
    call.strips_per_block = static_cast<int32_t>(std::min<int64_t>(std::max<int64_t>(per_block, 1), most_strips));
    const int64_t shares = ceil_div(strips, call.strips_per_block);
    const int64_t tiles = ceil_div(first.rows, kLookupThreads);
    const int64_t grid_slots = kMostBlocks / std::max(chunks * shares, tiles);
    const int64_t pass = std::min(slots_per_pass(product, workspace, lookup_slot_bytes), grid_slots);
    if (pass == 0) return cudaErrorInvalidValue;

    for (int64_t slot = 0; slot < max_slots; slot += pass) {
        call.first_slot = static_cast<int32_t>(slot);
        call.slots = static_cast<int32_t>(std::min(pass, max_slots - slot));
        place_in(call, workspace);
        const int64_t blocks = call.slots * chunks * shares;
        cudaError_t error =
            pairs ? launch_sums<2>(words, call, blocks, launch) : launch_sums<1>(words, call, blocks, launch);
        if (error != cudaSuccess) return error;
        const LaunchShape shape{dim3(static_cast<unsigned>(call.slots * tiles)), dim3(kLookupThreads), 0,
                                launch.stream};
        error = moek::launch(lookup_finish_kernel, shape, call, product.outputs);
        if (error != cudaSuccess) return error;
    }
    return cudaSuccess;
}

}  // namespace moek
