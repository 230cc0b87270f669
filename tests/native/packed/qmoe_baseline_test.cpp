// The paper's kernel, which benchmarks compare with, computes what the library's does.
#include "../../../bench/native/qmoe_baseline.cu"

#include "packed/qmoe_case.hpp"

using namespace moek;
using namespace moek::test;

namespace {

void check(int32_t rows, int32_t columns, bench::QmoeBaselineShape shape, uint64_t seed) {
    Random random(seed);
    const QmoeCase made = make_qmoe(random, rows, columns, 1);
    const std::vector<float> x = make_rows(random, static_cast<size_t>(columns), Element::kBF16);
    std::vector<float> before = make_rows(random, static_cast<size_t>(rows), Element::kBF16);
    const DeviceArray<uint8_t> device_x(store(x, Element::kBF16)), y(store(before, Element::kBF16));
    const DeviceArray<uint16_t> codewords(made.codewords), min_max(made.min_max);
    const DeviceArray<int32_t> offsets(std::vector<int32_t>(made.offsets.begin(), made.offsets.end()));
    const DeviceArray<uint32_t> words(dictionary());
    bench::QmoeBaseline call;
    call.y = reinterpret_cast<bf16*>(y.get());
    call.x = reinterpret_cast<const bf16*>(device_x.get());
    call.codewords = codewords.get();
    call.row_offsets = offsets.get();
    call.min_max = reinterpret_cast<const bf16*>(min_max.get());
    call.dictionary = words.get();
    call.rows = rows;
    call.columns = columns;
    CHECK_CUDA(bench::launch_qmoe_baseline(call, shape, nullptr));
    const std::vector<float> after = widen(y.read(), Element::kBF16);
    for (int32_t r = 0; r < rows; ++r) {
        double slack;
        const double expected = qmoe_product(made, r, x.data(), slack);
        // One rounding of the product to bfloat16, one of the sum. An fp32 product for every weight, in one chain.
        const double sum = before[static_cast<size_t>(r)] + expected;
        CHECK_NEAR(after[static_cast<size_t>(r)], sum, 32 * slack + 0x1p-8 * (std::fabs(expected) + std::fabs(sum)));
    }
}

}  // namespace

CASE(matrix_times_vector) {
    check(29, 333, {10, 3}, 1);
    check(7, 64, {7, 8}, 2);
}

HOST_CASE(shapes_of_the_paper) {
    CHECK_EQ(bench::qmoe_baseline_shape(2080, 6144).rows_per_block, 26);
    CHECK_EQ(bench::qmoe_baseline_shape(6144, 2080).warps, 32);
    CHECK_EQ(bench::launch_qmoe_baseline({}, bench::qmoe_baseline_shape(768, 768), nullptr), cudaErrorInvalidValue);
}
