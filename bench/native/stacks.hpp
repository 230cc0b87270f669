// Stacks of matrices for benchmarks: large on the device, small on the host, and any row as fp32 for references.
#pragma once
#include <memory>
#include <vector>

#include "bench.hpp"

namespace moek::bench {

// splitmix64: the same numbers everywhere.
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed) {}
    uint64_t bits() {
        uint64_t z = state_ += 0x9E3779B97F4A7C15ull;
        z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
        z = (z ^ z >> 27) * 0x94D049BB133111EBull;
        return z ^ z >> 31;
    }
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>((bits() >> 32) * bound >> 32); }
    // In [-1, 1).
    float uniform() { return static_cast<float>(bits() >> 40) * 0x1p-23f - 1.0f; }

private:
    uint64_t state_;
};

// E matrices [R, K] in device memory of their own.
class WeightStack {
public:
    virtual ~WeightStack() = default;
    // Row r of matrix e as the format defines it, [K].
    virtual void row(int64_t matrix, int64_t row, float* values) const = 0;
    // A moek_codebook_desc, a moek_qmoe_desc or the elements, as the C headers take them with MOEK_BORROW.
    virtual const void* data() const = 0;

    int32_t dtype = MOEK_BF16;
    int32_t matrices = 0, rows = 0, columns = 0;
    uint64_t bytes = 0;  // of all matrices, with scales and offsets

    double bytes_per_matrix() const { return static_cast<double>(bytes) / matrices; }
};

// One matrix in codewords, as the paper's kernel takes it: device memory.
struct CodewordMatrix {
    const uint16_t* codewords;
    const int32_t* row_offsets;  // [rows + 1]
    const uint16_t* min_max;     // bf16, [rows, 2]
};

class CodewordStack : public WeightStack {
public:
    virtual CodewordMatrix matrix(int64_t index) const = 0;
};

// What a stack holds: bf16 elements, codes of `dimension` weights, or codewords.
struct Kind {
    int32_t dtype = MOEK_BF16;
    int32_t dimension = 8;
};
std::string name_of(const Kind& kind);

std::unique_ptr<WeightStack> make_stack(Device& device, const Kind& kind, int32_t matrices, int32_t rows,
                                        int32_t columns, uint64_t seed);

// Uniform in [-scale, scale), fp32 or bf16 by `io`.
Memory random_rows(Device& device, int32_t io, uint64_t count, float scale, uint64_t seed);
// Elements as fp32.
std::vector<float> read_rows(const Memory& memory, int32_t io);

// moek_weights of a stack.
class Weights {
public:
    Weights(Device& device, const WeightStack& stack);
    ~Weights() { moek_weights_destroy(handle); }
    Weights(const Weights&) = delete;
    Weights& operator=(const Weights&) = delete;
    moek_weights* handle = nullptr;
};

// Root of the mean squared error over the root mean square of the reference; compares sampled results.
class Comparison {
public:
    void add(double actual, double expected) {
        error_ += (actual - expected) * (actual - expected);
        square_ += expected * expected;
        ++count_;
    }
    // Throws a Failure above the limit, for NaN, and when nothing was compared or all of it was zero.
    void require_below(double limit) const;

private:
    double error_ = 0, square_ = 0;
    int64_t count_ = 0;
};

// Largest relative error of a product with such weights and with inputs and results of type `io`.
double product_limit(const Kind& kind, int32_t io);

}  // namespace moek::bench
