// Products of codebook matrices by table lookup: bit for bit against plain loops, and against exact products.
#include "kernels/packed/codebook_shape.hpp"
#include "packed/codebook_case.hpp"

using namespace moek;
using namespace moek::test;

namespace {

struct Shape {
    int32_t rows, columns, dimension, stages;
};

// Odd sizes: one row, rows of several strips with a narrow last one, an odd number of entries, a group that reaches
// beyond the columns, several chunks, all dimensions' padding, all stages.
const Shape kShapes[] = {
    {1, 1, 1, 1},    {40, 66, 1, 1},    {300, 137, 2, 1}, {70, 530, 8, 1},  {65, 341, 5, 1}, {130, 200, 16, 2},
    {257, 97, 6, 2}, {33, 150, 6, 3},   {64, 130, 7, 4},  {200, 70, 12, 1}, {129, 45, 1, 3}, {520, 90, 10, 1},
    {64, 67, 3, 1},  {1030, 40, 15, 1}, {64, 64, 8, 1},   {50, 77, 11, 2},
};

std::vector<float> run_linear(const CodebookStack& stack, const std::vector<float>& x, int32_t slots, Element io,
                              const std::vector<int32_t>& offsets, const std::vector<float>& bias,
                              uint64_t workspace_bytes = 0, int multiprocessors = kUnderTsan ? 1 : 8) {
    const DeviceArray<uint8_t> device_x(store(x, io));
    const DeviceArray<int32_t> device_offsets(offsets.empty() ? std::vector<int32_t>{0} : offsets);
    const DeviceArray<float> device_bias(bias.empty() ? std::vector<float>{0} : bias);
    const uint64_t bytes = workspace_bytes == 0 ? codebook_workspace(stack, slots) : workspace_bytes;
    const DeviceArray<uint8_t> workspace(bytes + 256);
    GuardedOutput y(slots, stack.rows, io);
    GroupedLinear call;
    call.groups = {offsets.empty() ? nullptr : device_offsets.get(), stack.matrices, slots};
    call.x = device_x.get();
    call.io = io;
    call.bias = bias.empty() ? nullptr : device_bias.get();
    call.y = y.get();
    CHECK_CUDA(launch_codebook_linear(call, stack, {workspace.get(), bytes}, test_launch(90, multiprocessors)));
    const std::vector<float> result = y.read(offsets.empty() ? slots : offsets.back());
    const std::vector<uint8_t> after = workspace.read();
    for (size_t i = bytes; i < after.size(); ++i) CHECK_EQ(after[i], 0xFF);
    return result;
}

}  // namespace

HOST_CASE(places_are_those_of_the_format) {
    const CodebookShape small{2, 3, 2, 1};
    CHECK_EQ(small.code_bytes(), 128);
    const struct {
        int32_t row, entry;
        int64_t byte;
    } known[] = {{0, 0, 0}, {32, 0, 1}, {130, 3, 836}, {64, 68, 21568}, {299, 68, 22039}};
    const CodebookShape shape{300, 137, 2, 1};
    CHECK_EQ(shape.code_bytes(), 22080);
    for (const auto& code : known) {
        const int32_t per_chunk = shape.chunk_groups() * shape.stages;
        const int32_t chunk = code.entry / per_chunk, block = code.row / kBlockRows, strip = block / kStripBlocks;
        const int32_t line = CodebookShape::line(code.entry % per_chunk, shape.groups_of(chunk) * shape.stages,
                                                 block % kStripBlocks, shape.blocks_of(strip));
        const int64_t byte = shape.strip_offset(chunk, strip) + static_cast<int64_t>(line) * kBlockRows +
                             CodebookShape::position_of(code.row % kBlockRows);
        CHECK_EQ(byte, code.byte);
        CHECK_EQ(CodebookShape::row_of(CodebookShape::position_of(code.row % kBlockRows)), code.row % kBlockRows);
    }
}

