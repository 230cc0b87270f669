// bf16 inputs on tensor cores against sums in double of the same rounded operands, and bit for bit between tile
// heights.
//
// Tolerance (of the results before they are stored, relative to a row's root mean square): a sum of K <= 200 products
// in fp32 errs by at most K 2^-24 of the sum of magnitudes, itself below 4 sqrt(K) of a typical sum: 2e-4 in the worst
// case and 1e-5 with errors of either sign, which is what is held. Stored as bf16: 2^-9 of the value more.
#include <iterator>

#include "experts/problem.hpp"
#include "kernels/experts/dense_paths.hpp"

namespace moek::test {
namespace {

Launch device() {
    Launch launch;
    launch.capability = 10 * cuemu::config.capability_major + cuemu::config.capability_minor;
    launch.multiprocessors = 1;
    return launch;
}

using Path = cudaError_t (*)(const GroupedCall&, const Launch&);

cudaError_t launch_prepared_wgmma(const GroupedCall& call, const Launch& launch) {
    GroupedCall prepared = call;
    const bool gated = call.has_activation && call.activation.gated;
    CHECK_CUDA(prepare_dense(prepared.w, gated, call.order));
    CHECK(grouped_wgmma_takes(prepared, launch));
    return launch_grouped_wgmma(prepared, launch);
}

/// Both criteria are needed: one wrong row moves the first, one wrong element only the second.
void check_close(const Problem& problem, Path path) {
    DeviceProblem on_device(problem, 3);
    CHECK_CUDA(path(on_device.call(), device()));
    const std::vector<float> actual = on_device.read();
    const bool stored_bf16 = problem.y_type == Element::kBF16;
    double dot = 0, actual_squares = 0, expected_squares = 0;
    for (int slot = 0; slot < problem.slots; ++slot) {
        std::vector<double> row;
        double squares = 0;
        for (int column = 0; column < problem.width(); ++column) {
            row.push_back(expected_output<double>(problem, slot, column,
                                                  [&](int s, int r) { return exact_dot(problem, s, r, true); }));
            squares += row.back() * row.back();
        }
        const double rms = std::sqrt(squares / problem.width());
        CHECK(rms >= 0.1);
        for (int column = 0; column < problem.width(); ++column) {
            const double expected = row[static_cast<size_t>(column)];
            const double value = actual[static_cast<size_t>(slot * problem.width() + column)];
            CHECK_NEAR(value, expected, 1e-5 * rms + (stored_bf16 ? std::fabs(expected) / 256 : 0));
            dot += value * expected;
            actual_squares += value * value;
            expected_squares += expected * expected;
        }
    }
    if (problem.slots > 0) CHECK(1 - 2 * dot / (actual_squares + expected_squares) < (stored_bf16 ? 1e-5 : 1e-10));
}

Problem bf16_problem(Random& random, Element type, int experts, int rows, int columns, int block_rows = 128,
                     int block_columns = 128) {
    Problem problem;
    problem.w = random_stack(random, type, experts, rows, columns, block_rows, block_columns);
    problem.x_type = Element::kBF16;
    return problem;
}

struct Shape {
    Element type;
    int experts, rows, columns, slots, skew, block_rows, block_columns;
};

// Tiles of 16, 64 and 128 slots by slots / experts; columns in and out of steps of 32.
const Shape kShapes[] = {
    {Element::kBF16, 3, 33, 72, 20, 0, 1, 1},    {Element::kBF16, 1, 130, 8, 65, 0, 1, 1},
    {Element::kBF16, 2, 24, 200, 70, 2, 1, 1},   {Element::kF16, 2, 40, 136, 9, 0, 1, 1},
    {Element::kF8E4M3, 2, 37, 72, 18, 0, 5, 24}, {Element::kF8E4M3, 1, 16, 160, 70, 0, 16, 64},
    {Element::kMxfp4, 3, 34, 96, 40, 1, 1, 1},   {Element::kBF16, 40, 17, 40, 30, 1, 1, 1},
};

CASE(products_of_every_type) {
    Random random(11);
    for (size_t i = 0; i < std::size(kShapes); i += kThreadSanitizer ? 4 : 1) {
        const Shape& shape = kShapes[i];
        Problem problem = bf16_problem(random, shape.type, shape.experts, shape.rows, shape.columns, shape.block_rows,
                                       shape.block_columns);
        fill(problem, random, shape.slots, shape.skew, 0, false, true);
        DeviceProblem on_device(problem);
        CHECK(grouped_mma_takes(on_device.call()));
        check_close(problem, launch_grouped_mma);
        if (shape.type == Element::kBF16) check_close(problem, launch_prepared_wgmma);
    }
}

CASE(rings_go_round) {
    Random random(14);
    Problem problem = bf16_problem(random, Element::kBF16, 1, 20, 456);
    for (int slots : {70, 10}) {
        fill(problem, random, slots, 0, 0, false, false);
        check_close(problem, launch_grouped_mma);
        check_close(problem, launch_prepared_wgmma);
    }
}

CASE(gate_and_up_meet_in_the_epilogue) {
    Random random(12);
    for (int variant = 0; variant < (kThreadSanitizer ? 1 : 4); ++variant) {
        const Element type = variant == 1 ? Element::kMxfp4 : Element::kBF16;
        Problem problem = bf16_problem(random, type, 2, variant == 3 ? 150 : 44, 64);
        problem.has_activation = true;
        problem.activation.kind = variant == 1 ? ActivationKind::kClampedSwiGlu : ActivationKind::kSilu;
        problem.order = variant == 1 || variant == 3 ? GateUpOrder::kInterleaved : GateUpOrder::kConcatenated;
        problem.activation.gated = variant != 2;
        problem.y_type = Element::kBF16;
        fill(problem, random, 24, 0, 2, variant != 0, variant != 3);
        check_close(problem, launch_grouped_mma);
        if (variant != 1) check_close(problem, launch_prepared_wgmma);
    }
}

void check_rows_alone(Path path) {
    Random random(13);
    Problem batch = bf16_problem(random, Element::kBF16, 1, 40, 104);
    fill(batch, random, 130, 0, 0, false, true);
    DeviceProblem all(batch);
    CHECK_CUDA(path(all.call(), device()));
    const std::vector<float> expected = all.read();
    for (int slots : {1, 40}) {
        const int first = slots == 1 ? 129 : 77;
        Problem some = batch;
        some.slots = slots;
        some.offsets = {0, slots};
        some.x.assign(batch.x.begin() + first * 104, batch.x.begin() + (first + slots) * 104);
        DeviceProblem few(some);
        CHECK_CUDA(path(few.call(), device()));
        const std::vector<float> rows(expected.begin() + first * 40, expected.begin() + (first + slots) * 40);
        CHECK_EQ(first_difference(few.read(), rows), -1);
    }
}

CASE(rows_do_not_depend_on_their_batch) {
    check_rows_alone(launch_grouped_mma);
    check_rows_alone(launch_prepared_wgmma);
}

CASE(many_slots_of_both_halves) {
    Random random(15);
    for (int variant = 0; variant < (kThreadSanitizer ? 1 : 3); ++variant) {
        Problem problem = bf16_problem(random, Element::kBF16, 2, variant == 0 ? 270 : 140, 40);
        problem.has_activation = variant != 0;
        problem.order = variant == 1 ? GateUpOrder::kInterleaved : GateUpOrder::kConcatenated;
        fill(problem, random, 150, 0, 2, variant == 1, true);
        check_close(problem, launch_prepared_wgmma);
    }
}

}  // namespace
}  // namespace moek::test
