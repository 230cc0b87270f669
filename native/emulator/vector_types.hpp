// CUDA's built-in vector types, with CUDA's alignments.
#pragma once
#include <cstdint>

struct dim3 {
    unsigned x, y, z;
    constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
};

#define CUEMU_VECTOR(scalar, name, align2, align4)                          \
    struct alignas(align2) name##2 {                                        \
        scalar x, y;                                                        \
    };                                                                      \
    struct name##3 {                                                        \
        scalar x, y, z;                                                     \
    };                                                                      \
    struct alignas(align4) name##4 {                                        \
        scalar x, y, z, w;                                                  \
    };                                                                      \
    inline name##2 make_##name##2(scalar x, scalar y) {                     \
        return {x, y};                                                      \
    }                                                                       \
    inline name##3 make_##name##3(scalar x, scalar y, scalar z) {           \
        return {x, y, z};                                                   \
    }                                                                       \
    inline name##4 make_##name##4(scalar x, scalar y, scalar z, scalar w) { \
        return {x, y, z, w};                                                \
    }

CUEMU_VECTOR(signed char, char, 2, 4)
CUEMU_VECTOR(unsigned char, uchar, 2, 4)
CUEMU_VECTOR(short, short, 4, 8)
CUEMU_VECTOR(unsigned short, ushort, 4, 8)
CUEMU_VECTOR(int, int, 8, 16)
CUEMU_VECTOR(unsigned, uint, 8, 16)
CUEMU_VECTOR(long long, longlong, 16, 16)
CUEMU_VECTOR(unsigned long long, ulonglong, 16, 16)
CUEMU_VECTOR(float, float, 8, 16)
CUEMU_VECTOR(double, double, 16, 16)
#undef CUEMU_VECTOR
