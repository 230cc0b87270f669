// What the tests of kernels share: outputs with guards, random vectors, comparison of bits.
#pragma once
#include <algorithm>
#include <cstring>
#include <vector>

#include "check.hpp"
#include "device/types.cuh"
#include "device_array.hpp"

namespace moek::test {

#ifdef __SANITIZE_THREAD__
constexpr bool kThreadSanitizer = true;
#else
constexpr bool kThreadSanitizer = false;
#endif

/// `size` elements for a kernel to write, all bits set, with as many again behind them that it must leave alone.
/// `shift` elements before them make the first one misaligned.
template <class T>
class Guarded {
public:
    explicit Guarded(size_t size, size_t shift = 0) : size_(size), shift_(shift), array_(shift + size + kGuard) {}
    explicit Guarded(const std::vector<T>& values, size_t shift = 0) : Guarded(values.size(), shift) {
        CHECK_CUDA(cudaMemcpy(get(), values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
    }

    T* get() const { return array_.get() + shift_; }

    std::vector<T> read() const {
        const std::vector<T> all = array_.read();
        const T* begin = all.data();
        CHECK(untouched(begin, shift_));
        CHECK(untouched(begin + shift_ + size_, kGuard));
        return {begin + shift_, begin + shift_ + size_};
    }

    /// Whether all bits of all elements are still set.
    static bool untouched(const T* values, size_t count) {
        const auto* bytes = reinterpret_cast<const unsigned char*>(values);
        return std::all_of(bytes, bytes + count * sizeof(T), [](unsigned char byte) { return byte == 0xFF; });
    }

private:
    static constexpr size_t kGuard = 32;
    size_t size_, shift_;
    DeviceArray<T> array_;
};

template <class T>
std::vector<T> random_values(Random& random, size_t count, float scale = 1.0f) {
    std::vector<T> values(count);
    for (T& value : values) value = from_float<T>(random.uniform() * scale);
    return values;
}

/// Index of the first element whose bits differ, or -1.
template <class T>
int64_t first_difference(const std::vector<T>& actual, const std::vector<T>& expected) {
    if (actual.size() != expected.size()) return 0;
    for (size_t i = 0; i < actual.size(); ++i)
        if (std::memcmp(&actual[i], &expected[i], sizeof(T)) != 0) return static_cast<int64_t>(i);
    return -1;
}

}  // namespace moek::test
