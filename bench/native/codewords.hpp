// The encoder of QMoE's codewords (arXiv 2310.16795, section 4.2), for random matrices.
#pragma once
#include <cstdint>
#include <unordered_map>
#include <vector>

#include "kernels/packed/qmoe.hpp"

namespace moek::bench {

class CodewordEncoder {
public:
    // A dictionary entry is n pairs of symbols; its key has 4 bits a pair from the bottom, value + 1.
    CodewordEncoder() {
        std::vector<uint32_t> words(2 * size_t{kEntries});
        qmoe_dictionary(words.data());
        for (uint32_t entry = 0; entry < kEntries; ++entry) {
            uint64_t key = 0;
            const uint32_t pairs = words[2 * entry] & 15;
            for (uint32_t p = 0; p < pairs; ++p) {
                const uint32_t digits = words[2 * entry + p / 7] >> (4 + 4 * (p % 7)) & 15;
                key |= uint64_t{(digits & 3) + 3 * (digits >> 2) + 1} << (4 * p);
            }
            entries_[key] = static_cast<uint16_t>(entry);
        }
    }

    // Longest entries first, which gives the fewest; a missing last symbol counts as 0.
    void append(std::vector<uint16_t>& codewords, const uint8_t* symbols, int64_t count) const {
        uint64_t key = 0;
        uint32_t length = 0;
        auto found = entries_.end();
        for (int64_t i = 0; i < count; i += 2) {
            const uint64_t pair = symbols[i] + 3u * (i + 1 < count ? symbols[i + 1] : 0u) + 1;
            const auto longer = length < kMostPairs ? entries_.find(key | pair << (4 * length)) : entries_.end();
            if (longer == entries_.end()) {
                codewords.push_back(found->second);
                key = pair;
                length = 1;
                found = entries_.find(key);
            } else {
                key |= pair << (4 * length++);
                found = longer;
            }
        }
        if (length > 0) codewords.push_back(found->second);
    }

private:
    static constexpr uint32_t kEntries = 65536;
    static constexpr uint32_t kMostPairs = 14;
    std::unordered_map<uint64_t, uint16_t> entries_;
};

}  // namespace moek::bench
