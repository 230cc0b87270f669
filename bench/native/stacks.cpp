#include "stacks.hpp"

#include <algorithm>
#include <cmath>

#include "codewords.hpp"
#include "device/types.cuh"

namespace moek::bench {
namespace {

constexpr int32_t kRowBlock = 64;
// Prime, so that what is repeated lies differently in every matrix.
constexpr size_t kPeriod = 4194301;

// bf16 elements repeat with a period of kPeriod.
class DenseRows : public WeightStack {
public:
    DenseRows(Device& device, int32_t e, int32_t r, int32_t k, uint64_t seed) : period_(kPeriod) {
        matrices = e, rows = r, columns = k;
        dtype = MOEK_BF16;
        bytes = uint64_t{sizeof(bf16)} * e * r * k;
        Random random(seed);
        const float scale = 1.0f / std::sqrt(static_cast<float>(k));
        for (bf16& value : period_) value = from_float<bf16>(random.uniform() * scale);
        memory_ = Memory::repeat(device, period_, bytes);
    }
    void row(int64_t matrix, int64_t row, float* values) const override {
        const uint64_t first = (static_cast<uint64_t>(matrix) * rows + row) * columns;
        for (int32_t i = 0; i < columns; ++i) values[i] = to_float(period_[(first + i) % kPeriod]);
    }
    const void* data() const override { return memory_.get(); }

private:
    std::vector<bf16> period_;
    Memory memory_;
};

// Random codes, version 1 of the format with one stage and one codebook; codes and scales repeat.
class CodebookRows : public WeightStack {
public:
    CodebookRows(Device& device, int32_t e, int32_t r, int32_t k, int32_t dimension, uint64_t seed)
        : codes_(kPeriod), scales_(4093), vectors_(128 * static_cast<size_t>(dimension)) {
        if (r % kRowBlock != 0) throw Failure("rows of codebooks are multiples of 64 here");
        matrices = e, rows = r, columns = k;
        dtype = MOEK_CODEBOOK;
        groups_ = (k + dimension - 1) / dimension;
        Random random(seed);
        for (uint8_t& code : codes_) code = static_cast<uint8_t>(random.bits());
        // fp16 between 2^-9 and 2^-8: positive and normal.
        for (uint16_t& scale : scales_) scale = static_cast<uint16_t>(6 << 10 | random.below(1024));
        // At most 16 weights of at most 16: magnitudes add up to less than 257.
        for (int8_t& v : vectors_) v = static_cast<int8_t>(static_cast<int32_t>(random.below(33)) - 16);
        const uint64_t num_codes = uint64_t{1} * e * groups_ * r;
        device_codes_ = Memory::repeat(device, codes_, num_codes);
        device_scales_ = Memory::repeat(device, scales_, uint64_t{2} * e * r);
        device_vectors_ = Memory::of(device, vectors_);
        bytes = num_codes + uint64_t{2} * e * r;
        moek_codebook_desc_init(&desc_);
        desc_.rows = r, desc_.columns = k, desc_.dimension = dimension, desc_.stages = 1;
        desc_.matrices = e, desc_.codebooks = 1;
        desc_.scales = device_scales_.get<uint16_t>();
        desc_.codes = device_codes_.get<uint8_t>();
        desc_.codebook = device_vectors_.get<int8_t>();
    }
    void row(int64_t matrix, int64_t row, float* values) const override {
        const float scale = to_float(f16{scales_[static_cast<size_t>(matrix * rows + row) % scales_.size()]});
        for (int32_t g = 0; g < groups_; ++g) {
            const uint64_t at = static_cast<uint64_t>(matrix) * groups_ * rows + place(row, g);
            const uint8_t code = codes_[at % kPeriod];
            for (int32_t i = g * desc_.dimension, j = 0; j < desc_.dimension && i < columns; ++i, ++j) {
                const int8_t v = vectors_[static_cast<size_t>((code & 127) * desc_.dimension + j)];
                values[i] = scale * static_cast<float>(code < 128 ? v : -v);
            }
        }
    }
    const void* data() const override { return &desc_; }

private:
    // Byte of the code of (row, entry) in its matrix: FORMAT.md, "Order of the codes", with one stage.
    uint64_t place(int64_t row, int64_t entry) const {
        constexpr int64_t kChunk = 64;
        const int64_t row_blocks = rows / kRowBlock, chunk = entry / kChunk, f = entry % kChunk;
        const int64_t n = std::min<int64_t>(kChunk, groups_ - chunk * kChunk);
        const int64_t block = row / kRowBlock, strip = block / 4, i = block % 4;
        const int64_t m = std::min<int64_t>(4, row_blocks - 4 * strip);
        const bool alone = n % 2 == 1 && f == n - 1;
        const int64_t line = alone ? f * m + i : (f - f % 2) * m + 2 * i + f % 2;
        const int64_t byte = 2 * (row % 32) + row / 32 % 2;
        return static_cast<uint64_t>(64 * (chunk * kChunk * row_blocks + 4 * strip * n + line) + byte);
    }