HOST_CASE(numbers_out_of_range_are_refused) {
    Random random(1);
    const CodebookCase good = make_codebook(random, 70, 33, 5, 2, 2, true, true);
    const auto valid = [](const CodebookCase& made) {
        CodebookStack stack{
            made.rows,      made.columns,       made.dimension,    made.stages,          made.matrices,
            made.codebooks, made.scales.data(), made.codes.data(), made.codebook.data(), made.inputs.data()};
        return codebook_numbers_valid(stack);
    };
    CHECK(valid(good));
    for (const uint16_t bad : {0x8001, 0x0001, 0x7C00, 0x7E00, 0xBC00}) {
        CodebookCase broken = good;
        broken.scales[128 + 5] = bad;
        CHECK(!valid(broken));
        broken = good;
        broken.inputs.back() = bad;
        CHECK(!valid(broken));
    }
    CodebookCase broken = good;
    broken.scales[127] = 0x3C00;  // in the padding
    CHECK(!valid(broken));
    broken = good;
    broken.inputs[3] = 0;
    CHECK(!valid(broken));
    broken = good;
    broken.codebook.back() = 65;
    CHECK(!valid(broken));
    broken = good;
    for (int k = 0; k < 5; ++k) broken.codebook[static_cast<size_t>(7 * 5 + k)] = k < 4 ? 64 : 2;
    CHECK(!valid(broken));
}

CASE(linear_has_the_bits_of_plain_loops) {
    Random random(2);
    int left = kUnderTsan ? 2 : 16;
    for (const Shape& shape : kShapes) {
        if (left-- == 0) break;
        const bool own = random.below(2) == 0;
        const int32_t matrices = 1 + static_cast<int32_t>(random.below(3));
        const CodebookCase made = make_codebook(random, shape.rows, shape.columns, shape.dimension, shape.stages,
                                                matrices, own, random.below(2) == 0);
        const DeviceCodebook device(made);
        std::vector<int32_t> offsets = {0};
        for (int32_t m = 0; m < matrices; ++m)
            offsets.push_back(offsets.back() + static_cast<int32_t>(random.below(4)));
        const int32_t max_slots = offsets.back() + 2;
        const std::vector<float> x =
            make_rows(random, static_cast<size_t>(max_slots) * static_cast<size_t>(shape.columns), Element::kF32);
        std::vector<float> bias;
        for (int32_t i = 0; i < matrices * shape.rows; ++i) bias.push_back(random.uniform());
        const std::vector<float> y = run_linear(device.stack, x, max_slots, Element::kF32, offsets, bias);
        std::vector<float> expected;
        for (int32_t m = 0; m < matrices; ++m)
            for (int32_t slot = offsets[static_cast<size_t>(m)]; slot < offsets[static_cast<size_t>(m) + 1]; ++slot)
                for (int32_t r = 0; r < shape.rows; ++r) {
                    const float* row = x.data() + static_cast<int64_t>(slot) * shape.columns;
                    expected.push_back(lookup_product(made, m, r, row) + bias[static_cast<size_t>(m * shape.rows + r)]);
                }
        check_same(y, expected, "y");
    }
}

HOST_CASE(linear_is_close_to_the_exact_product) {
    if (kUnderTsan) return;
    Random random(3);
    for (const Shape& shape : kShapes) {
        const CodebookCase made =
            make_codebook(random, shape.rows, shape.columns, shape.dimension, shape.stages, 1, false, true);
        const DeviceCodebook device(made);
        const int32_t slots = 3;
        const std::vector<float> x =
            make_rows(random, static_cast<size_t>(slots) * static_cast<size_t>(shape.columns), Element::kF32);
        const std::vector<float> y = run_linear(device.stack, x, slots, Element::kF32, {}, {});
        double error = 0, power = 0;
        for (int32_t slot = 0; slot < slots; ++slot)
            for (int32_t r = 0; r < shape.rows; ++r) {
                const Expected expected =
                    exact_product(made, 0, r, x.data() + static_cast<int64_t>(slot) * shape.columns);
                const double value = y[static_cast<size_t>(slot * shape.rows + r)];
                CHECK_NEAR(value, expected.value, expected.slack);
                error += (value - expected.value) * (value - expected.value);
                power += expected.value * expected.value;
            }
        // Half a step is uniform noise of max / 32767 / sqrt(12); a chunk's largest input is at most 14 times its rms
        // here.
        if (shape.columns > 32) CHECK(std::sqrt(error) < 1.3e-4 * std::sqrt(power));
    }
}

