// Copies of heads and scaled rows through the C ABI, and a product of every head with a matrix of its own made of them.
#include <cmath>
#include <vector>

#include "device_array.hpp"
#include "expect.hpp"
#include "guarded.hpp"

using namespace moek::test;

namespace {

struct Context {
    moek_context* pointer = nullptr;
    Context() { EXPECT_OK(moek_context_create(&pointer, nullptr)); }
    ~Context() { moek_context_destroy(pointer); }
};

std::vector<float> random_floats(uint64_t seed, size_t count) {
    Random random(seed);
    return random_values<float>(random, count);
}

moek_heads_args heads_of(int64_t rows, int32_t heads, int32_t width) {
    moek_heads_args args;
    moek_heads_args_init(&args);
    args.rows = rows;
    args.heads = heads;
    args.width = width;
    return args;
}

}  // namespace

// y[r, h] = W[h] x[r, h], the inputs a slice of wider rows.
CASE(every_head_has_its_matrix) {
    constexpr int32_t kRows = 3, kHeads = 4, kInputs = 12, kOutputs = 20, kStride = 21;
    const Context context;
    const std::vector<float> w = random_floats(1, kHeads * kOutputs * kInputs),
                             x = random_floats(2, kRows * kHeads * kStride);
    moek_weights_desc desc;
    moek_weights_desc_init(&desc);
    desc.matrices = kHeads;
    desc.rows = kOutputs;
    desc.columns = kInputs;
    desc.data = w.data();
    desc.data_bytes = w.size() * sizeof(float);
    moek_weights* weights = nullptr;
    EXPECT_OK(moek_weights_create(&weights, context.pointer, &desc));
    DeviceArray<float> device_x(x), inputs(kRows * kHeads * kInputs), outputs(kRows * kHeads * kOutputs);
    Guarded<float> y(kRows * kHeads * kOutputs);
    DeviceArray<int32_t> offsets(std::vector<int32_t>{0, kRows, 2 * kRows, 3 * kRows, 4 * kRows});
    moek_heads_args in = heads_of(kRows, kHeads, kInputs);
    in.x = device_x.get() + 5;
    in.x_stride = kHeads * kStride;
    in.x_head_stride = kStride;
    in.y = inputs.get();
    in.y_stride = kInputs;
    in.y_head_stride = kRows * kInputs;
    EXPECT_OK(moek_copy_heads(context.pointer, &in, nullptr));
    uint64_t bytes = 0;
    EXPECT_OK(moek_linear_workspace(&bytes, weights, kRows * kHeads));
    DeviceArray<unsigned char> workspace(bytes + 1);
    EXPECT_OK(moek_grouped_gemm(outputs.get(), context.pointer, weights, nullptr, inputs.get(), MOEK_F32, offsets.get(),
                                kRows * kHeads, workspace.get(), bytes, nullptr));
    moek_heads_args out = heads_of(kRows, kHeads, kOutputs);
    out.x = outputs.get();
    out.x_stride = kOutputs;
    out.x_head_stride = kRows * kOutputs;
    out.y = y.get();
    out.y_stride = kHeads * kOutputs;
    out.y_head_stride = kOutputs;
    EXPECT_OK(moek_copy_heads(context.pointer, &out, nullptr));
    EXPECT_OK(moek_stream_synchronize(context.pointer, nullptr));
    const std::vector<float> actual = y.read();
    for (int32_t r = 0; r < kRows; ++r) {
        for (int32_t h = 0; h < kHeads; ++h) {
            for (int32_t o = 0; o < kOutputs; ++o) {
                double sum = 0, magnitude = 0;
                for (int32_t i = 0; i < kInputs; ++i) {
                    const double term = static_cast<double>(w[(h * kOutputs + o) * kInputs + i]) *
                                        x[(r * kHeads + h) * kStride + 5 + i];
                    sum += term;
                    magnitude += std::fabs(term);
                }
                CHECK_NEAR(actual[(r * kHeads + h) * kOutputs + o], sum, kInputs * 0x1p-24 * magnitude);
            }
        }
    }
    moek_weights_destroy(weights);
}

