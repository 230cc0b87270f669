// QMoE's dictionary, the check of its matrices, and products with them.
#include "kernels/packed/qmoe.hpp"

#include <map>

#include "packed/packed_case.hpp"

using namespace moek;
using namespace moek::test;

namespace {

constexpr size_t kWords = 2 * 65536;

const std::vector<uint32_t>& dictionary() {
    static const std::vector<uint32_t> words = [] {
        std::vector<uint32_t> made(kWords);
        qmoe_dictionary(made.data());
        return made;
    }();
    return words;
}

std::vector<int> symbols_of(uint32_t codeword) {
    std::vector<int> symbols;
    for (uint32_t i = 0; i < 2 * (dictionary()[2 * codeword] & 15); ++i)
        symbols.push_back(static_cast<int>(dictionary()[2 * codeword + i / 14] >> (4 + 2 * (i % 14)) & 3));
    return symbols;
}

// The longest entry that fits, again and again: the only way to cut a row (prefixes of entries are entries).
std::vector<uint16_t> encode(const std::vector<int>& symbols) {
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

// Reflected CRC-32 of IEEE 802.3.
uint32_t crc32(const uint8_t* bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
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
        return {rows, columns, matrices, codewords.data(), offsets.data(), min_max.data(), dictionary().data()};
    }
};

QmoeCase make_qmoe(Random& random, int32_t rows, int32_t columns, int32_t matrices) {
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
        const std::vector<uint16_t> codewords = encode(symbols);
        made.codewords.insert(made.codewords.end(), codewords.begin(), codewords.end());
        made.offsets.push_back(static_cast<int64_t>(made.codewords.size()));
        made.symbols.push_back(symbols);
    }
    return made;
}

class DeviceQmoe {
public:
    explicit DeviceQmoe(const QmoeCase& made)
        : codewords_(made.codewords), min_max_(made.min_max), offsets_(made.offsets), dictionary_(dictionary()) {
        stack = {made.rows,      made.columns,   made.matrices,    codewords_.get(),
                 offsets_.get(), min_max_.get(), dictionary_.get()};
    }
    QmoeStack stack;

private:
    DeviceArray<uint16_t> codewords_, min_max_;
    DeviceArray<int64_t> offsets_;
    DeviceArray<uint32_t> dictionary_;
};

// In fp64. fp32 sums of the columns are off by an ulp of the magnitudes for each of their additions: a lane's share of
// the codewords, five steps of the tree, two products and their sum.
double product(const QmoeCase& made, int64_t row, const float* x, double& slack) {
    double sum = 0, magnitudes = 0;
    for (int32_t c = 0; c < made.columns; ++c) {
        const double term = static_cast<double>(made.weight(row, c)) * x[c];
        sum += term;
        magnitudes += std::fabs(term);
    }
    slack = magnitudes * (made.columns / 32.0 + 40) * 0x1p-24;
    return sum;
}

std::vector<float> run_linear(const QmoeCase& made, const std::vector<float>& x, const std::vector<int32_t>& offsets,
                              int32_t max_slots, Element io, const std::vector<float>& bias) {
    const DeviceQmoe device(made);
    const DeviceArray<uint8_t> device_x(store(x, io));
    const DeviceArray<int32_t> device_offsets(offsets);
    const DeviceArray<float> device_bias(bias);
    GuardedOutput y(max_slots, made.rows, io);
    GroupedLinear call;
    call.groups = {device_offsets.get(), made.matrices, max_slots};
    call.x = device_x.get();
    call.io = io;
    call.bias = device_bias.get();
    call.y = y.get();
    CHECK_CUDA(launch_qmoe_linear(call, device.stack, {}, test_launch()));
    return y.read(offsets.back());
}

void check_linear(int32_t rows, int32_t columns, const std::vector<int32_t>& offsets, int32_t max_slots, Element io,
                  uint64_t seed) {
    Random random(seed);
    const auto matrices = static_cast<int32_t>(offsets.size()) - 1;
    const QmoeCase made = make_qmoe(random, rows, columns, matrices);
    const std::vector<float> x = make_rows(random, static_cast<size_t>(max_slots) * static_cast<size_t>(columns), io);
    std::vector<float> bias;
    for (int32_t i = 0; i < matrices * rows; ++i) bias.push_back(random.uniform());
    const std::vector<float> y = run_linear(made, x, offsets, max_slots, io, bias);
    for (int32_t m = 0; m < matrices; ++m)
        for (int32_t slot = offsets[static_cast<size_t>(m)]; slot < offsets[static_cast<size_t>(m) + 1]; ++slot)
            for (int32_t r = 0; r < rows; ++r) {
                double slack;
                const int64_t row = static_cast<int64_t>(m) * rows + r;
                const double expected = product(made, row, x.data() + static_cast<int64_t>(slot) * columns, slack) +
                                        bias[static_cast<size_t>(row)];
                const double ulp = io == Element::kF32 ? 0x1p-23 : 0x1p-8;
                CHECK_NEAR(y[static_cast<size_t>(slot) * static_cast<size_t>(rows) + static_cast<size_t>(r)], expected,
                           slack + std::fabs(expected) * ulp);
            }
}

}  // namespace

