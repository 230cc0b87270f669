// From the sums of an output to its value in memory.
#pragma once

#include "device/types.cuh"
#include "kernels/experts/activation.cuh"

namespace moek {

struct Outputs {
    void* y = nullptr;  // [slots, rows]
    Element type = Element::kF32;
    int32_t rows = 0;
    const float* bias = nullptr;  // [E, rows], or where gated [E, 2 rows] with the gate's first; or null
    bool has_activation = false;
    Activation activation;

    // Bias, activation and rounding: `sum` is the only product of the row, or the gate beside `up`.
    MOEK_DEVICE void store(int64_t slot, int32_t expert, int32_t row, float sum, float up) const {
        const bool gated = has_activation && activation.gated;
        if (bias != nullptr) {
            const float* of_expert = bias + static_cast<int64_t>(expert) * rows * (gated ? 2 : 1);
            sum += of_expert[row];
            if (gated) up += of_expert[rows + row];
        }
        if (has_activation) sum = gated ? activate(activation, sum, up) : activate(activation, 0.0f, sum);
        const int64_t at = slot * rows + row;
        if (type == Element::kF32) {
            static_cast<float*>(y)[at] = sum;
        } else {
            static_cast<bf16*>(y)[at] = from_float<bf16>(sum);
        }
    }
};

}  // namespace moek
