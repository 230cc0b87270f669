// Lays parts of a caller's workspace out, each aligned to 256 bytes: once with no memory to learn the size, once to get
// the pointers.
#pragma once

#include <cstdint>

#include "abi/arguments.hpp"

namespace moek {

class WorkspaceLayout {
public:
    explicit WorkspaceLayout(void* memory = nullptr) : memory_(static_cast<unsigned char*>(memory)) {}

    template <typename T>
    T* take(uint64_t count) {
        return static_cast<T*>(take_bytes(product(count, sizeof(T), "workspace")));
    }

    void* take_bytes(uint64_t bytes) {
        void* part = memory_ == nullptr ? nullptr : memory_ + used_;
        used_ += (bytes + 255) / 256 * 256;
        if (used_ > INT64_MAX) fail(MOEK_E_ARGUMENT, "workspace: too large");
        return part;
    }

    uint64_t bytes() const { return used_; }

private:
    unsigned char* memory_;
    uint64_t used_ = 0;
};

}  // namespace moek
