// Whole layers through the C ABI in every stored type, against double precision.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/packed/qmoe.hpp"
#include "layer_case.hpp"

using namespace moek::test;

namespace {

// Compares with the reference for some token counts, and a row alone with the row in its batch.
void check_layer(const Layer& made, const Sizes& sizes, const DoubleExperts& experts, const std::vector<float>& router,
                 double tolerance) {
    std::vector<float> batch;
    std::vector<float> outputs;
    const std::vector<int> counts = kThreadSanitizer ? std::vector<int>{2} : std::vector<int>{1, 2, 19};
    for (const int tokens : counts) {
        const std::vector<float> hidden = random_floats(100 + tokens, static_cast<size_t>(tokens) * sizes.hidden);
        std::vector<int32_t> ids, expected_ids;
        std::vector<float> weights, expected_weights;
        const std::vector<float> output = run(made, sizes, hidden, &ids, &weights);
        reference_route(sizes, router, hidden, expected_ids, expected_weights);
        CHECK(ids == expected_ids);
        for (size_t i = 0; i < weights.size(); i++) CHECK_NEAR(weights[i], expected_weights[i], 1e-6);
        const std::vector<double> expected = reference_layer(sizes, experts, hidden, expected_ids, expected_weights);
        CHECK(relative_error(output, expected) <= tolerance);
        batch = hidden;
        outputs = output;
    }
    const std::vector<float> last(batch.end() - sizes.hidden, batch.end());
    const std::vector<float> alone = run(made, sizes, last);
    CHECK(std::memcmp(alone.data(), outputs.data() + outputs.size() - sizes.hidden, sizes.hidden * 4) == 0);
}

// Dense experts of `bytes` a weight, made from floats by `store`; `load` gives back what was stored.
template <class T>
void check_dense(int32_t dtype, T (*store)(float), float (*load)(T)) {
    const Sizes sizes;
    const size_t gate_up_count = size_t{2} * sizes.experts * sizes.intermediate * sizes.hidden;
    const size_t down_count = gate_up_count / 2;
    std::vector<T> gate_up(gate_up_count), down(down_count);
    const std::vector<float> first = random_floats(1, gate_up_count, 0.5f), second = random_floats(2, down_count, 0.5f);
    for (size_t i = 0; i < gate_up_count; i++) gate_up[i] = store(first[i]);
    for (size_t i = 0; i < down_count; i++) down[i] = store(second[i]);
    const std::vector<float> router = random_floats(3, static_cast<size_t>(sizes.experts) * sizes.hidden);
    moek_experts_desc desc = experts_desc(sizes);
    desc.dtype = dtype;
    desc.gate_up = gate_up.data();
    desc.gate_up_bytes = gate_up_count * sizeof(T);
    desc.down = down.data();
    desc.down_bytes = down_count * sizeof(T);
    Layer made;
    build(made, sizes, desc, router);
    const int width = sizes.hidden, inner = sizes.intermediate;
    const DoubleExperts experts{
        [&](int e, int r, int c) { return load(gate_up[(size_t{2} * e * inner + r) * width + c]); },
        [&](int e, int r, int c) { return load(gate_up[((size_t{2} * e + 1) * inner + r) * width + c]); },
        [&](int e, int r, int c) { return load(down[(static_cast<size_t>(e) * width + r) * inner + c]); }};
    // fp32 sums of 24 and 16 products: a few units in the last place.
    check_layer(made, sizes, experts, router, 1e-5);
}

}  // namespace

CASE(fp32_experts) {
    check_dense<float>(
        MOEK_F32, [](float v) { return v; }, [](float v) { return v; });
}

CASE(bf16_experts) {
    check_dense<uint16_t>(MOEK_BF16, bf16_bits, bf16_value);
}

