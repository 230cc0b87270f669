// The one-kernel layer against its three steps, bit for bit; the steps themselves are tested against plain loops.
#include "experts/problem.hpp"
#include "kernels/experts/decode_layer.hpp"

namespace moek::test {
namespace {

struct Layer {
    Element type;
    int experts, hidden, intermediate, tokens, top_k;
    bool all_to_one;
};

struct Routing {
    std::vector<int32_t> offsets, choice_of_slot, slot_of;
};

/// Choices of distinct experts, or all of expert 1; the last choice of the last token is dropped.
Routing route(Random& random, const Layer& layer) {
    const int choices = layer.tokens * layer.top_k;
    std::vector<int32_t> expert_of;
    for (int i = 0; i < choices; ++i)
        expert_of.push_back(
            layer.all_to_one ? 1 : static_cast<int32_t>(random.below(static_cast<uint32_t>(layer.experts))));
    expert_of.back() = -1;
    Routing routing;
    routing.slot_of.assign(static_cast<size_t>(choices), -1);
    for (int expert = 0; expert < layer.experts; ++expert) {
        routing.offsets.push_back(static_cast<int32_t>(routing.choice_of_slot.size()));
        for (int i = 0; i < choices; ++i) {
            if (expert_of[static_cast<size_t>(i)] != expert) continue;
            routing.slot_of[static_cast<size_t>(i)] = static_cast<int32_t>(routing.choice_of_slot.size());
            routing.choice_of_slot.push_back(i);
        }
    }
    routing.offsets.push_back(static_cast<int32_t>(routing.choice_of_slot.size()));
    while (routing.choice_of_slot.size() < static_cast<size_t>(choices)) routing.choice_of_slot.push_back(0);
    return routing;
}

void check_layer(const Layer& layer, Random& random) {
    const Routing routing = route(random, layer);
    const size_t slots = routing.choice_of_slot.size(), tokens = static_cast<size_t>(layer.tokens);
    const size_t hidden = static_cast<size_t>(layer.hidden), intermediate = static_cast<size_t>(layer.intermediate);
    const HostStack gate_up =
        random_stack(random, layer.type, layer.experts, 2 * layer.intermediate, layer.hidden, 16, 16);
    const HostStack down = random_stack(random, layer.type, layer.experts, layer.hidden, layer.intermediate, 16, 16);
    const DeviceArray<uint8_t> gate_up_data(gate_up.data), down_data(down.data);
    const Guarded<uint8_t> gate_up_scales(gate_up.scales), down_scales(down.scales);
    const DeviceArray<int32_t> offsets(routing.offsets), choices(routing.choice_of_slot), slot_of(routing.slot_of);
    const DeviceArray<float> x(random_values<float>(random, tokens * hidden));
    const DeviceArray<float> weights(random_values<float>(random, slots));
    const DeviceArray<float> shared(random_values<float>(random, tokens * hidden));

    DenseExperts experts;
    experts.gate_up = gate_up.shape, experts.down = down.shape;
    experts.gate_up.data = gate_up_data.get(), experts.down.data = down_data.get();
    experts.gate_up.scales = gate_up_scales.get(), experts.down.scales = down_scales.get();
    Launch launch;
    launch.multiprocessors = kThreadSanitizer ? 1 : 2;

    std::vector<float> results[3];
    for (int run = 0; run < 3; ++run) {
        const Guarded<float> a(slots * intermediate), yp(slots * hidden), y(tokens * hidden);
        DecodeLayer call;
        call.in.groups = {offsets.get(), layer.experts, static_cast<int32_t>(slots)};
        call.in.gather = {choices.get(), layer.top_k, nullptr};
        call.in.x = x.get(), call.in.a = a.get();
        call.out.groups = call.in.groups;
        call.out.a = a.get(), call.out.y = yp.get();
        call.combine.plan.top_k = layer.top_k, call.combine.plan.experts = layer.experts;
        call.combine.plan.tokens = layer.tokens, call.combine.plan.slot_of = slot_of.get();
        call.combine.yp = yp.get(), call.combine.weights = weights.get(), call.combine.shared = shared.get();
        call.combine.y = y.get(), call.combine.width = layer.hidden;
        const Guarded<uint32_t> counters(2 * slots);
        const Workspace workspace{counters.get(), decode_layer_workspace(static_cast<int64_t>(slots))};
        if (run == 0) {
            CHECK_CUDA(launch_dense_in(call.in, experts, {}, launch));
            CHECK_CUDA(launch_dense_out(call.out, experts, {}, launch));
            CHECK_CUDA(launch_combine(call.combine, launch));
        } else {
            CHECK(decode_layer_takes(call, experts));
            CHECK_CUDA(launch_decode_layer(call, experts, workspace, launch));
            // Once more on the same counters, which the first run has left raised.
            if (run == 2) CHECK_CUDA(launch_decode_layer(call, experts, workspace, launch));
        }
        results[run] = y.read();
        a.read(), yp.read(), counters.read();
    }
    double squares = 0;
    for (float value : results[0]) squares += double{value} * double{value};
    CHECK(std::sqrt(squares / static_cast<double>(tokens * hidden)) >= 0.1);
    CHECK_EQ(first_difference(results[1], results[0]), -1);
    CHECK_EQ(first_difference(results[2], results[0]), -1);
}

CASE(one_kernel_gives_the_bits_of_three) {
    Random random(21);
    check_layer({Element::kBF16, 4, 40, 24, 5, 2, false}, random);
    if (kThreadSanitizer) return;
    check_layer({Element::kF32, 3, 132, 20, 1, 3, false}, random);
    check_layer({Element::kF16, 5, 24, 40, 3, 2, false}, random);
    check_layer({Element::kF8E4M3, 2, 48, 32, 11, 1, true}, random);
    check_layer({Element::kMxfp4, 70, 64, 96, 4, 4, false}, random);
}

HOST_CASE(what_the_kernel_does_not_cover_is_refused) {
    DecodeLayer call;
    DenseExperts experts;
    experts.gate_up.columns = experts.down.columns = 8;
    experts.gate_up.rows = 16, experts.down.rows = 8;
    call.in.groups.max_slots = call.out.groups.max_slots = 4;
    CHECK(decode_layer_takes(call, experts));
    call.in.io = Element::kBF16;
    CHECK(!decode_layer_takes(call, experts));
    CHECK_EQ(launch_decode_layer(call, experts, {}, {}), cudaErrorNotSupported);
    call.in.io = Element::kF32;
    CHECK_EQ(launch_decode_layer(call, experts, {}, {}), cudaErrorInvalidValue);
    experts.gate_up.columns = 6;
    CHECK(!decode_layer_takes(call, experts));
}

}  // namespace
}  // namespace moek::test
