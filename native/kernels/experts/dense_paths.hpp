// The kernels behind dense.hpp. Which one runs depends on types, shapes and the device; among kernels that add in the
// same order also on the number of slots.
#pragma once

#include "kernels/experts/grouped.hpp"

namespace moek {

// The products behind the two halves of an expert.
GroupedCall grouped_in(const ExpertsIn& call, const DenseExperts& experts);
GroupedCall grouped_out(const ExpertsOut& call, const DenseExperts& experts);

// fp32 sums in the CPU library's order, any shape.
cudaError_t launch_grouped_simt(const GroupedCall& call, const Launch& device);

// The same bits for few slots per expert, bound by the weights' bytes.
bool grouped_decode_takes(const GroupedCall& call);
cudaError_t launch_grouped_decode(const GroupedCall& call, const Launch& device);

// bf16 inputs on tensor cores (mma.sync), weights rounded to bf16.
bool grouped_mma_takes(const GroupedCall& call);
cudaError_t launch_grouped_mma(const GroupedCall& call, const Launch& device);

// bf16 inputs and prepared bf16 weights on Hopper's tensor cores (wgmma).
bool grouped_wgmma_takes(const GroupedCall& call, const Launch& device);
cudaError_t launch_grouped_wgmma(const GroupedCall& call, const Launch& device);

}  // namespace moek