    std::vector<uint8_t> codes_;
    std::vector<uint16_t> scales_;
    std::vector<int8_t> vectors_;
    Memory device_codes_, device_scales_, device_vectors_;
    moek_codebook_desc desc_{};
    int32_t groups_ = 0;
};

// Ternary weights, 88.5 % zeros as the dictionary expects, of one matrix; the others repeat it at other addresses.
class CodewordRows : public CodewordStack {
public:
    CodewordRows(Device& device, int32_t e, int32_t r, int32_t k, uint64_t seed) : symbols_(uint64_t{1} * r * k) {
        matrices = e, rows = r, columns = k;
        dtype = MOEK_QMOE;
        Random random(seed);
        for (uint8_t& symbol : symbols_) {
            const uint32_t draw = random.below(2000);
            symbol = draw < 1770 ? 0 : draw < 1885 ? 1 : 2;
        }
        const CodewordEncoder encoder;
        std::vector<uint16_t> codewords;
        std::vector<int32_t> ends;
        for (int32_t i = 0; i < r; ++i) {
            encoder.append(codewords, symbols_.data() + uint64_t{1} * i * k, k);
            ends.push_back(static_cast<int32_t>(codewords.size()));
        }
        std::vector<int64_t> offsets{0};
        for (int64_t m = 0; m < e; ++m) {
            for (const int32_t end : ends) offsets.push_back(m * ends.back() + end);
        }
        codewords_per_matrix_ = ends.back();
        ends.insert(ends.begin(), 0);
        for (int i = 0; i < 4094; ++i) levels_.push_back(from_float<bf16>(0.02f * (i % 2 * 2 - 1)));
        for (bf16& level : levels_) level = from_float<bf16>(to_float(level) * (1.5f + 0.5f * random.uniform()));
        device_codewords_ = Memory::repeat(device, codewords, uint64_t{2} * codewords.size() * e);
        device_offsets_ = Memory::of(device, offsets);
        device_ends_ = Memory::of(device, ends);
        device_levels_ = Memory::repeat(device, levels_, uint64_t{4} * e * r);
        // Levels and offsets count as the published format has them: 64 bits a row.
        bytes = device_codewords_.bytes() + uint64_t{8} * e * r;
        moek_qmoe_desc_init(&desc_);
        desc_.rows = r, desc_.columns = k, desc_.matrices = e;
        desc_.codewords = device_codewords_.get<uint16_t>();
        desc_.row_offsets = device_offsets_.get<int64_t>();
        desc_.min_max = device_levels_.get<uint16_t>();
    }
    void row(int64_t matrix, int64_t row, float* values) const override {
        const size_t at = static_cast<size_t>(2 * (matrix * rows + row)) % levels_.size();
        const float level[3] = {0.0f, to_float(levels_[at]), to_float(levels_[at + 1])};
        for (int32_t i = 0; i < columns; ++i) values[i] = level[symbols_[static_cast<size_t>(row * columns + i)]];
    }
    const void* data() const override { return &desc_; }
    CodewordMatrix matrix(int64_t index) const override {
        return {desc_.codewords + index * codewords_per_matrix_, device_ends_.get<int32_t>(),
                desc_.min_max + 2 * index * rows};
    }

private:
    std::vector<uint8_t> symbols_;
    std::vector<bf16> levels_;  // least and greatest of each row; an even number of them
    int64_t codewords_per_matrix_ = 0;
    Memory device_codewords_, device_offsets_, device_ends_, device_levels_;
    moek_qmoe_desc desc_{};
};

}  // namespace

std::string name_of(const Kind& kind) {
    if (kind.dtype == MOEK_CODEBOOK) return "codebook D=" + std::to_string(kind.dimension);
    return kind.dtype == MOEK_QMOE ? "codewords" : "bf16";
}

std::unique_ptr<WeightStack> make_stack(Device& device, const Kind& kind, int32_t matrices, int32_t rows,
                                        int32_t columns, uint64_t seed) {
    switch (kind.dtype) {
        case MOEK_CODEBOOK:
            return std::make_unique<CodebookRows>(device, matrices, rows, columns, kind.dimension, seed);
        case MOEK_QMOE:
            return std::make_unique<CodewordRows>(device, matrices, rows, columns, seed);
        default:
            return std::make_unique<DenseRows>(device, matrices, rows, columns, seed);
    }
}

Memory random_rows(Device& device, int32_t io, uint64_t count, float scale, uint64_t seed) {
    Random random(seed);
    std::vector<float> values(count < kPeriod ? count : kPeriod);
    for (float& value : values) value = random.uniform() * scale;
    if (io == MOEK_F32) return Memory::repeat(device, values, count * sizeof(float));
    std::vector<bf16> rounded;
    for (const float value : values) rounded.push_back(from_float<bf16>(value));
    return Memory::repeat(device, rounded, count * sizeof(bf16));
}

std::vector<float> read_rows(const Memory& memory, int32_t io) {
    if (io == MOEK_F32) return memory.read<float>();
    std::vector<float> values;
    for (const bf16 value : memory.read<bf16>()) values.push_back(to_float(value));
    return values;
}

Weights::Weights(Device& device, const WeightStack& stack) {
    moek_weights_desc desc;
    moek_weights_desc_init(&desc);
    desc.dtype = stack.dtype;
    desc.matrices = stack.matrices;
    desc.rows = stack.rows;
    desc.columns = stack.columns;
    desc.flags = MOEK_BORROW;
    desc.data = stack.data();
    desc.data_bytes = stack.dtype == MOEK_BF16 ? stack.bytes : 0;
    MOEK_REQUIRE(moek_weights_create(&handle, device.context, &desc));
}

void Comparison::require_below(double limit) const {
    const double relative = std::sqrt(error_ / square_);
    if (count_ == 0 || !(square_ > 0) || !(relative <= limit)) {
        throw Failure("relative error " + std::to_string(relative) + " over " + std::to_string(count_) +
                      " results is not below " + std::to_string(limit));
    }
}

// bf16 rounds relatively by 2^-9 / sqrt(3) at most, inputs, intermediates and results: below 0.4 % together. Inputs of
// codebooks are rounded to 16 bits, uniform ones by a relative 2^-16. Limits are twice that and more.
double product_limit(const Kind& kind, int32_t io) {
    if (io == MOEK_BF16) return 0.008;
    return kind.dtype == MOEK_CODEBOOK ? 1e-4 : 1e-5;
}

}  // namespace moek::bench