HOST_CASE(dictionary_is_the_published_one) {
    const std::vector<uint32_t>& words = dictionary();
    CHECK_EQ(crc32(reinterpret_cast<const uint8_t*>(words.data()), kWords * 4), 0xC12A4534u);
    const struct {
        uint32_t entry, first, second;
    } known[] = {
        {0, 1, 1}, {13, 0x21, 1}, {100, 0x407, 7}, {32768, 0x0402000A, 0x0000400A}, {65535, 0x0102000D, 0x0000020D}};
    for (const auto& entry : known) {
        CHECK_EQ(words[2 * entry.entry], entry.first);
        CHECK_EQ(words[2 * entry.entry + 1], entry.second);
    }
    std::vector<int> symbols(64);
    CHECK(encode(symbols) == (std::vector<uint16_t>{25, 25, 3}));
    symbols[5] = 2;
    symbols[6] = 1;
    symbols[20] = 1;
    symbols[41] = 2;
    symbols[63] = 1;
    CHECK(encode(symbols) == (std::vector<uint16_t>{58738, 437, 96}));
    CHECK(encode({0, 0, 1}) == (std::vector<uint16_t>{17}));
    for (uint32_t c = 0; c < 65536; ++c) {
        int nonzeros = 0;
        for (const int symbol : symbols_of(c)) nonzeros += symbol != 0;
        CHECK(nonzeros <= 3);
    }
}

HOST_CASE(broken_matrices_are_found) {
    Random random(1);
    const QmoeCase good = make_qmoe(random, 5, 77, 3);
    const auto first_bad = [](const QmoeCase& made, int64_t count) {
        return qmoe_first_bad_row(made.host(), dictionary().data(), count);
    };
    const auto count = static_cast<int64_t>(good.codewords.size());
    CHECK_EQ(first_bad(good, count), -1);
    CHECK_EQ(first_bad(good, count + 1), 14);
    CHECK_EQ(first_bad(good, count - 1), 14);
    QmoeCase bad = good;
    bad.offsets[0] = 1;
    CHECK_EQ(first_bad(bad, count), 0);
    bad = good;
    bad.offsets[7] = bad.offsets[6] - 1;
    CHECK_EQ(first_bad(bad, count), 6);
    bad = good;
    bad.offsets[7] = bad.offsets[6];  // a row without codewords
    CHECK_EQ(first_bad(bad, count), 6);
    bad = good;
    bad.offsets[9] = int64_t{1} << 40;
    CHECK_EQ(first_bad(bad, count), 8);
    bad = good;
    bad.codewords[static_cast<size_t>(bad.offsets[4])] ^= 1;
    const bool same_length = (dictionary()[2u * bad.codewords[static_cast<size_t>(bad.offsets[4])]] & 15) ==
                             (dictionary()[2u * good.codewords[static_cast<size_t>(good.offsets[4])]] & 15);
    CHECK_EQ(first_bad(bad, count), same_length ? -1 : 4);
    bad = good;
    bad.min_max[2 * 11 + 1] = 0x7F80;
    CHECK_EQ(first_bad(bad, count), 11);
    bad = good;
    bad.columns = 79;
    CHECK_EQ(first_bad(bad, count), 0);
}

CASE(linear_is_the_product_of_the_weights) {
    check_linear(37, 333, {0, 1, 1, 3}, 4, Element::kF32, 2);
    check_linear(9, 1000, {0, 5, 12}, 13, Element::kBF16, 3);
    if (kUnderTsan) return;
    check_linear(1, 1, {0, 2}, 2, Element::kF32, 4);
    check_linear(65, 28, {0, 0, 7}, 7, Element::kF32, 5);
    check_linear(33, 2, {0, 4, 5}, 6, Element::kBF16, 6);
}

// Rows that shared memory does not hold: four slots together, one slot alone.
HOST_CASE(rows_of_any_length) {
    if (kUnderTsan) return;
    check_linear(3, 7001, {0, 3}, 3, Element::kF32, 7);
    check_linear(3, 25001, {0, 2}, 2, Element::kF32, 8);
    check_linear(3, 25002, {0, 1, 1}, 1, Element::kBF16, 9);
}

