// The parameters of grouped matrix products, as launchers hand them to kernels.
#pragma once

#include "kernels/experts/dense.hpp"

namespace moek {

// One product of every expert: outputs [slots, width] from inputs [slots, w.columns]. With gates an output takes a gate
// row and an up row of w, else one row.
struct GroupedCall {
    Groups groups;
    Gather gather;
    DenseStack w;
    const void* x = nullptr;
    const float* bias = nullptr;  // [matrices, w.rows], or null
    void* y = nullptr;
    Element x_type = Element::kF32;
    Element y_type = Element::kF32;
    bool has_activation = false;
    Activation activation;  // where has_activation
    GateUpOrder order = GateUpOrder::kConcatenated;
    int32_t width = 0;
};

}  // namespace moek
