// Products of codebook matrices on tensor cores: bfloat16 rows, many slots per expert.
#include "packed/codebook_case.hpp"

using namespace moek;
using namespace moek::test;

namespace {

// Widened rows as the kernel rounds them: times the factor, then to bfloat16. The products are exact in fp64; sums in
// fp32 of at most `columns` terms are off by an ulp of the magnitudes each, the scale and the output round once.
Expected gemm_product(const CodebookCase& made, int64_t matrix, int64_t row, const float* x) {
    Expected expected;
    double magnitudes = 0;
    for (int32_t k = 0; k < made.columns; ++k) {
        const double product =
            static_cast<double>(rounded(x[k] * made.factor(matrix, k), Element::kBF16)) * made.number(matrix, row, k);
        expected.value += product;
        magnitudes += std::fabs(product);
    }
    const double scale = made.scale(matrix, row);
    expected.value *= scale;
    expected.slack = scale * magnitudes * (made.columns + 2) * 0x1p-24;
    return expected;
}

struct GemmCase {
    int32_t rows, columns, dimension, stages, matrices;
    bool own_codebooks, has_inputs;
    std::vector<int32_t> offsets;
};

std::vector<float> run_linear(const CodebookCase& made, const std::vector<float>& x,
                              const std::vector<int32_t>& offsets, int32_t max_slots, uint64_t workspace_slots,
                              int multiprocessors = kUnderTsan ? 1 : 8) {
    const DeviceCodebook device(made);
    const DeviceArray<uint8_t> device_x(store(x, Element::kBF16));
    const DeviceArray<int32_t> device_offsets(offsets);
    const uint64_t bytes = codebook_workspace(device.stack, static_cast<int64_t>(workspace_slots));
    const DeviceArray<uint8_t> workspace(bytes);
    GuardedOutput y(max_slots, made.rows, Element::kBF16);
    GroupedLinear call;
    call.groups = {device_offsets.get(), made.matrices, max_slots};
    call.x = device_x.get();
    call.io = Element::kBF16;
    call.y = y.get();
    CHECK_CUDA(launch_codebook_linear(call, device.stack, {workspace.get(), bytes}, test_launch(90, multiprocessors)));
    return y.read(offsets.back());
}

void check_linear(const GemmCase& test, uint64_t seed) {
    Random random(seed);
    const CodebookCase made = make_codebook(random, test.rows, test.columns, test.dimension, test.stages, test.matrices,
                                            test.own_codebooks, test.has_inputs);
    const int32_t max_slots = std::max(test.offsets.back() + 3, 16 * test.matrices);
    const std::vector<float> x =
        make_rows(random, static_cast<size_t>(max_slots) * static_cast<size_t>(test.columns), Element::kBF16);
    const std::vector<float> y = run_linear(made, x, test.offsets, max_slots, static_cast<uint64_t>(max_slots));
    for (int32_t m = 0; m < test.matrices; ++m)
        for (int32_t slot = test.offsets[static_cast<size_t>(m)]; slot < test.offsets[static_cast<size_t>(m) + 1];
             ++slot)
            for (int32_t r = 0; r < test.rows; ++r) {
                const Expected expected =
                    gemm_product(made, m, r, x.data() + static_cast<int64_t>(slot) * test.columns);
                CHECK_NEAR(y[static_cast<size_t>(slot) * static_cast<size_t>(test.rows) + static_cast<size_t>(r)],
                           expected.value, expected.slack + std::fabs(expected.value) * 0x1p-8);
            }
}

}  // namespace

CASE(linear_of_every_dimension) {
    check_linear({70, 150, 8, 1, 2, false, true, {0, 20, 33}}, 1);
    if (kUnderTsan) return;
    check_linear({200, 97, 5, 1, 3, true, true, {0, 5, 5, 40}}, 2);
    check_linear({64, 530, 16, 4, 1, false, false, {0, 17}}, 3);
    check_linear({129, 130, 6, 2, 2, true, false, {0, 0, 33}}, 4);
    check_linear({90, 200, 7, 3, 1, false, true, {0, 18}}, 5);
    check_linear({130, 70, 1, 1, 1, false, false, {0, 16}}, 6);
    check_linear({65, 90, 11, 1, 2, false, true, {0, 33, 33}}, 7);
}

HOST_CASE(linear_of_several_tiles_of_slots) {
    if (kUnderTsan) return;
    check_linear({40, 67, 8, 1, 3, false, true, {0, 130, 131, 400}}, 8);
}

HOST_CASE(every_dimension_and_stage_has_a_path) {
    if (kUnderTsan) return;
    for (int32_t dimension = 1; dimension <= 16; ++dimension)
        for (int32_t stages = 1; stages <= (dimension == 1 ? 2 : 4); ++stages)
            check_linear({66, 3 * dimension + 65, dimension, stages, 1, false, true, {0, 16}},
                         100 + static_cast<uint64_t>(4 * dimension + stages));
}

// Tiles of one column and many stages do not fit in shared memory.
HOST_CASE(codes_without_a_tile_are_looked_up) {
    if (kUnderTsan) return;
    Random random(31);
    const CodebookCase made = make_codebook(random, 66, 70, 1, 4, 1, false, true);
    const std::vector<float> x = make_rows(random, 16 * 70, Element::kBF16);
    const std::vector<float> y = run_linear(made, x, {0, 16}, 16, 16);
    for (int32_t at = 0; at < 16 * 66; ++at) {
        const Expected expected = exact_product(made, 0, at % 66, x.data() + at / 66 * 70);
        CHECK_NEAR(y[static_cast<size_t>(at)], expected.value, expected.slack + std::fabs(expected.value) * 0x1p-8);
    }
}

