// CUDA's built-in device functions: barriers, warp collectives, atomics, bits.
//
// Left out on purpose: __threadfence and __activemask. Memory is ordered between blocks by the acquire and release
// wrappers of device/ptx.cuh, which TSan understands.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstring>
#include <type_traits>

#include "emulator/kernel_api.hpp"

#define CUEMU_SITE cuemu::Site site_ = cuemu::here()

using std::max;
using std::min;

namespace cuemu {

template <class To, class From>
inline To bit_copy(From from) {
    static_assert(std::is_trivially_copyable_v<From> && std::is_trivially_copyable_v<To>);
    To to{};
    std::memcpy(static_cast<void*>(&to), &from, sizeof(To) < sizeof(From) ? sizeof(To) : sizeof(From));
    return to;
}

inline unsigned lane() {
    return current->linear & 31;
}

/// The 64 bits that a lane left.
inline uint64_t left_by(const uint64_t* values, unsigned lane) {
    return __atomic_load_n(values + lane, __ATOMIC_RELAXED);
}

template <class T>
inline T shuffle(unsigned mask, T value, unsigned source, bool in_range, Collective what, Site site) {
    static_assert(sizeof(T) <= 8);
    const uint64_t* values = warp_meet(mask, what, bit_copy<uint64_t>(value), false, site);
    if (!in_range) return value;
    if (!(mask >> source & 1)) fail("shuffle reads a lane outside its mask", site);
    return bit_copy<T>(left_by(values, source));
}

template <class T, class Combine>
inline T reduce(unsigned mask, T value, Combine combine, Site site) {
    const uint64_t* values = warp_meet(mask, Collective::reduce, bit_copy<uint64_t>(value), false, site);
    bool first = true;
    T result{};
    for (unsigned i = 0; i < 32; ++i) {
        if (!(mask >> i & 1) ||
            i >= current->block_dim.x * current->block_dim.y * current->block_dim.z - (current->linear & ~31u))
            continue;
        const T other = bit_copy<T>(left_by(values, i));
        result = first ? other : combine(result, other);
        first = false;
    }
    return result;
}

/// Read, change and write as one step; no ordering, as CUDA's atomics have none.
template <class T, class Change>
inline T atomic_update(T* address, Change change, Site site) {
    preempt();
    T old, changed;
    __atomic_load(address, &old, __ATOMIC_RELAXED);
    do {
        changed = change(old);
    } while (!__atomic_compare_exchange(address, &old, &changed, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    // An update that changes nothing may be somebody's way to poll.
    if (std::memcmp(&old, &changed, sizeof(T)) != 0)
        made_progress();
    else
        poll(site);
    return old;
}

}  // namespace cuemu

inline void __syncthreads(CUEMU_SITE) {
    cuemu::barrier_sync(0, static_cast<int>(blockDim.x * blockDim.y * blockDim.z), site_);
}
inline void __syncwarp(unsigned mask = ~0u, CUEMU_SITE) {
    cuemu::warp_meet(mask, cuemu::Collective::syncwarp, 0, true, site_);
}
[[noreturn]] inline void __trap(CUEMU_SITE) {
    cuemu::fail("the kernel trapped", site_);
}
inline void __nanosleep(unsigned, CUEMU_SITE) {
    cuemu::poll(site_);
}

template <class T>
inline T __shfl_sync(unsigned mask, T value, int source, int width = 32, CUEMU_SITE) {
    const unsigned w = static_cast<unsigned>(width), first = cuemu::lane() & ~(w - 1);
    return cuemu::shuffle(mask, value, first | (static_cast<unsigned>(source) & (w - 1)), true, cuemu::Collective::shfl,
                          site_);
}
template <class T>
inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32, CUEMU_SITE) {
    const unsigned w = static_cast<unsigned>(width), source = cuemu::lane() ^ static_cast<unsigned>(lane_mask);
    const bool in_range = source < 32 && (source & ~(w - 1)) <= (cuemu::lane() & ~(w - 1));
    return cuemu::shuffle(mask, value, source, in_range, cuemu::Collective::shfl_xor, site_);
}
template <class T>
inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32, CUEMU_SITE) {
    const unsigned w = static_cast<unsigned>(width);
    const bool in_range = (cuemu::lane() & (w - 1)) + delta < w;
    return cuemu::shuffle(mask, value, cuemu::lane() + delta, in_range, cuemu::Collective::shfl_down, site_);
}
template <class T>
inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32, CUEMU_SITE) {
    const bool in_range = (cuemu::lane() & (static_cast<unsigned>(width) - 1)) >= delta;
    return cuemu::shuffle(mask, value, cuemu::lane() - delta, in_range, cuemu::Collective::shfl_up, site_);
}

