// The experts of a layer for few tokens in one kernel: gate and up, down, combine, handed on by counters instead of
// launches. Bit for bit what launch_dense_in, launch_dense_out and launch_combine give one after the other.
#pragma once

#include "kernels/experts/dense.hpp"
#include "kernels/permute/permute.hpp"

namespace moek {

// The three steps as their own launchers take them: out.a is in.a, combine.yp is out.y, and all speak of one plan.
struct DecodeLayer {
    ExpertsIn in;
    ExpertsOut out;
    CombineRows combine;
};

// Whether the kernel covers the layer: fp32 from end to end, few slots per expert, weights that 16-byte loads can walk.
bool decode_layer_takes(const DecodeLayer& layer, const DenseExperts& experts);

// Bytes of the counters of up to max_slots slots.
uint64_t decode_layer_workspace(int64_t max_slots);

// Queues a clearing of the counters and one cooperative kernel.
cudaError_t launch_decode_layer(const DecodeLayer& layer, const DenseExperts& experts, const Workspace& workspace,
                                const Launch& launch);

}  // namespace moek
