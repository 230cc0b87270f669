// Calls of whole layers through the C ABI: what they may ask for, and what a caller can get wrong.
#include <cstring>
#include <vector>

#include "layer_case.hpp"

using namespace moek::test;

CASE(accumulates_and_counts_and_takes_a_given_routing) {
    const Sizes sizes;
    const size_t count = size_t{2} * sizes.experts * sizes.intermediate * sizes.hidden;
    const std::vector<float> gate_up = random_floats(31, count), down = random_floats(32, count / 2),
                             router = random_floats(33, static_cast<size_t>(sizes.experts) * sizes.hidden);
    moek_experts_desc desc = experts_desc(sizes);
    desc.gate_up = gate_up.data();
    desc.gate_up_bytes = count * 4;
    desc.down = down.data();
    desc.down_bytes = count * 2;
    Layer made;
    build(made, sizes, desc, router);
    const std::vector<float> hidden = random_floats(34, static_cast<size_t>(6) * sizes.hidden);
    std::vector<int32_t> ids;
    std::vector<float> weights;
    const std::vector<float> plain = run(made, sizes, hidden, &ids, &weights);
    const std::vector<float> added = run(made, sizes, hidden, nullptr, nullptr, MOEK_FORWARD_ACCUMULATE);
    for (size_t i = 0; i < plain.size(); i++) CHECK_NEAR(added[i], plain[i] + hidden[i], 1e-6);

    uint64_t bytes = 0;
    EXPECT_OK(moek_layer_workspace(&bytes, nullptr, made.layer, 6));
    ids[0] = -1;
    ids[3] = 99;  // no expert: dropped
    DeviceArray<float> x(hidden), y(hidden.size()), given_weights(weights);
    DeviceArray<int32_t> given(ids), counts(sizes.experts);
    DeviceArray<unsigned char> workspace(bytes);
    moek_forward_args args;
    moek_forward_args_init(&args);
    args.tokens = 6;
    args.hidden = x.get();
    args.output = y.get();
    args.top_k = sizes.top_k;
    args.expert_ids = given.get();
    args.expert_weights = given_weights.get();
    args.counts_out = counts.get();
    args.workspace = workspace.get();
    args.workspace_bytes = bytes;
    EXPECT_OK(moek_layer_forward(made.layer, &args));
    const std::vector<float> forced = y.read();
    const std::vector<int32_t> slots = counts.read();
    int total = 0;
    for (const int32_t slot : slots) total += slot;
    CHECK_EQ(total, 10);
    for (int i = 2 * sizes.hidden; i < 6 * sizes.hidden; i++) CHECK_EQ(forced[i], plain[i]);
    CHECK(std::memcmp(forced.data(), plain.data(), sizes.hidden * 4) != 0);
}

HOST_CASE(a_router_that_meets_nan_is_reported_once) {
    const Sizes sizes;
    const size_t count = size_t{2} * sizes.experts * sizes.intermediate * sizes.hidden;
    const std::vector<float> gate_up = random_floats(41, count), down = random_floats(42, count / 2),
                             router = random_floats(43, static_cast<size_t>(sizes.experts) * sizes.hidden);
    moek_experts_desc desc = experts_desc(sizes);
    desc.gate_up = gate_up.data();
    desc.gate_up_bytes = count * 4;
    desc.down = down.data();
    desc.down_bytes = count * 2;
    Layer made;
    build(made, sizes, desc, router);
    std::vector<float> hidden = random_floats(44, static_cast<size_t>(2) * sizes.hidden);
    hidden[3] = NAN;
    DeviceArray<float> x(hidden), y(hidden.size());
    uint64_t bytes = 0;
    EXPECT_OK(moek_layer_workspace(&bytes, nullptr, made.layer, 2));
    DeviceArray<unsigned char> workspace(bytes);
    moek_forward_args args;
    moek_forward_args_init(&args);
    args.tokens = 2;
    args.hidden = x.get();
    args.output = y.get();
    args.workspace = workspace.get();
    args.workspace_bytes = bytes;
    EXPECT_OK(moek_layer_forward(made.layer, &args));
    EXPECT_STATUS(moek_stream_synchronize(made.context, nullptr), MOEK_E_NONFINITE, "NaN");
    EXPECT_OK(moek_stream_synchronize(made.context, nullptr));
    const std::vector<float> output = y.read();
    for (int i = 0; i < sizes.hidden; i++) CHECK_EQ(output[i], 0.0f);
    for (int i = sizes.hidden; i < 2 * sizes.hidden; i++) CHECK(std::isfinite(output[i]));
}

