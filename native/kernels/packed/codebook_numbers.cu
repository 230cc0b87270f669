// Which numbers a codebook stack may hold, checked on the host.
#include <cstdlib>

#include "kernels/packed/codebook_shape.hpp"

namespace moek {
namespace {

constexpr uint16_t kInfinity = 0x7C00;        // fp16
constexpr uint16_t kSmallestNormal = 0x0400;  // fp16
constexpr int kLargestNumber = 64;
constexpr int kLargestNorm = 257;

bool is_normal(uint16_t half) {
    return half >= kSmallestNormal && half < kInfinity;
}

bool vectors_valid(const CodebookStack& host) {
    const int64_t count = static_cast<int64_t>(host.codebooks) * host.stages * kVectors;
    for (int64_t vector = 0; vector < count; ++vector) {
        int norm = 0;
        for (int32_t k = 0; k < host.dimension; ++k) {
            const int number = std::abs(static_cast<int>(host.codebook[vector * host.dimension + k]));
            if (number > kLargestNumber) return false;
            norm += number;
        }
        if (norm > kLargestNorm) return false;
    }
    return true;
}

}  // namespace

bool codebook_numbers_valid(const CodebookStack& host) {
    const CodebookShape shape = shape_of(host);
    for (int64_t at = 0; at < host.matrices * shape.padded_rows(); ++at) {
        const bool is_padding = at % shape.padded_rows() >= host.rows;
        if (host.scales[at] != 0 && (is_padding || !is_normal(host.scales[at]))) return false;
    }
    const int64_t factors = host.inputs == nullptr ? 0 : static_cast<int64_t>(host.codebooks) * host.columns;
    for (int64_t at = 0; at < factors; ++at) {
        if (!is_normal(host.inputs[at])) return false;
    }
    return vectors_valid(host);
}

}  // namespace moek