CASE(fp8_experts_with_scales) {
    const Sizes sizes{3, 2, 40, 24};
    Random random(5);
    const auto code = [&] {
        const uint32_t bits = random.bits();
        return static_cast<uint8_t>((bits & 0x80) | (0x20 + bits % 0x38));
    };
    const auto value = [](uint8_t bits) {
        const int exponent = bits >> 3 & 15;
        const double magnitude = std::ldexp(1.0 + (bits & 7) / 8.0, exponent - 7);
        return bits & 0x80 ? -magnitude : magnitude;
    };
    const int rows = 2 * sizes.intermediate, width = sizes.hidden, inner = sizes.intermediate;
    constexpr int kBlockRows = 16, kBlockColumns = 32;
    const int up_blocks = (width + kBlockColumns - 1) / kBlockColumns;
    const int down_blocks = (inner + kBlockColumns - 1) / kBlockColumns;
    std::vector<uint8_t> gate_up(static_cast<size_t>(sizes.experts) * rows * width), down(gate_up.size() / 2);
    for (uint8_t& byte : gate_up) byte = code();
    for (uint8_t& byte : down) byte = code();
    const size_t row_blocks = (rows + kBlockRows - 1) / kBlockRows, down_rows = (width + kBlockRows - 1) / kBlockRows;
    std::vector<float> up_scales = random_floats(6, sizes.experts * row_blocks * up_blocks, 0.2f);
    std::vector<float> down_scales = random_floats(7, sizes.experts * down_rows * down_blocks, 0.2f);
    const std::vector<float> router = random_floats(8, static_cast<size_t>(sizes.experts) * width);
    moek_experts_desc desc = experts_desc(sizes);
    desc.dtype = MOEK_F8E4M3;
    desc.gate_up = gate_up.data();
    desc.gate_up_bytes = gate_up.size();
    desc.gate_up_scale = up_scales.data();
    desc.down = down.data();
    desc.down_bytes = down.size();
    desc.down_scale = down_scales.data();
    desc.scale_block_rows = kBlockRows;
    desc.scale_block_columns = kBlockColumns;
    Layer made;
    build(made, sizes, desc, router);
    const auto upper = [&](int e, int r, int c) {
        return value(gate_up[(static_cast<size_t>(e) * rows + r) * width + c]) *
               up_scales[(e * row_blocks + r / kBlockRows) * up_blocks + c / kBlockColumns];
    };
    const DoubleExperts experts{
        upper, [&](int e, int r, int c) { return upper(e, r + inner, c); },
        [&](int e, int r, int c) {
            return value(down[(static_cast<size_t>(e) * width + r) * inner + c]) *
                   down_scales[(e * down_rows + r / kBlockRows) * down_blocks + c / kBlockColumns];
        }};
    check_layer(made, sizes, experts, router, 2e-5);
}

CASE(codebook_experts) {
    const Sizes sizes{3, 2, 40, 72};
    struct Stack {
        std::vector<uint16_t> scales;
        std::vector<uint8_t> codes;
        std::vector<int8_t> vectors;
        moek_codebook_desc desc;
        int rows, groups, blocks;
    };
    constexpr int kDimension = 4;
    const auto make = [&](uint64_t seed, int rows, int columns) {
        Stack stack;
        Random random(seed);
        stack.rows = rows;
        stack.groups = (columns + kDimension - 1) / kDimension;
        stack.blocks = (rows + 63) / 64;
        stack.scales.assign(static_cast<size_t>(sizes.experts) * stack.blocks * 64, 0);
        for (int e = 0; e < sizes.experts; e++) {
            // fp16 powers of two, so that the reference reads them without a converter: 2^-6 .. 2^-9.
            for (int r = 0; r < rows; r++) {
                stack.scales[static_cast<size_t>(e) * stack.blocks * 64 + r] =
                    static_cast<uint16_t>((9 - random.below(4)) << 10);
            }
        }
        stack.codes.resize(static_cast<size_t>(sizes.experts) * stack.groups * stack.blocks * 64);
        for (uint8_t& byte : stack.codes) byte = static_cast<uint8_t>(random.bits());
        stack.vectors.resize(128 * kDimension);
        for (int8_t& number : stack.vectors) number = static_cast<int8_t>(static_cast<int>(random.below(63)) - 31);
        moek_codebook_desc_init(&stack.desc);
        stack.desc.rows = rows;
        stack.desc.columns = columns;
        stack.desc.dimension = kDimension;
        stack.desc.stages = 1;
        stack.desc.matrices = sizes.experts;
        stack.desc.codebooks = 1;
        return stack;
    };
    Stack gate = make(11, sizes.intermediate, sizes.hidden), up = make(12, sizes.intermediate, sizes.hidden),
          down = make(13, sizes.hidden, sizes.intermediate);
    for (Stack* stack : {&gate, &up, &down}) {
        stack->desc.scales = stack->scales.data();
        stack->desc.codes = stack->codes.data();
        stack->desc.codebook = stack->vectors.data();
    }
    // The order of the format: chunks of 64 entries; in a chunk strips of 4 blocks, pairs of entries, blocks, rows.
    const auto weight = [](const Stack& stack, int e, int row, int column) {
        const int entry = column / kDimension, chunk = entry / 64, f = entry % 64, block = row / 64;
        const int count = std::min(64, stack.groups - chunk * 64), strip = block / 4;
        const int width = std::min(4, stack.blocks - 4 * strip), i = block % 4;
        const int line = (f | 1) < count ? (f & ~1) * width + 2 * i + (f & 1) : f * width + i;
        const int64_t at =
            64ll * (64ll * chunk * stack.blocks + 4ll * strip * count + line) + 2 * (row % 32) + row / 32 % 2;
        const uint8_t code = stack.codes[static_cast<size_t>(e) * stack.groups * stack.blocks * 64 + at];
        const double scale =
            std::ldexp(1.0, (stack.scales[static_cast<size_t>(e) * stack.blocks * 64 + row] >> 10) - 15);
        const double number = stack.vectors[(code & 127) * kDimension + column % kDimension];
        return code < 128 ? scale * number : -scale * number;
    };
    const std::vector<float> router = random_floats(14, static_cast<size_t>(sizes.experts) * sizes.hidden);
    const moek_codebook_desc pair[2] = {gate.desc, up.desc};
    moek_experts_desc desc = experts_desc(sizes);
    desc.dtype = MOEK_CODEBOOK;
    desc.gate_up = pair;
    desc.down = &down.desc;
    Layer made;
    build(made, sizes, desc, router);
    const DoubleExperts experts{[&](int e, int r, int c) { return weight(gate, e, r, c); },
                                [&](int e, int r, int c) { return weight(up, e, r, c); },
                                [&](int e, int r, int c) { return weight(down, e, r, c); }};
    // Inputs of both products are rounded to 8 bits: 0.3 % of their rms each, a few times that at the worst element.
    check_layer(made, sizes, experts, router, 5e-2);

    moek_codebook_desc broken = gate.desc;
    const moek_codebook_desc broken_pair[2] = {broken, up.desc};
    gate.scales[1] = 0x8400;  // a negative scale
    desc.gate_up = broken_pair;
    moek_experts* refused = nullptr;
    EXPECT_STATUS(moek_experts_create(&refused, made.context, &desc), MOEK_E_DATA, "gate");
    CHECK(refused == nullptr);
}