CASE(a_slot_has_the_same_bits_alone_and_on_every_path) {
    Random random(10);
    const QmoeCase made = make_qmoe(random, 40, 501, 1);
    const std::vector<float> x = make_rows(random, 6 * 501, Element::kF32);
    const std::vector<float> bias(40);
    const std::vector<float> y = run_linear(made, x, {0, 6}, 6, Element::kF32, bias);
    const std::vector<float> alone =
        run_linear(made, std::vector<float>(x.begin() + 5 * 501, x.end()), {0, 1}, 1, Element::kF32, bias);
    check_same(alone, std::vector<float>(y.begin() + 5 * 40, y.end()), "y of one slot");
    if (kUnderTsan) return;
    // The same row of 25001 columns from global memory and from shared memory, where its rest is zero.
    QmoeCase longer = make_qmoe(random, 2, 25001, 1);
    const std::vector<float> row = make_rows(random, 25001, Element::kF32);
    std::vector<float> four;
    for (int i = 0; i < 4; ++i) four.insert(four.end(), row.begin(), row.end());
    const std::vector<float> one = run_linear(longer, row, {0, 1}, 1, Element::kF32, {0, 0});
    const std::vector<float> all = run_linear(longer, four, {0, 4}, 4, Element::kF32, {0, 0});
    for (size_t slot = 0; slot < 4; ++slot)
        check_same(std::vector<float>(all.begin() + static_cast<int64_t>(2 * slot),
                                      all.begin() + static_cast<int64_t>(2 * slot + 2)),
                   one, "y of long rows");
}

CASE(gate_and_up_then_down) {
    Random random(11);
    const int32_t hidden = 91, inner = 50, experts = 3, top_k = 2, tokens = kUnderTsan ? 2 : 5;
    const Routing routing = make_routing(random, tokens, top_k, experts, 1, true);
    const QmoeCase gate = make_qmoe(random, inner, hidden, experts), up = make_qmoe(random, inner, hidden, experts);
    const QmoeCase down = make_qmoe(random, hidden, inner, experts);
    const DeviceQmoe device_gate(gate), device_up(up), device_down(down);
    const QmoeExperts stacks{device_gate.stack, device_up.stack, device_down.stack};
    const std::vector<float> x = make_rows(random, static_cast<size_t>(tokens) * hidden, Element::kBF16);
    std::vector<float> in_bias, out_bias;
    for (int32_t i = 0; i < experts * 2 * inner; ++i) in_bias.push_back(random.uniform());
    for (int32_t i = 0; i < experts * hidden; ++i) out_bias.push_back(random.uniform());
    const DeviceArray<uint8_t> device_x(store(x, Element::kBF16));
    const DeviceArray<int32_t> offsets(routing.offsets), choices(routing.choice_of_slot);
    const DeviceArray<float> weights(routing.weights), device_in_bias(in_bias), device_out_bias(out_bias);
    GuardedOutput a(routing.max_slots, inner, Element::kBF16), y(routing.max_slots, hidden, Element::kF32);
    ExpertsIn in;
    in.groups = {offsets.get(), experts, routing.max_slots};
    in.gather = {choices.get(), top_k, weights.get()};
    in.x = device_x.get();
    in.io = Element::kBF16;
    in.gate_up_bias = device_in_bias.get();
    in.a = a.get();
    CHECK_CUDA(launch_qmoe_in(in, stacks, {}, test_launch()));
    ExpertsOut out;
    out.groups = in.groups;
    out.a = a.get();
    out.io = Element::kBF16;
    out.down_bias = device_out_bias.get();
    out.y = static_cast<float*>(y.get());
    CHECK_CUDA(launch_qmoe_out(out, stacks, {}, test_launch()));
    const std::vector<float> inner_values = a.read(routing.slots()), outer = y.read(routing.slots());
    for (int32_t slot = 0; slot < routing.slots(); ++slot) {
        const int64_t expert = routing.expert_of(slot);
        const int32_t choice = routing.choice_of_slot[static_cast<size_t>(slot)];
        std::vector<float> row(x.begin() + choice / top_k * hidden, x.begin() + (choice / top_k + 1) * hidden);
        for (float& value : row) value = rounded(value * routing.weights[static_cast<size_t>(choice)], Element::kBF16);
        double slack;
        for (int32_t r = 0; r < inner; ++r) {
            const float* bias = in_bias.data() + expert * 2 * inner;
            const double g = product(gate, expert * inner + r, row.data(), slack) + bias[r];
            const double u = product(up, expert * inner + r, row.data(), slack) + bias[inner + r];
            const double expected = reference_activation(in.activation, g, u);
            CHECK_NEAR(inner_values[static_cast<size_t>(slot * inner + r)], expected,
                       std::fabs(expected) * 0x1p-8 + 1e-5);
        }
        for (int32_t r = 0; r < hidden; ++r) {
            const double expected = product(down, expert * hidden + r, inner_values.data() + slot * inner, slack) +
                                    out_bias[static_cast<size_t>(expert * hidden + r)];
            CHECK_NEAR(outer[static_cast<size_t>(slot * hidden + r)], expected, slack + std::fabs(expected) * 0x1p-23);
        }
    }
}
