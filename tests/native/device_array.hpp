// Device memory of a test, filled from and read into vectors.
#pragma once
#include <vector>

#include "check.hpp"

namespace moek::test {

/// Owns `size` elements on the device. Without values all bits are set: NaN in every float type.
template <class T>
class DeviceArray {
public:
    explicit DeviceArray(size_t size) : size_(size) {
        CHECK_CUDA(cudaMalloc(&data_, size * sizeof(T)));
        if (!MOEK_EMULATED) CHECK_CUDA(cudaMemset(data_, 0xFF, size * sizeof(T)));
    }
    explicit DeviceArray(const std::vector<T>& values) : DeviceArray(values.size()) {
        CHECK_CUDA(cudaMemcpy(data_, values.data(), size_ * sizeof(T), cudaMemcpyHostToDevice));
    }
    ~DeviceArray() { cudaFree(data_); }
    DeviceArray(const DeviceArray&) = delete;
    DeviceArray& operator=(const DeviceArray&) = delete;

    T* get() const { return data_; }
    size_t size() const { return size_; }

    /// Waits for the device; zeros if it has failed, which is a failed check by then.
    std::vector<T> read() const {
        std::vector<T> values(size_);
        CHECK_CUDA(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost));
        return values;
    }

private:
    T* data_ = nullptr;
    size_t size_;
};

}  // namespace moek::test
