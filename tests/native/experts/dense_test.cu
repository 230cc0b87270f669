// The fp32 sums of the experts room against plain loops, bit for bit: every type of weights, odd shapes, all
// activations, skewed groups, gathered inputs. The many-slot and the few-slot kernel give the same bits.
#include <iterator>

#include "experts/problem.hpp"
#include "kernels/experts/dense_paths.hpp"

namespace moek::test {
namespace {

// TSan starts a thread in half a millisecond: fewer shapes, smaller grids.
constexpr int kStride = kThreadSanitizer ? 3 : 1;

using Path = cudaError_t (*)(const GroupedCall&, const Launch&);

Launch device() {
    Launch launch;
    launch.capability = 10 * cuemu::config.capability_major + cuemu::config.capability_minor;
    launch.multiprocessors = kThreadSanitizer ? 1 : 2;
    return launch;
}

/// Runs a path and compares every output with the ordered sums.
void check_exact(const Problem& problem, Path path, int spare_slots = 0) {
    DeviceProblem on_device(problem, spare_slots);
    CHECK_CUDA(path(on_device.call(), device()));
    const std::vector<float> actual = on_device.read();
    std::vector<float> expected;
    double squares = 0;
    for (int slot = 0; slot < problem.slots; ++slot) {
        for (int column = 0; column < problem.width(); ++column) {
            float value = expected_output<float>(problem, slot, column,
                                                 [&](int s, int row) { return ordered_dot(problem, s, row); });
            if (problem.y_type == Element::kBF16) value = to_float(from_float<bf16>(value));
            expected.push_back(value);
            squares += double{value} * double{value};
        }
    }
    // A reference of zeros would pass whatever the kernel leaves out.
    if (problem.slots > 0) CHECK(std::sqrt(squares / static_cast<double>(expected.size())) >= 0.1);
    CHECK_EQ(first_difference(actual, expected), -1);
}

struct Shape {
    Element type;
    int experts, rows, columns, slots, skew, block_rows, block_columns;
};

Problem problem_of(const Shape& shape, Random& random) {
    Problem problem;
    problem.w = random_stack(random, shape.type, shape.experts, shape.rows, shape.columns, shape.block_rows,
                             shape.block_columns);
    return problem;
}

const Shape kShapes[] = {
    {Element::kF32, 3, 33, 45, 40, 0, 1, 1},        {Element::kF32, 1, 1, 1, 1, 0, 1, 1},
    {Element::kF16, 2, 40, 67, 35, 0, 1, 1},        {Element::kBF16, 5, 31, 96, 70, 1, 1, 1},
    {Element::kBF16, 70, 9, 33, 30, 1, 1, 1},       {Element::kF8E4M3, 2, 37, 70, 33, 2, 5, 7},
    {Element::kF8E4M3, 2, 64, 128, 5, 0, 128, 128}, {Element::kMxfp4, 3, 34, 96, 36, 0, 1, 1},
};

CASE(many_slots_sum_in_order) {
    Random random(1);
    for (size_t i = 0; i < std::size(kShapes); i += kStride) {
        const Shape& shape = kShapes[i];
        Problem problem = problem_of(shape, random);
        fill(problem, random, shape.slots, shape.skew, 0, false, true);
        check_exact(problem, launch_grouped_simt);
    }
}

const Shape kDecodeShapes[] = {
    {Element::kF32, 3, 33, 68, 7, 0, 1, 1},       {Element::kF16, 2, 20, 136, 5, 2, 1, 1},
    {Element::kBF16, 70, 9, 72, 9, 1, 1, 1},      {Element::kBF16, 1, 8, 1032, 1, 0, 1, 1},
    {Element::kF8E4M3, 2, 37, 208, 12, 2, 5, 12}, {Element::kMxfp4, 3, 34, 352, 20, 2, 1, 1},
};

CASE(few_slots_sum_in_order) {
    Random random(2);
    for (size_t i = 0; i < std::size(kDecodeShapes); i += kStride) {
        const Shape& shape = kDecodeShapes[i];
        Problem problem = problem_of(shape, random);
        fill(problem, random, shape.slots, shape.skew, 0, false, true);
        DeviceProblem on_device(problem);
        CHECK(grouped_decode_takes(on_device.call()));
        check_exact(problem, launch_grouped_decode);
    }
}

CASE(activations_and_orders_of_gate_and_up) {
    Random random(3);
    const ActivationKind kinds[] = {ActivationKind::kSilu, ActivationKind::kRelu, ActivationKind::kGelu,
                                    ActivationKind::kGeluTanh, ActivationKind::kClampedSwiGlu};
    for (ActivationKind kind : kinds) {
        for (int variant = 0; variant < 3; ++variant) {
            const bool gated = variant != 2;
            if (!gated && kind == ActivationKind::kClampedSwiGlu) continue;
            if (kThreadSanitizer && (kind != ActivationKind::kSilu || variant == 1)) continue;
            Problem problem = problem_of({Element::kF32, 2, 38, 36, 0, 0, 1, 1}, random);
            problem.has_activation = true;
            problem.activation.kind = kind;
            problem.activation.gated = gated;
            problem.activation.limit = 1.25f;
            problem.order = variant == 1 ? GateUpOrder::kInterleaved : GateUpOrder::kConcatenated;
            fill(problem, random, 9, 0, 2, true, variant != 0);
            check_exact(problem, launch_grouped_simt);
            check_exact(problem, launch_grouped_decode);
        }
    }
}

CASE(bf16_inputs_round_what_they_are_multiplied_by) {
    Random random(4);
    Problem problem = problem_of({Element::kF32, 3, 24, 40, 0, 0, 1, 1}, random);
    problem.x_type = problem.y_type = Element::kBF16;
    problem.has_activation = true;
    fill(problem, random, 20, 0, 4, true, true);
    check_exact(problem, launch_grouped_simt);
    check_exact(problem, launch_grouped_decode);
}

CASE(slots_beyond_the_last_offset_stay_untouched) {
    Random random(5);
    Problem problem = problem_of({Element::kBF16, 4, 33, 40, 0, 0, 1, 1}, random);
    fill(problem, random, 13, 1, 0, false, false);
    check_exact(problem, launch_grouped_simt, 100);
    check_exact(problem, launch_grouped_decode, 100);
    fill(problem, random, 0, 0, 0, false, false);
    check_exact(problem, launch_grouped_simt, 7);
    check_exact(problem, launch_grouped_decode, 7);
}

CASE(one_group_needs_no_offsets) {
    Random random(6);
    Problem problem = problem_of({Element::kF16, 1, 40, 48, 0, 0, 1, 1}, random);
    fill(problem, random, 34, 0, 0, false, true);
    problem.offsets.clear();
    check_exact(problem, launch_grouped_simt);
    check_exact(problem, launch_grouped_decode);
}

CASE(rows_do_not_depend_on_their_batch) {
    Random random(7);
    Problem batch = problem_of({Element::kBF16, 1, 40, 64, 0, 0, 1, 1}, random);
    fill(batch, random, 37, 0, 0, false, true);
    DeviceProblem all(batch);
    CHECK_CUDA(launch_grouped_simt(all.call(), device()));
    const std::vector<float> expected = all.read();
    for (int slot : {0, 31, 32, 36}) {
        Problem alone = batch;
        alone.slots = 1;
        alone.offsets = {0, 1};
        alone.x.assign(batch.x.begin() + slot * 64, batch.x.begin() + (slot + 1) * 64);
        DeviceProblem one(alone);
        CHECK_CUDA(launch_grouped_decode(one.call(), device()));
        const std::vector<float> row(expected.begin() + slot * 40, expected.begin() + (slot + 1) * 40);
        CHECK_EQ(first_difference(one.read(), row), -1);
    }
}

}  // namespace
}  // namespace moek::test
