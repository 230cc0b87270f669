// Random codebook stacks and what their products are: exactly, and with the roundings of the lookup kernel.
#pragma once
#include <memory>

#include "kernels/packed/codebook.hpp"
#include "packed/packed_case.hpp"

namespace moek::test {

// A stack in the order of the file. Places follow FORMAT.md by its own words, not the kernels' header.
struct CodebookCase {
    int32_t rows = 0, columns = 0, dimension = 1, stages = 1, matrices = 1, codebooks = 1;
    std::vector<uint16_t> scales, inputs;
    std::vector<uint8_t> codes;
    std::vector<int8_t> codebook;

    int64_t blocks() const { return (rows + 63) / 64; }
    int64_t groups() const { return (columns + dimension - 1) / dimension; }
    int64_t entries() const { return groups() * stages; }
    int64_t chunk_groups() const { return 64 / stages / 2 * 2; }
    int64_t chunks() const { return (groups() + chunk_groups() - 1) / chunk_groups(); }
    int64_t matrix_bytes() const { return 64 * blocks() * entries(); }

    int64_t byte_of(int64_t r, int64_t e) const {
        const int64_t full = chunk_groups() * stages;
        const int64_t c = e / full, f = e % full;
        const int64_t n = std::min(full, entries() - c * full);
        const int64_t b = r / 64, t = b / 4, i = b % 4;
        const int64_t m = std::min<int64_t>(4, blocks() - 4 * t);
        const int64_t line = f - f % 2 + 1 < n ? (f - f % 2) * m + 2 * i + f % 2 : f * m + i;
        return 64 * (c * full * blocks() + 4 * t * n + line) + 2 * (r % 32) + r / 32 % 2;
    }
    // The integer that a row's scale multiplies.
    int number(int64_t matrix, int64_t r, int64_t column) const {
        const int64_t g = column / dimension, k = column % dimension;
        const int64_t book = codebooks == 1 ? 0 : matrix;
        int sum = 0;
        for (int s = 0; s < stages; ++s) {
            const uint8_t code = codes[static_cast<size_t>(matrix * matrix_bytes() + byte_of(r, g * stages + s))];
            const int value = codebook[static_cast<size_t>(((book * stages + s) * 128 + code % 128) * dimension + k)];
            sum += code < 128 ? value : -value;
        }
        return sum;
    }
    float scale(int64_t matrix, int64_t r) const {
        return to_float(f16{scales[static_cast<size_t>(matrix * 64 * blocks() + r)]});
    }
    float factor(int64_t matrix, int64_t column) const {
        if (inputs.empty()) return 1.0f;
        return to_float(f16{inputs[static_cast<size_t>((codebooks == 1 ? 0 : matrix) * columns + column)]});
    }
};

inline CodebookCase make_codebook(Random& random, int32_t rows, int32_t columns, int32_t dimension, int32_t stages,
                                  int32_t matrices, bool own_codebooks, bool has_inputs) {
    CodebookCase made;
    made.rows = rows;
    made.columns = columns;
    made.dimension = dimension;
    made.stages = stages;
    made.matrices = matrices;
    made.codebooks = own_codebooks ? matrices : 1;
    for (int64_t i = 0; i < matrices * 64 * made.blocks(); ++i) {
        const bool padding = i % (64 * made.blocks()) >= rows;
        const float scale = 0.01f * (1.0f + std::fabs(random.uniform()));
        made.scales.push_back(padding || random.below(50) == 0 ? 0 : from_float<f16>(scale).bits);
    }
    made.codes.resize(static_cast<size_t>(matrices * made.matrix_bytes()));
    for (int64_t m = 0; m < matrices; ++m)
        for (int64_t r = 0; r < rows; ++r)
            for (int64_t e = 0; e < made.entries(); ++e)
                made.codes[static_cast<size_t>(m * made.matrix_bytes() + made.byte_of(r, e))] =
                    static_cast<uint8_t>(random.below(256));
    // Magnitudes of a vector add up to 257 at most.
    const int most = std::min(64, 257 / dimension);
    for (int64_t i = 0; i < static_cast<int64_t>(made.codebooks) * stages * 128 * dimension; ++i)
        made.codebook.push_back(
            static_cast<int8_t>(static_cast<int>(random.below(static_cast<uint32_t>(2 * most + 1))) - most));
    for (int64_t i = 0; has_inputs && i < static_cast<int64_t>(made.codebooks) * columns; ++i)
        made.inputs.push_back(from_float<f16>(0.5f + std::fabs(random.uniform())).bits);
    return made;
}

// A case's stack in device memory.
class DeviceCodebook {
public:
    explicit DeviceCodebook(const CodebookCase& made)
        : scales_(made.scales),
          inputs_(made.inputs.empty() ? std::vector<uint16_t>(1) : made.inputs),
          codes_(made.codes),
          codebook_(made.codebook) {
        stack.rows = made.rows;
        stack.columns = made.columns;
        stack.dimension = made.dimension;
        stack.stages = made.stages;
        stack.matrices = made.matrices;
        stack.codebooks = made.codebooks;
        stack.scales = scales_.get();
        stack.codes = codes_.get();
        stack.codebook = codebook_.get();
        stack.inputs = made.inputs.empty() ? nullptr : inputs_.get();
    }
    CodebookStack stack;

private:
    DeviceArray<uint16_t> scales_, inputs_;
    DeviceArray<uint8_t> codes_;
    DeviceArray<int8_t> codebook_;
};

// A product in fp64 with what its roundings may change: `slack` is their bound.
struct Expected {
    double value = 0, slack = 0;
};

// Exact, and the bound of the lookup kernel: an input is off by half a step at most, plus an ulp of its product with
// the factor; a chunk's fused step and the row scale round once each.
inline Expected exact_product(const CodebookCase& made, int64_t matrix, int64_t row, const float* x) {
    Expected expected;
    double magnitudes = 0;
    for (int64_t c = 0; c < made.chunks(); ++c) {
        const int64_t first = c * made.chunk_groups() * made.dimension;
        const int64_t end = std::min<int64_t>(first + made.chunk_groups() * made.dimension, made.columns);
        double largest = 0, norm = 0;
        for (int64_t k = first; k < end; ++k) {
            const double input = static_cast<double>(x[k]) * made.factor(matrix, k);
            const int number = made.number(matrix, row, k);
            expected.value += number * input;
            magnitudes += std::fabs(number * input);
            norm += std::abs(number);
            largest = std::max(largest, std::fabs(input));
        }
        expected.slack += norm * largest * (0.5 / 32767 + 0x1p-22);
    }
    const double scale = made.scale(matrix, row);
    expected.slack = scale * (expected.slack + magnitudes * static_cast<double>(made.chunks() + 2) * 0x1p-23);
    expected.value *= scale;
    return expected;
}

// The lookup kernel's arithmetic in plain loops.
inline float lookup_product(const CodebookCase& made, int64_t matrix, int64_t row, const float* x) {
    float result = 0;
    for (int64_t c = 0; c < made.chunks(); ++c) {
        const int64_t first = c * made.chunk_groups() * made.dimension;
        const int64_t end = std::min<int64_t>(first + made.chunk_groups() * made.dimension, made.columns);
        float largest = 0;
        bool finite = true;
        for (int64_t k = first; k < end; ++k) {
            const float input = made.inputs.empty() ? x[k] : x[k] * made.factor(matrix, k);
            finite = finite && std::isfinite(input);
            largest = std::max(largest, std::fabs(input));
        }
        int64_t sum = 0;
        const bool zero = !finite || largest < 1e-30f;
        const float per_input = zero ? 0.0f : 32767 / largest;
        for (int64_t k = first; k < end; ++k) {
            const float input = made.inputs.empty() ? x[k] : x[k] * made.factor(matrix, k);
            sum += zero ? 0 : static_cast<int64_t>(std::nearbyint(input * per_input)) * made.number(matrix, row, k);
        }
        const float step = !finite ? std::nanf("") : zero ? 0.0f : largest / 32767;
        result = std::fma(static_cast<float>(sum), step, result);
    }
    return made.scale(matrix, row) * result;
}

}  // namespace moek::test