CASE(a_slot_has_the_same_bits_alone_in_passes_and_on_any_grid) {
    Random random(4);
    const int32_t rows = kUnderTsan ? 100 : 400;
    const CodebookCase made = make_codebook(random, rows, 150, 8, 1, 2, false, true);
    const DeviceCodebook device(made);
    const int32_t slots = kUnderTsan ? 4 : 9;
    const std::vector<int32_t> offsets = {0, slots - 2, slots};
    const std::vector<float> x = make_rows(random, static_cast<size_t>(slots) * 150, Element::kF32);
    const std::vector<float> y = run_linear(device.stack, x, slots, Element::kF32, offsets, {});
    // Two slots a pass, so that runs are cut; then many strips a block.
    check_same(run_linear(device.stack, x, slots, Element::kF32, offsets, {}, codebook_workspace(device.stack, 2)), y,
               "y in passes");
    if (kUnderTsan) return;
    check_same(run_linear(device.stack, x, slots, Element::kF32, offsets, {}, 0, 1), y, "y of few blocks");
    CodebookStack second = device.stack;
    second.matrices = 1;
    second.codes += made.matrix_bytes();
    second.scales += 64 * made.blocks();
    const std::vector<float> row(x.end() - 150, x.end());
    check_same(run_linear(second, row, 1, Element::kF32, {}, {}), std::vector<float>(y.end() - rows, y.end()),
               "y of one slot");
}

HOST_CASE(inputs_that_are_no_numbers_stay_in_their_slot) {
    if (kUnderTsan) return;
    Random random(5);
    const CodebookCase made = make_codebook(random, 80, 600, 4, 1, 1, false, false);
    const DeviceCodebook device(made);
    std::vector<float> x = make_rows(random, 4 * 600, Element::kF32);
    x[600 + 300] = std::nanf("");
    x[2 * 600 + 599] = -INFINITY;
    for (int k = 0; k < 600; ++k) x[static_cast<size_t>(3 * 600 + k)] = k < 256 ? 1e-31f : 0.0f;
    const std::vector<float> y = run_linear(device.stack, x, 4, Element::kF32, {}, {});
    for (int32_t r = 0; r < 80; ++r) {
        const auto at = [&](int slot) { return y[static_cast<size_t>(slot * 80 + r)]; };
        CHECK_EQ(float_bits(at(0)), float_bits(lookup_product(made, 0, r, x.data())));
        CHECK(std::isnan(at(1)) && std::isnan(at(2)));
        CHECK_EQ(at(3), 0.0f);
    }
}

namespace {

struct InCase {
    int32_t tokens, top_k, experts, first;
    bool drops, weighted;
    Activation activation;
    Element io;
};

// Gate and up with other dimensions, or with the same codebook.
void check_experts(const InCase& test, bool shared, uint64_t seed) {
    Random random(seed);
    const int32_t hidden = 150, inner = 330;
    const Routing routing =
        make_routing(random, kUnderTsan ? 1 : test.tokens, test.top_k, test.experts, test.first, test.drops);
    const CodebookCase up = make_codebook(random, inner, hidden, 8, 1, test.experts, false, true);
    CodebookCase gate =
        make_codebook(random, inner, hidden, shared ? 8 : 5, shared ? 1 : 2, test.experts, !shared, true);
    if (shared) gate.codebook = up.codebook;
    if (shared) gate.inputs = up.inputs;
    const DeviceCodebook device_up(up), device_gate(gate);
    CodebookExperts experts{device_gate.stack, device_up.stack, {}};
    if (shared) experts.gate.codebook = experts.up.codebook;
    if (shared) experts.gate.inputs = experts.up.inputs;

    const std::vector<float> x =
        make_rows(random, static_cast<size_t>(test.tokens) * static_cast<size_t>(hidden), test.io);
    const int32_t bias_rows = inner * (test.activation.gated ? 2 : 1);
    std::vector<float> bias;
    for (int32_t i = 0; i < test.experts * bias_rows; ++i) bias.push_back(random.uniform());
    const DeviceArray<uint8_t> device_x(store(x, test.io));
    const DeviceArray<int32_t> offsets(routing.offsets), choices(routing.choice_of_slot);
    const DeviceArray<float> weights(routing.weights), device_bias(bias);
    const uint64_t bytes =
        codebook_workspace(experts.gate, routing.max_slots) + codebook_workspace(experts.up, routing.max_slots);
    const DeviceArray<uint8_t> workspace(bytes);
    GuardedOutput a(routing.max_slots, inner, test.io);
    ExpertsIn call;
    call.groups = {offsets.get(), test.experts, routing.max_slots};
    call.gather = {choices.get(), test.top_k, test.weighted ? weights.get() : nullptr};
    call.x = device_x.get();
    call.io = test.io;
    call.gate_up_bias = device_bias.get();
    call.activation = test.activation;
    call.a = a.get();
    CHECK_CUDA(launch_codebook_in(call, experts, {workspace.get(), bytes}, test_launch()));
    const std::vector<float> actual = a.read(routing.slots());

    for (int32_t slot = 0; slot < routing.slots(); ++slot) {
        const int32_t expert = routing.expert_of(slot);
        const int32_t choice = routing.choice_of_slot[static_cast<size_t>(slot)];
        std::vector<float> row(x.begin() + choice / test.top_k * hidden,
                               x.begin() + (choice / test.top_k + 1) * hidden);
        if (test.weighted)
            for (float& value : row) value = rounded(value * routing.weights[static_cast<size_t>(choice)], test.io);
        const float* of_expert = bias.data() + static_cast<int64_t>(expert) * bias_rows;
        for (int32_t r = 0; r < inner; ++r) {
            const double g = test.activation.gated ? lookup_product(gate, expert, r, row.data()) + of_expert[r] : 0.0f;
            const double u =
                lookup_product(up, expert, r, row.data()) + of_expert[test.activation.gated ? inner + r : r];
            const double expected = reference_activation(test.activation, g, u);
            // The activation is within 4 ulp, its products round three times, bfloat16 once more.
            const double ulp = test.io == Element::kF32 ? 0x1p-20 : 0x1p-8;
            CHECK_NEAR(actual[static_cast<size_t>(slot) * inner + static_cast<size_t>(r)], expected,
                       std::fabs(expected) * ulp + 1e-6);
        }
    }
}

}  // namespace