inline unsigned __ballot_sync(unsigned mask, int predicate, CUEMU_SITE) {
    const uint64_t* values = cuemu::warp_meet(mask, cuemu::Collective::vote, predicate != 0, false, site_);
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z - (cuemu::current->linear & ~31u);
    unsigned result = 0;
    for (unsigned i = 0; i < 32 && i < threads; ++i)
        if (mask >> i & 1) result |= static_cast<unsigned>(cuemu::left_by(values, i)) << i;
    return result;
}
inline int __any_sync(unsigned mask, int predicate, CUEMU_SITE) {
    return __ballot_sync(mask, predicate, site_) != 0;
}
inline int __all_sync(unsigned mask, int predicate, CUEMU_SITE) {
    return __ballot_sync(mask, !predicate, site_) == 0;
}

/// Lanes of the mask whose value has the same bits.
template <class T>
inline unsigned __match_any_sync(unsigned mask, T value, CUEMU_SITE) {
    const uint64_t mine = cuemu::bit_copy<uint64_t>(value);
    const uint64_t* values = cuemu::warp_meet(mask, cuemu::Collective::match, mine, false, site_);
    const unsigned threads = blockDim.x * blockDim.y * blockDim.z - (cuemu::current->linear & ~31u);
    unsigned result = 0;
    for (unsigned i = 0; i < 32 && i < threads; ++i)
        if ((mask >> i & 1) && cuemu::left_by(values, i) == mine) result |= 1u << i;
    return result;
}

#define CUEMU_REDUCE(name, type, expression)                                        \
    inline type name(unsigned mask, type value, CUEMU_SITE) {                       \
        return cuemu::reduce(                                                       \
            mask, value, [](type a, type b) -> type { return expression; }, site_); \
    }
CUEMU_REDUCE(__reduce_add_sync, unsigned, a + b)
CUEMU_REDUCE(__reduce_add_sync, int, static_cast<int>(static_cast<unsigned>(a) + static_cast<unsigned>(b)))
CUEMU_REDUCE(__reduce_min_sync, unsigned, min(a, b))
CUEMU_REDUCE(__reduce_min_sync, int, min(a, b))
CUEMU_REDUCE(__reduce_max_sync, unsigned, max(a, b))
CUEMU_REDUCE(__reduce_max_sync, int, max(a, b))
CUEMU_REDUCE(__reduce_and_sync, unsigned, a& b)
CUEMU_REDUCE(__reduce_or_sync, unsigned, a | b)
CUEMU_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef CUEMU_REDUCE

// T is taken from the address alone, so that atomicAdd(&counter, 1) finds it.
template <class T>
using cuemu_value = typename std::common_type<T>::type;

