// Neighbouring elements that one load or store moves.
#pragma once
#include "device/launch.cuh"

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

}  // namespace moek