HOST_CASE(wrong_copies_do_nothing) {
    const Context context;
    const std::vector<float> x = random_floats(3, 200);
    DeviceArray<float> device_x(x);
    Guarded<float> y(200);
    moek_heads_args good = heads_of(2, 3, 8);
    good.x = device_x.get();
    good.x_stride = 24;
    good.x_head_stride = 8;
    good.y = y.get();
    good.y_stride = 8;
    good.y_head_stride = 16;
    const auto expect = [&](moek_status status, const char* word, auto&& spoil) {
        moek_heads_args args = good;
        spoil(args);
        EXPECT_STATUS(moek_copy_heads(context.pointer, &args, nullptr), status, word);
        EXPECT_OK(moek_stream_synchronize(context.pointer, nullptr));
        CHECK(Guarded<float>::untouched(y.read().data(), 200));
    };
    expect(MOEK_E_ARGUMENT, "x is null", [](auto& args) { args.x = nullptr; });
    expect(MOEK_E_ARGUMENT, "y is null", [](auto& args) { args.y = nullptr; });
    expect(MOEK_E_ARGUMENT, "x", [&](auto& args) { args.x = x.data(); });
    expect(MOEK_E_ARGUMENT, "overlap", [&](auto& args) { args.x = y.get() + 8; });
    expect(MOEK_E_ARGUMENT, "heads of y overlap", [](auto& args) { args.y_head_stride = 7; });
    expect(MOEK_E_ARGUMENT, "heads of y overlap", [](auto& args) { args.y_stride = 0; });
    expect(MOEK_E_ARGUMENT, "heads of y overlap", [](auto& args) { args.y_head_stride = 12; });
    expect(MOEK_E_ARGUMENT, "rows", [](auto& args) { args.rows = -1; });
    expect(MOEK_E_ARGUMENT, "heads", [](auto& args) { args.heads = 0; });
    expect(MOEK_E_ARGUMENT, "width", [](auto& args) { args.width = 0; });
    expect(MOEK_E_ARGUMENT, "stride", [](auto& args) { args.x_stride = -1; });
    expect(MOEK_E_ARGUMENT, "x", [](auto& args) {
        args.rows = INT32_MAX;
        args.x_stride = int64_t{1} << 40;
    });
    expect(MOEK_E_ARGUMENT, "dtype", [](auto& args) { args.x_dtype = MOEK_F16; });
    expect(MOEK_E_ARGUMENT, "dtype", [](auto& args) { args.y_dtype = MOEK_MXFP4; });
    expect(MOEK_E_ARGUMENT, "reserved0", [](auto& args) { args.reserved0 = 1; });
    expect(MOEK_E_ABI, "struct_size", [](auto& args) { args.struct_size = 8; });
    EXPECT_STATUS(moek_copy_heads(nullptr, &good, nullptr), MOEK_E_ARGUMENT, "context");
    EXPECT_STATUS(moek_copy_heads(context.pointer, nullptr, nullptr), MOEK_E_ARGUMENT, "args");
    moek_heads_args nothing = heads_of(0, 3, 8);
    EXPECT_OK(moek_copy_heads(context.pointer, &nothing, nullptr));
    EXPECT_OK(moek_copy_heads(context.pointer, &good, nullptr));
    EXPECT_OK(moek_stream_synchronize(context.pointer, nullptr));
    CHECK_EQ(y.read()[16], x[8]);
}

HOST_CASE(wrong_scales_do_nothing) {
    const Context context;
    const std::vector<float> values = random_floats(4, 40);
    DeviceArray<float> x(values), factors(std::vector<float>{2.0f, 3.0f});
    moek_context* const c = context.pointer;
    EXPECT_STATUS(moek_scale_rows(nullptr, c, factors.get(), 2, 20, 20, nullptr), MOEK_E_ARGUMENT, "x is null");
    EXPECT_STATUS(moek_scale_rows(x.get(), nullptr, factors.get(), 2, 20, 20, nullptr), MOEK_E_ARGUMENT, "context");
    EXPECT_STATUS(moek_scale_rows(x.get(), c, nullptr, 2, 20, 20, nullptr), MOEK_E_ARGUMENT, "factors");
    EXPECT_STATUS(moek_scale_rows(x.get(), c, x.get() + 30, 2, 20, 20, nullptr), MOEK_E_ARGUMENT, "overlap");
    EXPECT_STATUS(moek_scale_rows(x.get(), c, factors.get(), -1, 20, 20, nullptr), MOEK_E_ARGUMENT, "rows");
    EXPECT_STATUS(moek_scale_rows(x.get(), c, factors.get(), 2, 0, 20, nullptr), MOEK_E_ARGUMENT, "width");
    EXPECT_STATUS(moek_scale_rows(x.get(), c, factors.get(), 2, 20, 19, nullptr), MOEK_E_ARGUMENT, "stride");
    EXPECT_OK(moek_scale_rows(nullptr, c, nullptr, 0, 20, 20, nullptr));
    EXPECT_OK(moek_stream_synchronize(c, nullptr));
    CHECK(x.read() == values);
    EXPECT_OK(moek_scale_rows(x.get(), c, factors.get(), 2, 20, 20, nullptr));
    EXPECT_OK(moek_stream_synchronize(c, nullptr));
    CHECK_EQ(x.read()[20], values[20] * 3.0f);
}