CASE(a_slot_has_the_same_bits_in_passes_and_beside_others) {
    if (kUnderTsan) return;
    Random random(30);
    const int32_t slots = 70;
    const CodebookCase made = make_codebook(random, 70, 130, 8, 1, 2, false, true);
    const std::vector<int32_t> offsets = {0, 20, slots};
    std::vector<float> x = make_rows(random, static_cast<size_t>(slots) * 130, Element::kBF16);
    const std::vector<float> y = run_linear(made, x, offsets, slots, static_cast<uint64_t>(slots));
    check_same(run_linear(made, x, offsets, slots, 33), y, "y in passes");
    const CodebookCase tall = make_codebook(random, 1200, 70, 16, 1, 2, false, true);
    const std::vector<float> rows = make_rows(random, 40 * 70, Element::kBF16);
    check_same(run_linear(tall, rows, {0, 17, 40}, 40, 40, 1), run_linear(tall, rows, {0, 17, 40}, 40, 40),
               "y of few blocks");
    // All other slots change, and this one is another expert's first.
    for (size_t i = 0; i < 20 * 130; ++i) x[i] = i < 19 * 130 ? rounded(x[i] * 3.0f, Element::kBF16) : x[i];
    const std::vector<float> again = run_linear(made, x, {0, 19, slots}, slots, static_cast<uint64_t>(slots));
    check_same(std::vector<float>(again.begin() + 20 * 70, again.end()),
               std::vector<float>(y.begin() + 20 * 70, y.end()), "y beside others");
}

namespace {

// Gate and up of gathered, weighted tokens, with one codebook or with two of other dimensions.
void check_experts(bool shared, const Activation& activation, uint64_t seed) {
    Random random(seed);
    const int32_t hidden = 90, inner = 130, tokens = 17, top_k = 2, experts = 2;
    const Routing routing = make_routing(random, tokens, top_k, experts, 0, true);
    const CodebookCase up = make_codebook(random, inner, hidden, 8, 1, experts, false, true);
    CodebookCase gate = make_codebook(random, inner, hidden, shared ? 8 : 5, 2, experts, !shared, true);
    if (shared) gate.inputs = up.inputs;
    const DeviceCodebook device_up(up), device_gate(gate);
    CodebookExperts stacks{device_gate.stack, device_up.stack, {}};
    if (shared) stacks.gate.inputs = stacks.up.inputs;
    const std::vector<float> x = make_rows(random, static_cast<size_t>(tokens) * hidden, Element::kBF16);
    const int32_t bias_rows = inner * (activation.gated ? 2 : 1);
    std::vector<float> bias;
    for (int32_t i = 0; i < experts * bias_rows; ++i) bias.push_back(random.uniform());
    const DeviceArray<uint8_t> device_x(store(x, Element::kBF16));
    const DeviceArray<int32_t> offsets(routing.offsets), choices(routing.choice_of_slot);
    const DeviceArray<float> weights(routing.weights), device_bias(bias);
    const uint64_t bytes =
        codebook_workspace(stacks.gate, routing.max_slots) + codebook_workspace(stacks.up, routing.max_slots);
    const DeviceArray<uint8_t> workspace(bytes);
    GuardedOutput a(routing.max_slots, inner, Element::kBF16);
    ExpertsIn call;
    call.groups = {offsets.get(), experts, routing.max_slots};
    call.gather = {choices.get(), top_k, weights.get()};
    call.x = device_x.get();
    call.io = Element::kBF16;
    call.gate_up_bias = device_bias.get();
    call.activation = activation;
    call.a = a.get();
    use_capability(80);
    CHECK_CUDA(launch_codebook_in(call, stacks, {workspace.get(), bytes}, test_launch(80)));
    const std::vector<float> actual = a.read(routing.slots());
    double error = 0, power = 0;
    for (int32_t slot = 0; slot < routing.slots(); ++slot) {
        const int32_t expert = routing.expert_of(slot);
        const int32_t choice = routing.choice_of_slot[static_cast<size_t>(slot)];
        std::vector<float> row(x.begin() + choice / top_k * hidden, x.begin() + (choice / top_k + 1) * hidden);
        for (float& value : row) value = rounded(value * routing.weights[static_cast<size_t>(choice)], Element::kBF16);
        const float* of_expert = bias.data() + static_cast<int64_t>(expert) * bias_rows;
        for (int32_t r = 0; r < inner; ++r) {
            const Expected u = gemm_product(up, expert, r, row.data());
            const Expected g = gemm_product(gate, expert, r, row.data());
            const double expected = reference_activation(activation, activation.gated ? g.value + of_expert[r] : 0,
                                                         u.value + of_expert[activation.gated ? inner + r : r]);
            const double value = actual[static_cast<size_t>(slot) * inner + static_cast<size_t>(r)];
            // |f'| < 1.13 for silu; then products with the other part.
            const double slack = 1.2 * g.slack * (std::fabs(u.value) + 2) + 1.2 * u.slack * (std::fabs(g.value) + 2);
            CHECK_NEAR(value, expected, slack + std::fabs(expected) * 0x1p-8 + 1e-6);
            error += (value - expected) * (value - expected);
            power += expected * expected;
        }
    }
    CHECK(power > 0 && error < 1e-5 * power);
}

}  // namespace

CASE(gate_and_up_of_gathered_tokens) {
    check_experts(false, Activation{}, 41);
    if (kUnderTsan) return;
    check_experts(true, Activation{}, 40);
    check_experts(true, Activation{ActivationKind::kClampedSwiGlu, true, 1.702f, 7.0f}, 42);
    check_experts(false, Activation{ActivationKind::kGeluTanh, false}, 43);
}