HOST_CASE(wrong_calls_do_nothing) {
    const Sizes sizes;
    const size_t count = size_t{2} * sizes.experts * sizes.intermediate * sizes.hidden;
    const std::vector<float> gate_up = random_floats(51, count), down = random_floats(52, count / 2),
                             router = random_floats(53, static_cast<size_t>(sizes.experts) * sizes.hidden);
    moek_experts_desc desc = experts_desc(sizes);
    desc.gate_up = gate_up.data();
    desc.gate_up_bytes = count * 4;
    desc.down = down.data();
    desc.down_bytes = count * 2;
    Layer made;
    build(made, sizes, desc, router);
    const std::vector<float> hidden = random_floats(54, static_cast<size_t>(4) * sizes.hidden);
    uint64_t bytes = 0;
    EXPECT_OK(moek_layer_workspace(&bytes, nullptr, made.layer, 4));
    DeviceArray<float> x(hidden), y(hidden);
    DeviceArray<unsigned char> workspace(bytes);
    moek_forward_args good;
    moek_forward_args_init(&good);
    good.tokens = 4;
    good.hidden = x.get();
    good.output = y.get();
    good.workspace = workspace.get();
    good.workspace_bytes = bytes;
    const auto expect = [&](moek_status status, const char* word, auto&& spoil) {
        moek_forward_args args = good;
        spoil(args);
        EXPECT_STATUS(moek_layer_forward(made.layer, &args), status, word);
        EXPECT_OK(moek_stream_synchronize(made.context, nullptr));
        CHECK(y.read() == hidden);
    };
    expect(MOEK_E_ARGUMENT, "hidden", [](auto& args) { args.hidden = nullptr; });
    expect(MOEK_E_ARGUMENT, "hidden", [&](auto& args) { args.hidden = hidden.data(); });
    expect(MOEK_E_ARGUMENT, "aligned", [&](auto& args) { args.output = y.get() + 1; });
    expect(MOEK_E_ARGUMENT, "overlap", [&](auto& args) { args.output = x.get() + 4; });
    expect(MOEK_E_WORKSPACE, "bytes", [&](auto& args) { args.workspace_bytes = bytes - 1; });
    expect(MOEK_E_ARGUMENT, "workspace", [](auto& args) { args.workspace = nullptr; });
    expect(MOEK_E_ARGUMENT, "io_dtype", [](auto& args) { args.io_dtype = MOEK_MXFP4; });
    expect(MOEK_E_ARGUMENT, "tokens", [](auto& args) { args.tokens = -1; });
    expect(MOEK_E_ARGUMENT, "tokens", [](auto& args) { args.tokens = int64_t{1} << 31; });
    expect(MOEK_E_ARGUMENT, "flags", [](auto& args) { args.flags = 64; });
    expect(MOEK_E_ABI, "struct_size", [](auto& args) { args.struct_size = 4; });
    moek_forward_args nothing = good;
    nothing.tokens = 0;
    nothing.hidden = nullptr;
    nothing.output = nullptr;
    nothing.workspace = nullptr;
    nothing.workspace_bytes = 0;
    EXPECT_OK(moek_layer_forward(made.layer, &nothing));
    EXPECT_STATUS(moek_layer_forward(nullptr, &good), MOEK_E_ARGUMENT, "layer");
    EXPECT_STATUS(moek_layer_forward(made.layer, nullptr), MOEK_E_ARGUMENT, "args");
    EXPECT_OK(moek_layer_forward(made.layer, &good));
    EXPECT_OK(moek_stream_synchronize(made.context, nullptr));
    CHECK(y.read() != hidden);
}