CASE(gate_and_up_of_gathered_tokens) {
    const Activation swiglu;
    const Activation clamped{ActivationKind::kClampedSwiGlu, true, 1.702f, 7.0f};
    const Activation relu{ActivationKind::kRelu, false};
    check_experts({3, 2, 6, 1, true, true, swiglu, Element::kF32}, true, 10);
    if (kUnderTsan) return;
    check_experts({4, 2, 3, 2, false, false, clamped, Element::kF32}, false, 11);
    check_experts({5, 1, 4, 0, false, true, relu, Element::kBF16}, false, 12);
}

CASE(down_of_every_slot) {
    Random random(20);
    const int32_t inner = 130, hidden = 200, experts = 3;
    const CodebookCase made = make_codebook(random, hidden, inner, 6, 2, experts, true, false);
    const DeviceCodebook device(made);
    const std::vector<int32_t> offsets = {0, 2, 2, 5};
    const std::vector<float> a = make_rows(random, 6 * static_cast<size_t>(inner), Element::kBF16);
    std::vector<float> bias;
    for (int32_t i = 0; i < experts * hidden; ++i) bias.push_back(random.uniform());
    const DeviceArray<uint8_t> device_a(store(a, Element::kBF16));
    const DeviceArray<int32_t> device_offsets(offsets);
    const DeviceArray<float> device_bias(bias);
    const uint64_t bytes = codebook_workspace(device.stack, 6);
    const DeviceArray<uint8_t> workspace(bytes);
    GuardedOutput y(6, hidden, Element::kF32);
    ExpertsOut call;
    call.groups = {device_offsets.get(), experts, 6};
    call.a = device_a.get();
    call.io = Element::kBF16;
    call.down_bias = device_bias.get();
    call.y = static_cast<float*>(y.get());
    use_capability(80);
    CHECK_CUDA(launch_codebook_out(call, {{}, {}, device.stack}, {workspace.get(), bytes}, test_launch(80)));
    std::vector<float> expected;
    for (int32_t slot = 0; slot < 5; ++slot)
        for (int32_t r = 0; r < hidden; ++r) {
            const int32_t expert = slot < 2 ? 0 : 2;
            expected.push_back(lookup_product(made, expert, r, a.data() + slot * inner) +
                               bias[static_cast<size_t>(expert * hidden + r)]);
        }
    check_same(y.read(5), expected, "y");
}

HOST_CASE(no_slots_and_no_workspace) {
    Random random(21);
    const CodebookCase made = make_codebook(random, 64, 64, 8, 1, 1, false, false);
    const DeviceCodebook device(made);
    GroupedLinear call;
    CHECK_CUDA(launch_codebook_linear(call, device.stack, {}, test_launch()));
    call.groups.max_slots = 1;
    CHECK_EQ(launch_codebook_linear(call, device.stack, {}, test_launch()), cudaErrorInvalidValue);
}
