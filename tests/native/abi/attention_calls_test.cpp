// Attention through the C ABI: masks and distances in, refusals out.
#include <cmath>
#include <vector>

#include "device_array.hpp"
#include "expect.hpp"

using namespace moek::test;

namespace {

// One query of two heads at place 3, over four positions whose keys are 0: the scores are the biases alone. The values
// are the powers of ten, so that a result shows which positions took part.
struct Call {
    Call() {
        EXPECT_OK(moek_context_create(&context, nullptr));
        moek_attention_args_init(&args);
        args.rows = args.kv_heads = args.key_dim = args.value_dim = 1;
        args.heads = 2;
        args.scale = 1;
        args.positions = 4;
        args.q = q.get();
        args.k = k.get();
        args.v = v.get();
        args.y = y.get();
        args.first = first.get();
        args.last = last.get();
        args.q_head_stride = args.k_stride = args.k_head_stride = args.v_stride = args.v_head_stride = 1;
        args.q_stride = args.y_stride = 2;
        args.y_head_stride = 1;
        args.mask = mask.get();
        args.bias = bias.get();
        args.places = last.get();
        args.bias_reach = 1;
    }
    ~Call() { moek_context_destroy(context); }

    moek_status run() { return moek_attention(context, &args, nullptr); }

    moek_context* context = nullptr;
    moek_attention_args args;
    const std::vector<float> biases{std::log(2.0f), std::log(3.0f), 9.0f, std::log(4.0f), 0.0f, 9.0f};
    DeviceArray<float> q{std::vector<float>{5, 7}}, k{std::vector<float>(4)}, v{std::vector<float>{1, 10, 100, 1000}};
    DeviceArray<float> y{2}, bias{biases};
    DeviceArray<int32_t> first{std::vector<int32_t>{0}}, last{std::vector<int32_t>{3}};
    DeviceArray<int32_t> mask{std::vector<int32_t>{1, 0, 1, 1}};
};

void check_result(const Call& call, double low, double high) {
    const std::vector<float> y = call.y.read();
    CHECK_NEAR(y[0], low, 1e-6 * low);
    CHECK_NEAR(y[1], high, 1e-6 * high);
}

}  // namespace

HOST_CASE(masks_and_distances) {
    Call call;
    EXPECT_OK(call.run());
    check_result(call, (2 * 1 + 2 * 100 + 3 * 1000) / 7.0, (4 * 1 + 4 * 100 + 1000) / 9.0);
    call.args.mask = nullptr;
    EXPECT_OK(call.run());
    check_result(call, (2 * 111 + 3 * 1000) / 9.0, (4 * 111 + 1000) / 13.0);
    call.args.bias = nullptr;
    call.args.places = nullptr;
    EXPECT_OK(call.run());
    check_result(call, 1111 / 4.0, 1111 / 4.0);
}

HOST_CASE(refuses_bad_masks_and_distances) {
    Call call;
    call.args.bias_reach = -1;
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "bias_reach");
    call.args.bias_reach = (1 << 20) + 1;
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "bias_reach");
    call.args.bias_reach = 1;
    call.args.places = nullptr;
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "places");
    call.args.places = call.last.get();
    call.args.bias = reinterpret_cast<const float*>(reinterpret_cast<const char*>(call.bias.get()) + 2);
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "bias");
    call.args.bias = call.biases.data();
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "bias");
    call.args.bias = nullptr;
    call.args.positions = 0;
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "positions");
    call.args.positions = 4;
    call.args.mask = reinterpret_cast<const int32_t*>(call.biases.data());
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "mask");
    call.args.mask = nullptr;
    call.args.reserved0 = 1;
    EXPECT_STATUS(call.run(), MOEK_E_ARGUMENT, "reserved0");
    call.args.reserved0 = 0;
    EXPECT_OK(call.run());
}