HOST_CASE(wrong_experts_are_refused) {
    const Sizes sizes;
    const size_t count = size_t{2} * sizes.experts * sizes.intermediate * sizes.hidden;
    const std::vector<float> gate_up = random_floats(61, count), down = random_floats(62, count / 2);
    moek_experts_desc good = experts_desc(sizes);
    good.gate_up = gate_up.data();
    good.gate_up_bytes = count * 4;
    good.down = down.data();
    good.down_bytes = count * 2;
    Layer made;
    EXPECT_OK(moek_context_create(&made.context, nullptr));
    const auto expect = [&](moek_status status, const char* word, auto&& spoil) {
        moek_experts_desc desc = good;
        spoil(desc);
        moek_experts* refused = nullptr;
        EXPECT_STATUS(moek_experts_create(&refused, made.context, &desc), status, word);
        CHECK(refused == nullptr);
    };
    expect(MOEK_E_ARGUMENT, "experts", [](auto& desc) { desc.experts = 0; });
    expect(MOEK_E_ARGUMENT, "hidden", [](auto& desc) { desc.hidden = -8; });
    expect(MOEK_E_ARGUMENT, "dtype", [](auto& desc) { desc.dtype = 42; });
    expect(MOEK_E_ARGUMENT, "activation", [](auto& desc) { desc.activation = 7; });
    expect(MOEK_E_ARGUMENT, "gated", [](auto& desc) { desc.activation = MOEK_ACT_CLAMPED_SWIGLU; });
    expect(MOEK_E_ARGUMENT, "gate_up is null", [](auto& desc) { desc.gate_up = nullptr; });
    expect(MOEK_E_ARGUMENT, "gate_up_bytes", [](auto& desc) { desc.gate_up_bytes--; });
    expect(MOEK_E_ARGUMENT, "gate_up", [](auto& desc) { desc.flags = MOEK_BORROW; });
    expect(MOEK_E_UNSUPPORTED, "MXFP4", [](auto& desc) { desc.dtype = MOEK_MXFP4; });
    for (int n = 1; MOEK_EMULATED && n <= 2; n++) {
        expect(MOEK_E_MEMORY, "allocating", [&](auto&) { cuemu::config.fail_allocation = n; });
    }
    moek_experts_desc odd = good;
    odd.dtype = MOEK_MXFP4;
    EXPECT_STATUS(moek_supports(made.context, &odd, 16), MOEK_E_UNSUPPORTED, "MXFP4");
    EXPECT_OK(moek_supports(made.context, &good, 16));
    EXPECT_OK(moek_experts_create(&made.routed, made.context, &good));
    uint64_t bytes = 0;
    EXPECT_OK(moek_experts_bytes(&bytes, made.routed));
    CHECK_EQ(bytes, count * 6);

    const std::vector<float> router = random_floats(63, static_cast<size_t>(sizes.experts) * sizes.hidden);
    moek_router_desc routing = router_desc(sizes, router);
    moek_layer_desc desc;
    moek_layer_desc_init(&desc);
    desc.router = &routing;
    desc.routed = made.routed;
    const auto expect_layer = [&](moek_status status, const char* word, auto&& spoil) {
        moek_router_desc router_copy = routing;
        moek_layer_desc copy = desc;
        copy.router = &router_copy;
        spoil(copy, router_copy);
        moek_layer* refused = nullptr;
        EXPECT_STATUS(moek_layer_create(&refused, made.context, &copy), status, word);
        CHECK(refused == nullptr);
    };
    std::vector<float> bias(sizes.experts, NAN);
    expect_layer(MOEK_E_ARGUMENT, "routed", [](auto& layer, auto&) { layer.routed = nullptr; });
    expect_layer(MOEK_E_ARGUMENT, "experts", [](auto&, auto& route) { route.experts = 4; });
    expect_layer(MOEK_E_ARGUMENT, "top_k", [](auto&, auto& route) { route.top_k = 6; });
    expect_layer(MOEK_E_ARGUMENT, "groups", [](auto&, auto& route) { route.groups = 2; });
    expect_layer(MOEK_E_ARGUMENT, "weight", [](auto&, auto& route) { route.weight = nullptr; });
    expect_layer(MOEK_E_NONFINITE, "choice_bias", [&](auto&, auto& route) { route.choice_bias = bias.data(); });
    expect_layer(MOEK_E_ARGUMENT, "shared", [&](auto& layer, auto&) { layer.shared = made.routed; });
    expect_layer(MOEK_E_ARGUMENT, "shared_gate", [&](auto& layer, auto&) { layer.shared_gate = bias.data(); });
}
