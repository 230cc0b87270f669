// Chooses the kernel of a grouped product.
//
// fp32 inputs: fp32 sums in the CPU library's order, by two kernels that give the same bits.
// bf16 inputs: tensor cores where the shape allows it, else the fp32 sums over the bf16 inputs. The choice rests on
// types, shapes and device, never on the number of slots, so a row's bits do not depend on its batch.
#include "kernels/experts/dense.hpp"
#include "kernels/experts/dense_paths.hpp"

namespace moek {
namespace {

cudaError_t launch_grouped(const GroupedCall& call, const Launch& device) {
    if (call.groups.max_slots <= 0 || call.width <= 0) return cudaSuccess;
    if (grouped_wgmma_takes(call, device)) return launch_grouped_wgmma(call, device);
    if (call.x_type == Element::kBF16 && grouped_mma_takes(call)) return launch_grouped_mma(call, device);
    if (grouped_decode_takes(call)) return launch_grouped_decode(call, device);
    return launch_grouped_simt(call, device);
}

}  // namespace

uint64_t dense_workspace(const DenseStack&, int64_t) {
    return 0;
}

GroupedCall grouped_in(const ExpertsIn& call, const DenseExperts& experts) {
    GroupedCall product;
    product.groups = call.groups;
    product.gather = call.gather;
    product.w = experts.gate_up;
    product.x = call.x;
    product.bias = call.gate_up_bias;
    product.y = call.a;
    product.x_type = product.y_type = call.io;
    product.has_activation = true;
    product.activation = call.activation;
    product.order = experts.order;
    product.width = call.activation.gated ? experts.gate_up.rows / 2 : experts.gate_up.rows;
    return product;
}

GroupedCall grouped_out(const ExpertsOut& call, const DenseExperts& experts) {
    GroupedCall product;
    product.groups = call.groups;
    product.w = experts.down;
    product.x = call.a;
    product.bias = call.down_bias;
    product.y = call.y;
    product.x_type = call.io;
    product.width = experts.down.rows;
    return product;
}

cudaError_t launch_dense_in(const ExpertsIn& call, const DenseExperts& experts, const Workspace&,
                            const Launch& launch) {
    return launch_grouped(grouped_in(call, experts), launch);
}

cudaError_t launch_dense_out(const ExpertsOut& call, const DenseExperts& experts, const Workspace&,
                             const Launch& launch) {
    return launch_grouped(grouped_out(call, experts), launch);
}

cudaError_t launch_dense_linear(const GroupedLinear& call, const DenseStack& stack, const Workspace&,
                                const Launch& launch) {
    GroupedCall product;
    product.groups = call.groups;
    product.w = stack;
    product.x = call.x;
    product.bias = call.bias;
    product.y = call.y;
    product.x_type = product.y_type = call.io;
    product.width = stack.rows;
    return launch_grouped(product, launch);
}

}  // namespace moek
