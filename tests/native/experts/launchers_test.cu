// The launchers of the room: which kernel they choose must not show, but for the rounding of bf16.
#include "experts/problem.hpp"

namespace moek::test {
namespace {

Launch device(int capability) {
    Launch launch;
    launch.capability = capability;
    launch.multiprocessors = 1;
    return launch;
}

constexpr int kExperts = 2, kHidden = 40, kIntermediate = 24, kSlots = 9;

/// Both halves of the experts on a device of this capability; results are y [slots, hidden].
std::vector<float> run_experts(Element type, Element io, int capability) {
    Random random(31);
    const HostStack gate_up = random_stack(random, type, kExperts, 2 * kIntermediate, kHidden);
    const HostStack down = random_stack(random, type, kExperts, kHidden, kIntermediate);
    const DeviceArray<uint8_t> gate_up_data(gate_up.data), down_data(down.data);
    const DeviceArray<int32_t> offsets(random_offsets(random, kExperts, kSlots, 0));
    const std::vector<bf16> x = random_values<bf16>(random, kSlots * kHidden);
    std::vector<float> wide;
    for (bf16 value : x) wide.push_back(to_float(value));
    const DeviceArray<bf16> x_bf16(x);
    const DeviceArray<float> x_f32(wide);
    const Guarded<float> a(kSlots * kIntermediate), y(kSlots * kHidden);
    DenseExperts experts;
    experts.gate_up = gate_up.shape, experts.down = down.shape;
    experts.gate_up.data = gate_up_data.get(), experts.down.data = down_data.get();
    if (capability == 90) {
        CHECK_CUDA(prepare_dense(experts.gate_up, true, experts.order));
        CHECK_CUDA(prepare_dense(experts.down, false, experts.order));
    }
    ExpertsIn in;
    in.groups = {offsets.get(), kExperts, kSlots};
    in.x = io == Element::kF32 ? static_cast<const void*>(x_f32.get()) : x_bf16.get();
    in.io = io, in.a = a.get();
    ExpertsOut out;
    out.groups = in.groups, out.a = a.get(), out.io = io, out.y = y.get();
    CHECK_CUDA(launch_dense_in(in, experts, {}, device(capability)));
    CHECK_CUDA(launch_dense_out(out, experts, {}, device(capability)));
    a.read();
    return y.read();
}

CASE(devices_and_types_agree) {
    const std::vector<float> exact = run_experts(Element::kBF16, Element::kF32, 80);
    double squares = 0;
    for (float value : exact) squares += double{value} * double{value};
    const double rms = std::sqrt(squares / static_cast<double>(exact.size()));
    CHECK(rms >= 0.1);
    // fp32 has one path on every device.
    CHECK_EQ(first_difference(run_experts(Element::kBF16, Element::kF32, 90), exact), -1);
    for (int capability : {80, 90}) {
        const std::vector<float> rounded = run_experts(Element::kBF16, Element::kBF16, capability);
        // Activations stored as bf16 between the halves: 2^-9 of each, of either sign.
        for (size_t i = 0; i < exact.size(); ++i) CHECK_NEAR(rounded[i], exact[i], 0.03 * rms);
    }
    // Without a kernel for fp32 weights on tensor cores their sums run in fp32.
    run_experts(Element::kF32, Element::kBF16, 90);
}

CASE(linear_layers_take_both_types) {
    Random random(32);
    for (Element io : {Element::kF32, Element::kBF16}) {
        Problem problem;
        problem.w = random_stack(random, Element::kF16, 1, 33, 72);
        problem.x_type = problem.y_type = io;
        fill(problem, random, 5, 0, 0, false, true);
        problem.offsets.clear();
        const DeviceProblem on_device(problem);
        const GroupedCall given = on_device.call();
        GroupedLinear call;
        call.groups = given.groups, call.x = given.x, call.io = io, call.bias = given.bias, call.y = given.y;
        CHECK_CUDA(launch_dense_linear(call, given.w, {}, device(80)));
        const std::vector<float> actual = on_device.read();
        for (int slot = 0; slot < problem.slots; ++slot) {
            for (int column = 0; column < problem.width(); ++column) {
                const bool rounds = io == Element::kBF16;
                const double expected = expected_output<double>(
                    problem, slot, column, [&](int s, int row) { return exact_dot(problem, s, row, rounds); });
                CHECK_NEAR(actual[static_cast<size_t>(slot * problem.width() + column)], expected,
                           1e-4 + (rounds ? std::fabs(expected) / 256 : 0));
            }
        }
    }
}

CASE(nothing_is_launched_for_no_slots) {
    DenseStack stack;
    stack.rows = stack.columns = 8;
    CHECK_CUDA(launch_dense_linear({}, stack, {}, device(90)));
    CHECK_EQ(dense_workspace(stack, 100), 0u);
}

}  // namespace
}  // namespace moek::test