CASE(qmoe_experts) {
    const Sizes sizes{3, 2, 34, 18};
    std::vector<uint32_t> words(2 * 65536);
    moek::qmoe_dictionary(words.data());
    // Codewords of a single pair, by the pair's two symbols: every row can be written with them.
    uint16_t single[3][3] = {};
    for (uint32_t code = 0; code < 65536; code++) {
        const uint32_t word = words[2 * code];
        if ((word & 15) == 1) single[word >> 4 & 3][word >> 6 & 3] = static_cast<uint16_t>(code);
    }
    struct Stack {
        std::vector<uint8_t> symbols;
        std::vector<uint16_t> codes;
        std::vector<int64_t> offsets{0};
        std::vector<uint16_t> levels;
        moek_qmoe_desc desc;
    };
    const auto make = [&](uint64_t seed, int rows, int columns) {
        Stack stack;
        Random random(seed);
        for (int r = 0; r < sizes.experts * rows; r++) {
            for (int c = 0; c < columns; c++) {
                const uint32_t draw = random.below(10);
                stack.symbols.push_back(draw < 6 ? 0 : draw < 8 ? 1 : 2);
            }
            const uint8_t* row = stack.symbols.data() + static_cast<size_t>(r) * columns;
            for (int c = 0; c < columns; c += 2)
                stack.codes.push_back(single[row[c]][c + 1 < columns ? row[c + 1] : 0]);
            stack.offsets.push_back(static_cast<int64_t>(stack.codes.size()));
            stack.levels.push_back(bf16_bits(-0.1f - 0.01f * static_cast<float>(r % 7)));
            stack.levels.push_back(bf16_bits(0.2f + 0.01f * static_cast<float>(r % 5)));
        }
        moek_qmoe_desc_init(&stack.desc);
        stack.desc.rows = rows;
        stack.desc.columns = columns;
        stack.desc.matrices = sizes.experts;
        return stack;
    };
    Stack gate = make(21, sizes.intermediate, sizes.hidden), up = make(22, sizes.intermediate, sizes.hidden),
          down = make(23, sizes.hidden, sizes.intermediate);
    for (Stack* stack : {&gate, &up, &down}) {
        stack->desc.codewords = stack->codes.data();
        stack->desc.row_offsets = stack->offsets.data();
        stack->desc.min_max = stack->levels.data();
    }
    const auto weight = [](const Stack& stack, int e, int r, int c) -> double {
        const size_t row = static_cast<size_t>(e) * stack.desc.rows + r;
        const uint8_t symbol = stack.symbols[row * stack.desc.columns + c];
        return symbol == 0 ? 0.0 : bf16_value(stack.levels[2 * row + symbol - 1]);
    };
    const std::vector<float> router = random_floats(24, static_cast<size_t>(sizes.experts) * sizes.hidden);
    const moek_qmoe_desc pair[2] = {gate.desc, up.desc};
    moek_experts_desc desc = experts_desc(sizes);
    desc.dtype = MOEK_QMOE;
    desc.gate_up = pair;
    desc.down = &down.desc;
    Layer made;
    build(made, sizes, desc, router);
    const DoubleExperts experts{[&](int e, int r, int c) { return weight(gate, e, r, c); },
                                [&](int e, int r, int c) { return weight(up, e, r, c); },
                                [&](int e, int r, int c) { return weight(down, e, r, c); }};
    check_layer(made, sizes, experts, router, 1e-5);

    gate.offsets[3] = gate.offsets[2];
    moek_experts* refused = nullptr;
    EXPECT_STATUS(moek_experts_create(&refused, made.context, &desc), MOEK_E_DATA, "gate");
    CHECK(refused == nullptr);
}
