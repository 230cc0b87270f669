// Experts whose matrices hold one element per weight: fp32, fp16, bf16, fp8 and MXFP4.
#pragma once

#include "device/tensor_map.hpp"
#include "kernels/call.hpp"

namespace moek {

// E matrices [R, K], row-major and contiguous, with the scales that the type has.
struct DenseStack {
    const void* data = nullptr;
    const void* scales = nullptr;
    Element type = Element::kF32;
    int32_t matrices = 1;
    int32_t rows = 0;
    int32_t columns = 0;
    int32_t scale_block_rows = 128;
    int32_t scale_block_columns = 128;
    // How the TMA unit sees the data; set by prepare_dense.
    bool has_map = false;
    CUtensorMap map = {};
};

// How gate and up rows lie in one stack of 2 I rows.
enum class GateUpOrder : int32_t { kConcatenated = 0, kInterleaved = 1 };

// Makes a stack on the device ready for compute capability 9.0 (bf16 only; others stay as they are). `gated`: its rows
// are gate and up rows in this order. Without it products run on the kernels of 8.0.
cudaError_t prepare_dense(DenseStack& stack, bool gated, GateUpOrder order);

struct DenseExperts {
    DenseStack gate_up;  // [E, M, H]
    DenseStack down;     // [E, H, I]
    GateUpOrder order = GateUpOrder::kConcatenated;
};

// Bytes of scratch memory for calls of up to max_slots slots; one number for the three launchers.
uint64_t dense_workspace(const DenseStack& stack, int64_t max_slots);
cudaError_t launch_dense_in(const ExpertsIn& call, const DenseExperts& experts, const Workspace& workspace,
                            const Launch& launch);
cudaError_t launch_dense_out(const ExpertsOut& call, const DenseExperts& experts, const Workspace& workspace,
                             const Launch& launch);
cudaError_t launch_dense_linear(const GroupedLinear& call, const DenseStack& stack, const Workspace& workspace,
                                const Launch& launch);

}  // namespace moek
