// What a transformer needs beside its experts, in fp32: norms, rotary positions, attention, elementwise sums.
#pragma once

#include "kernels/call.hpp"

namespace moek {

struct RmsNorm {
    float* y = nullptr;
    const float* x = nullptr;
    const float* weight = nullptr;  // [width], or null for ones
    float offset = 0.0f;
    float epsilon = 1e-6f;
    int64_t rows = 0;
    int32_t width = 0;
    int64_t x_stride = 0;
    int64_t y_stride = 0;
};

struct LayerNorm {
    float* y = nullptr;
    const float* x = nullptr;
    const float* weight = nullptr;  // [width], or null for ones
    const float* bias = nullptr;    // [width], or null
    float epsilon = 1e-5f;
    int64_t rows = 0;
    int32_t width = 0;
};

struct Rope {
    float* x = nullptr;
    const float* angles = nullptr;  // [rows, dimensions]: cosines of the pairs, then sines
    int64_t rows = 0;
    int32_t heads = 0;
    int32_t dimensions = 0;
    bool interleaved = false;
    int64_t row_stride = 0;
    int64_t head_stride = 0;
};

// Strides in floats. With `positions` and a workspace of attention_workspace bytes, few rows over a long context are
// spread over the device; the bits are the same without.
struct Attention {
    int32_t rows = 0, heads = 0, kv_heads = 0, key_dim = 0, value_dim = 0;
    float scale = 1.0f;
    const float* q = nullptr;
    const float* k = nullptr;
    const float* v = nullptr;
    float* y = nullptr;
    const int32_t* first = nullptr;   // [rows]
    const int32_t* last = nullptr;    // [rows]
    const float* sinks = nullptr;     // [heads], or null
    const int32_t* mask = nullptr;    // [positions], 0 where no row sees one; or null
    const float* bias = nullptr;      // [heads, 2 bias_reach + 1] by the distance from a row's place; or null
    const int32_t* places = nullptr;  // [rows], with bias
    int32_t bias_reach = 0;
    int64_t q_stride = 0, q_head_stride = 0, k_stride = 0, k_head_stride = 0;
    int64_t v_stride = 0, v_head_stride = 0, y_stride = 0, y_head_stride = 0;
    int32_t positions = 0;  // every last is below it; 0: unknown
    Workspace workspace;
};

// Strides in elements. Heads of y do not overlap.
struct CopyHeads {
    void* y = nullptr;
    const void* x = nullptr;
    Element y_type = Element::kF32, x_type = Element::kF32;  // kF32 or kBF16
    int64_t rows = 0;
    int32_t heads = 0, width = 0;
    int64_t x_stride = 0, x_head_stride = 0, y_stride = 0, y_head_stride = 0;
};

cudaError_t launch_rms_norm(const RmsNorm& call, const Launch& launch);
cudaError_t launch_layer_norm(const LayerNorm& call, const Launch& launch);
cudaError_t launch_rope(const Rope& call, const Launch& launch);
uint64_t attention_workspace(int64_t rows, int32_t heads, int32_t value_dim, int32_t positions);
cudaError_t launch_attention(const Attention& call, const Launch& launch);
// x += factor * y
cudaError_t launch_add(float* x, const float* y, float factor, int64_t count, const Launch& launch);
// x = min(max(x, -limit), limit)
cudaError_t launch_clamp(float* x, float limit, int64_t count, const Launch& launch);
// y[r, i] *= sigmoid(gate[r, i])
cudaError_t launch_gate(float* y, const float* gate, int64_t rows, int32_t width, int64_t gate_stride,
                        const Launch& launch);
// x[r, i] *= factors[r]
cudaError_t launch_scale_rows(float* x, const float* factors, int64_t rows, int32_t width, int64_t stride,
                              const Launch& launch);
// y[r, h] = x[r, h]
cudaError_t launch_copy_heads(const CopyHeads& call, const Launch& launch);
// y[r] *= sigmoid(x[r] . weight + bias): the gate of a shared expert
struct SharedGate {
    float* y = nullptr;       // [rows, width]
    const void* x = nullptr;  // [rows, inputs] in io
    Element io = Element::kF32;
    const void* weight = nullptr;  // [inputs]
    Element weight_type = Element::kF32;
    const float* bias = nullptr;  // [1], or null
    int32_t rows = 0, width = 0, inputs = 0;
};
cudaError_t launch_shared_gate(const SharedGate& call, const Launch& launch);
// fp32 to bf16 to nearest even, or back
cudaError_t launch_convert(void* y, Element y_type, const void* x, Element x_type, int64_t count, const Launch& launch);

}  // namespace moek
