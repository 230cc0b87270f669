// QMoE's dictionary (arXiv 2310.16795, section 4) and the check of matrices written with it. Host code.
#include <queue>
#include <vector>

#include "kernels/packed/qmoe.hpp"

namespace moek {
namespace {

constexpr int kEntries = 1 << 16;
constexpr int kMaxPairs = 14;
constexpr int kPairValues = 9;  // first symbol + 3 * second symbol
constexpr int kWeightsPerWord = 14;
constexpr int kRoot = -1;
// The probability of a zero that the authors fixed for all models.
constexpr double kZero = .885;

// A string of pairs that may become an entry: an entry and one more pair.
struct Candidate {
    double probability;  // negated
    uint64_t text;       // 4 bits a pair from the top, value + 1: their order is the authors' lexicographic order
    int parent;
    int pair;
    int length;
};

// priority_queue takes the largest first: the least probability, then the least text.
struct ComesLater {
    bool operator()(const Candidate& a, const Candidate& b) const {
        return a.probability != b.probability ? a.probability > b.probability : a.text > b.text;
    }
};

using Queue = std::priority_queue<Candidate, std::vector<Candidate>, ComesLater>;

// Probabilities are equal but for rounding wherever length and number of nonzeros are, so the order of the products
// decides which strings get in: from the left, in double, nothing fused.
void extend(Queue& queue, const double* pairs, const Candidate& from, int entry) {
    for (int pair = 0; pair < kPairValues; ++pair) {
        const uint64_t text = from.text | static_cast<uint64_t>(pair + 1) << (60 - 4 * from.length);
        queue.push({from.probability * pairs[pair], text, entry, pair, from.length + 1});
    }
}

// The parent's words with one more pair.
void write_words(uint32_t* words, int entry, const Candidate& taken) {
    uint32_t* to = words + 2 * entry;
    for (int w = 0; w < 2; ++w) to[w] = taken.parent == kRoot ? 0 : words[2 * taken.parent + w];
    const int weight = 2 * (taken.length - 1);
    const uint32_t symbols = static_cast<uint32_t>(taken.pair % 3 | taken.pair / 3 << 2);
    to[weight / kWeightsPerWord] |= symbols << (4 + 2 * (weight % kWeightsPerWord));
    for (int w = 0; w < 2; ++w) to[w] = (to[w] & ~15u) | static_cast<uint32_t>(taken.length);
}

bool is_finite(uint16_t bits) {
    return (bits & 0x7F80) != 0x7F80;
}

}  // namespace

void qmoe_dictionary(uint32_t* words) {
    const double symbols[3] = {kZero, (1 - kZero) / 2, (1 - kZero) / 2};
    double pairs[kPairValues];
    for (int i = 0; i < kPairValues; ++i) pairs[i] = symbols[i / 3] * symbols[i % 3];
    Queue queue;
    extend(queue, pairs, {-1.0, 0, kRoot, 0, 0}, kRoot);
    for (int entry = 0; entry < kEntries; ++entry) {
        const Candidate taken = queue.top();
        queue.pop();
        write_words(words, entry, taken);
        if (taken.length < kMaxPairs) extend(queue, pairs, taken, entry);
    }
}

void qmoe_entries(QmoeEntry* entries, const uint32_t* words) {
    for (int entry = 0; entry < kEntries; ++entry) {
        const uint32_t weights = 2 * (words[2 * entry] & 15);
        uint32_t bits = weights << 24;
        int nonzeros = 0;
        for (uint32_t place = 0; place < weights; ++place) {
            const uint32_t word = words[2 * entry + static_cast<int>(place / kWeightsPerWord)];
            const uint32_t symbol = word >> (4 + 2 * (place % kWeightsPerWord)) & 3;
            if (symbol != 0) bits |= (place | symbol << 5) << 8 * nonzeros++;
        }
        entries[entry].bits = bits;
    }
}

int64_t qmoe_first_bad_row(const QmoeStack& host, const uint32_t* dictionary, int64_t codeword_count) {
    const int64_t rows = static_cast<int64_t>(host.matrices) * host.rows;
    const int64_t wanted = (static_cast<int64_t>(host.columns) + 1) / 2;
    if (host.row_offsets[0] != 0) return 0;
    for (int64_t row = 0; row < rows; ++row) {
        const int64_t begin = host.row_offsets[row];
        const int64_t end = host.row_offsets[row + 1];
        if (begin > end || end > codeword_count) return row;
        if (host.min_max != nullptr && !(is_finite(host.min_max[2 * row]) && is_finite(host.min_max[2 * row + 1]))) {
            return row;
        }
        int64_t pairs = 0;
        for (int64_t at = begin; at < end; ++at) pairs += dictionary[2 * host.codewords[at]] & 15;
        if (pairs != wanted) return row;
    }
    return host.row_offsets[rows] == codeword_count ? -1 : rows - 1;
}

}  // namespace moek
