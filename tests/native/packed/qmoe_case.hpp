// Random matrices in QMoE's codewords, and their products.
#pragma once
#include <map>

#include "kernels/packed/qmoe.hpp"
#include "packed/packed_case.hpp"

namespace moek::test {

constexpr size_t kDictionaryWords = 2 * 65536;

inline const std::vector<uint32_t>& dictionary() {
    static const std::vector<uint32_t> words = [] {
        std::vector<uint32_t> made(kDictionaryWords);
        qmoe_dictionary(made.data());
        return made;
    }();
    return words;
}

inline const std::vector<QmoeEntry>& entries() {
    static const std::vector<QmoeEntry> made = [] {
        std::vector<QmoeEntry> of_words(65536);
        qmoe_entries(of_words.data(), dictionary().data());
        return of_words;
    }();
    return made;
}

inline std::vector<int> symbols_of(uint32_t codeword) {
    std::vector<int> symbols;
    for (uint32_t i = 0; i < 2 * (dictionary()[2 * codeword] & 15); ++i)
        symbols.push_back(static_cast<int>(dictionary()[2 * codeword + i / 14] >> (4 + 2 * (i % 14)) & 3));
    return symbols;
}

// The longest entry that fits, again and again: the only way to cut a row (prefixes of entries are entries).
inline std::vector<uint16_t> encode(const std::vector<int>& symbols) {
    static const std::map<std::vector<int>, uint16_t> entries = [] {
        std::map<std::vector<int>, uint16_t> made;
        for (uint32_t c = 0; c < 65536; ++c) made[symbols_of(c)] = static_cast<uint16_t>(c);
        return made;
    }();
    std::vector<uint16_t> codewords;
    std::vector<int> padded = symbols;
    if (padded.size() % 2 != 0) padded.push_back(0);
    for (size_t at = 0; at < padded.size();) {
        std::vector<int> text;
        uint16_t best = 0;
        for (size_t i = at; i < padded.size(); i += 2) {
            text.insert(text.end(), {padded[i], padded[i + 1]});
            const auto found = entries.find(text);
            if (found == entries.end()) {
                text.resize(text.size() - 2);
                break;
            }
            best = found->second;
        }
        codewords.push_back(best);
        at += text.size();
    }
    return codewords;
}

// A stack with its symbols. Rows differ in their share of zeros; some name every zero by the level 0 (the authors'
// encoder, where a row has no negative weight), some have no zeros.
struct QmoeCase {
    int32_t rows = 0, columns = 0, matrices = 1;
    std::vector<uint16_t> codewords, min_max;
    std::vector<int64_t> offsets = {0};
    std::vector<std::vector<int>> symbols;

    float weight(int64_t row, int64_t column) const {
        const int symbol = symbols[static_cast<size_t>(row)][static_cast<size_t>(column)];
        return symbol == 0 ? 0.0f : to_float(bf16{min_max[static_cast<size_t>(2 * row + symbol - 1)]});
    }
    QmoeStack host() const {
        return {rows, columns, matrices, codewords.data(), offsets.data(), min_max.data(), nullptr};
    }
};

inline QmoeCase make_qmoe(Random& random, int32_t rows, int32_t columns, int32_t matrices) {
    QmoeCase made;
    made.rows = rows;
    made.columns = columns;
    made.matrices = matrices;
    for (int64_t row = 0; row < static_cast<int64_t>(rows) * matrices; ++row) {
        const uint32_t kind = random.below(12);
        const uint32_t nonzero = kind == 0 ? 256 : kind == 1 ? 0 : kind < 5 ? 80 : 29;  // of 256
        const bool zero_is_low = kind == 2;
        std::vector<int> symbols;
        for (int32_t c = 0; c < columns; ++c) {
            const bool zero = random.below(256) >= nonzero;
            symbols.push_back(zero ? (zero_is_low ? 1 : 0) : zero_is_low ? 2 : 1 + static_cast<int>(random.below(2)));
        }
        const float low = zero_is_low ? 0.0f : -0.02f * (1 + std::fabs(random.uniform()));
        made.min_max.push_back(from_float<bf16>(low).bits);
        made.min_max.push_back(from_float<bf16>(0.02f * (1 + std::fabs(random.uniform()))).bits);
        // Behind an odd row the last pair holds a weight that nobody asked for.
        std::vector<int> whole_pairs = symbols;
        if (columns % 2 != 0) whole_pairs.push_back(static_cast<int>(random.below(3)));
        const std::vector<uint16_t> codewords = encode(whole_pairs);
        made.codewords.insert(made.codewords.end(), codewords.begin(), codewords.end());
        made.offsets.push_back(static_cast<int64_t>(made.codewords.size()));
        made.symbols.push_back(symbols);
    }
    return made;
}

class DeviceQmoe {
public:
    explicit DeviceQmoe(const QmoeCase& made)
        : codewords_(made.codewords), min_max_(made.min_max), offsets_(made.offsets), entries_(entries()) {
        stack = {made.rows,      made.columns,   made.matrices, codewords_.get(),
                 offsets_.get(), min_max_.get(), entries_.get()};
    }
    QmoeStack stack;

private:
    DeviceArray<uint16_t> codewords_, min_max_;
    DeviceArray<int64_t> offsets_;
    DeviceArray<QmoeEntry> entries_;
};

// In fp64. fp32 sums of the columns are off by an ulp of the magnitudes for each of their additions: a lane's share of
// the codewords, five steps of the tree, two products and their sum.
inline double qmoe_product(const QmoeCase& made, int64_t row, const float* x, double& slack) {
    double sum = 0, magnitudes = 0;
    for (int32_t c = 0; c < made.columns; ++c) {
        const double term = static_cast<double>(made.weight(row, c)) * x[c];
        sum += term;
        magnitudes += std::fabs(term);
    }
    slack = magnitudes * (made.columns / 32.0 + 40) * 0x1p-24;
    return sum;
}

}  // namespace moek::test