template <class T>
inline T atomicAdd(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return static_cast<T>(old + value); }, site_);
}
template <class T>
inline T atomicSub(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return static_cast<T>(old - value); }, site_);
}
template <class T>
inline T atomicMin(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return value < old ? value : old; }, site_);
}
template <class T>
inline T atomicMax(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return old < value ? value : old; }, site_);
}
template <class T>
inline T atomicAnd(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return static_cast<T>(old & value); }, site_);
}
template <class T>
inline T atomicOr(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return static_cast<T>(old | value); }, site_);
}
template <class T>
inline T atomicXor(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T old) { return static_cast<T>(old ^ value); }, site_);
}
template <class T>
inline T atomicExch(T* address, cuemu_value<T> value, CUEMU_SITE) {
    return cuemu::atomic_update(
        address, [=](T) { return value; }, site_);
}
/// A lock taken by polling makes no progress while it fails, so a lock that nobody frees is reported.
template <class T>
inline T atomicCAS(T* address, cuemu_value<T> expected, cuemu_value<T> desired, CUEMU_SITE) {
    static_assert(std::is_integral_v<T>, "CUDA compares integers only");
    cuemu::preempt();
    if (__atomic_compare_exchange_n(address, &expected, desired, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        cuemu::made_progress();
    else
        cuemu::poll(site_);
    return expected;
}

template <class T>
inline T __ldg(const T* address) {
    return *address;
}

inline unsigned __float_as_uint(float value) {
    return cuemu::bit_copy<unsigned>(value);
}
inline int __float_as_int(float value) {
    return cuemu::bit_copy<int>(value);
}
inline float __uint_as_float(unsigned bits) {
    return cuemu::bit_copy<float>(bits);
}
inline float __int_as_float(int bits) {
    return cuemu::bit_copy<float>(bits);
}
inline int __float2int_rn(float value) {
    return static_cast<int>(std::nearbyint(value));
}
inline float __fadd_rn(float a, float b) {
    return a + b;
}
inline float __fmul_rn(float a, float b) {
    return a * b;
}
inline float __fmaf_rn(float a, float b, float c) {
    return std::fma(a, b, c);
}
inline int __popc(unsigned value) {
    return __builtin_popcount(value);
}
inline int __popcll(unsigned long long value) {
    return __builtin_popcountll(value);
}
inline int __clz(int value) {
    return value == 0 ? 32 : __builtin_clz(static_cast<unsigned>(value));
}
inline int __ffs(int value) {
    return __builtin_ffs(value);
}
inline int __ffsll(long long value) {
    return __builtin_ffsll(value);
}
inline unsigned __umulhi(unsigned a, unsigned b) {
    return static_cast<unsigned>(static_cast<uint64_t>(a) * b >> 32);
}
inline unsigned __brev(unsigned value) {
    unsigned reversed = 0;
    for (int i = 0; i < 32; ++i) reversed |= (value >> i & 1u) << (31 - i);
    return reversed;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
    return static_cast<unsigned>((static_cast<uint64_t>(high) << 32 | low) >> (shift & 31));
}
/// Bytes of (b:a) picked by the nibbles of the selector; bit 3 of a nibble spreads the byte's sign.
inline unsigned __byte_perm(unsigned a, unsigned b, unsigned selector) {
    const uint64_t bytes = static_cast<uint64_t>(b) << 32 | a;
    unsigned result = 0;
    for (unsigned i = 0; i < 4; ++i) {
        const unsigned pick = selector >> (4 * i) & 15;
        unsigned byte = static_cast<unsigned>(bytes >> (8 * (pick & 7))) & 255;
        if (pick & 8) byte = byte & 128 ? 255 : 0;
        result |= byte << (8 * i);
    }
    return result;
}
/// c + the products of two signed halves and two signed bytes: the lower or the upper two of b.
inline int __dp2a_lo(int a, int b, int c) {
    for (int i = 0; i < 2; ++i)
        c += static_cast<int16_t>(static_cast<unsigned>(a) >> (16 * i)) *
             static_cast<int8_t>(static_cast<unsigned>(b) >> (8 * i));
    return c;
}
inline int __dp2a_hi(int a, int b, int c) {
    return __dp2a_lo(a, static_cast<int>(static_cast<unsigned>(b) >> 16), c);
}
/// c + the dot product of four signed bytes.
inline int __dp4a(int a, int b, int c) {
    for (int i = 0; i < 4; ++i)
        c += static_cast<int8_t>(static_cast<unsigned>(a) >> (8 * i)) *
             static_cast<int8_t>(static_cast<unsigned>(b) >> (8 * i));
    return c;
}
