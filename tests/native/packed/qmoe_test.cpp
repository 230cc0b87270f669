// QMoE's dictionary, the check of its matrices, and products with them.
#include "packed/qmoe_case.hpp"

using namespace moek;
using namespace moek::test;

namespace {

// Reflected CRC-32 of IEEE 802.3.
uint32_t crc32(const uint8_t* bytes, size_t count) {
    uint32_t crc = ~0u;
    for (size_t i = 0; i < count; ++i) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320u : 0);
    }
    return ~crc;
}

std::vector<float> run_linear(const QmoeCase& made, const std::vector<float>& x, const std::vector<int32_t>& offsets,
                              int32_t max_slots, Element io, const std::vector<float>& bias, int multiprocessors = 8) {
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
    CHECK_CUDA(launch_qmoe_linear(call, device.stack, {}, test_launch(90, multiprocessors)));
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
                const double expected =
                    qmoe_product(made, row, x.data() + static_cast<int64_t>(slot) * columns, slack) +
                    bias[static_cast<size_t>(row)];
                const double ulp = io == Element::kF32 ? 0x1p-23 : 0x1p-8;
                CHECK_NEAR(y[static_cast<size_t>(slot) * static_cast<size_t>(rows) + static_cast<size_t>(r)], expected,
                           slack + std::fabs(expected) * ulp);
            }
}

}  // namespace

HOST_CASE(dictionary_is_the_published_one) {
    const std::vector<uint32_t>& words = dictionary();
    CHECK_EQ(crc32(reinterpret_cast<const uint8_t*>(words.data()), kDictionaryWords * 4), 0xC12A4534u);
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

HOST_CASE(entries_hold_what_is_not_zero) {
    for (uint32_t c = 0; c < 65536; ++c) {
        const QmoeEntry entry = entries()[c];
        std::vector<int> symbols(entry.weights());
        for (int n = 0; n < QmoeEntry::kMostNonzeros; ++n) {
            CHECK(!(entry.is_low(n) && entry.is_high(n)));
            if (entry.is_low(n)) symbols[static_cast<size_t>(entry.place(n))] = 1;
            if (entry.is_high(n)) symbols[static_cast<size_t>(entry.place(n))] = 2;
        }
        CHECK(symbols == symbols_of(c));
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
    const QmoeCase wide = make_qmoe(random, 200, 60, 1);
    const std::vector<float> short_rows = make_rows(random, 6 * 60, Element::kF32);
    check_same(run_linear(wide, short_rows, {0, 6}, 6, Element::kF32, std::vector<float>(200), 1),
               run_linear(wide, short_rows, {0, 6}, 6, Element::kF32, std::vector<float>(200)), "y of few blocks");
    // Rows that stay in global memory, alone and beside others.
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
            const double g = qmoe_product(gate, expert * inner + r, row.data(), slack) + bias[r];
            const double u = qmoe_product(up, expert * inner + r, row.data(), slack) + bias[inner + r];
            const double expected = reference_activation(in.activation, g, u);
            CHECK_NEAR(inner_values[static_cast<size_t>(slot * inner + r)], expected,
                       std::fabs(expected) * 0x1p-8 + 1e-5);
        }
        for (int32_t r = 0; r < hidden; ++r) {
            const double expected = qmoe_product(down, expert * hidden + r, inner_values.data() + slot * inner, slack) +
                                    out_bias[static_cast<size_t>(expert * hidden + r)];
            CHECK_NEAR(outer[static_cast<size_t>(slot * hidden + r)], expected, slack + std::fabs(expected) * 0x1p-23);
        }
    }
}
