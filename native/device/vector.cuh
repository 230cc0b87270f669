// Neighbouring elements that one load or store moves.
#pragma once
#include "device/types.cuh"

namespace moek {

template <class T, int kCount>
struct alignas(sizeof(T) * kCount) Vector {
    T values[kCount];
};

template <class T, int kCount>
MOEK_DEVICE Vector<T, kCount> load_vector(const T* from) {
    return *reinterpret_cast<const Vector<T, kCount>*>(from);
}

template <class T, int kCount>
MOEK_DEVICE void store_vector(T* to, const Vector<T, kCount>& vector) {
    *reinterpret_cast<Vector<T, kCount>*>(to) = vector;
}

/// Whether vectors of `elements` T may begin here; null counts as aligned.
template <class T>
inline bool aligned(const void* pointer, int elements) {
    return reinterpret_cast<uintptr_t>(pointer) % (sizeof(T) * static_cast<unsigned>(elements)) == 0;
}

constexpr int kQuad = 4;

/// Elements [i, i + 4) of a row as floats, i below its width; 0 past the end. kWhole: the row is whole quads, aligned
/// to them.
template <class T, bool kWhole>
MOEK_DEVICE float4 load_quad(const T* row, int32_t i, int32_t width) {
    if constexpr (kWhole) {
        const Vector<T, kQuad> quad = load_vector<T, kQuad>(row + i);
        return make_float4(to_float(quad.values[0]), to_float(quad.values[1]), to_float(quad.values[2]),
                           to_float(quad.values[3]));
    } else {
        return make_float4(to_float(row[i]), i + 1 < width ? to_float(row[i + 1]) : 0.0f,
                           i + 2 < width ? to_float(row[i + 2]) : 0.0f, i + 3 < width ? to_float(row[i + 3]) : 0.0f);
    }
}

/// The other way: elements [i, i + 4) of a row, nothing past its end.
template <class T, bool kWhole>
MOEK_DEVICE void store_quad(T* row, int32_t i, int32_t width, const float4& quad) {
    const Vector<T, kQuad> values = {
        {from_float<T>(quad.x), from_float<T>(quad.y), from_float<T>(quad.z), from_float<T>(quad.w)}};
    if constexpr (kWhole) {
        store_vector(row + i, values);
    } else {
#pragma unroll
        for (int e = 0; e < kQuad; ++e)
            if (i + e < width) row[i + e] = values.values[e];
    }
}

/// sum + a . b, one product after the other, each fused.
MOEK_DEVICE float add_products(float sum, const float4& a, const float4& b) {
    sum = fmaf(a.x, b.x, sum);
    sum = fmaf(a.y, b.y, sum);
    sum = fmaf(a.z, b.z, sum);
    return fmaf(a.w, b.w, sum);
}

}  // namespace moek
