// Wrappers of device/ptx for every device: memory order, named barriers, cp.async, ldmatrix and mma.sync.
#include "device/types.cuh"
#include "device/wrappers_kernels.hpp"
#include "device_array.hpp"

using namespace moek;
using namespace moek::test;

CASE(release_and_acquire_pass_a_token_through_all_blocks) {
    const int blocks = 9;
    DeviceArray<uint32_t> flags(std::vector<uint32_t>(blocks + 1, 0));
    DeviceArray<uint64_t> total(std::vector<uint64_t>(1, 0));
    CHECK_CUDA(launch_token_ring(flags.get(), total.get(), blocks));
    CHECK_EQ(total.read()[0], uint64_t{blocks * (blocks - 1) / 2});
}

CASE(last_block_sees_what_all_wrote) {
    const int blocks = 7;
    DeviceArray<uint32_t> counter(std::vector<uint32_t>(1, 0));
    DeviceArray<int> data(blocks * 32), sum(1);
    CHECK_CUDA(launch_last_block(counter.get(), data.get(), sum.get(), blocks));
    CHECK_EQ(sum.read()[0], 32 * blocks * (blocks - 1) / 2);
}

CASE(named_barriers_hand_a_slot_over) {
    const int rounds = 5;
    std::vector<int> in(rounds * 64);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i * 3 % 101);
    DeviceArray<int> device_in(in), out(in.size());
    CHECK_CUDA(launch_named_barriers(out.get(), device_in.get(), rounds));
    const std::vector<int> actual = out.read();
    for (size_t i = 0; i < in.size(); ++i) CHECK_EQ(actual[i], in[i] * in[i]);
}

CASE(cp_async_copies_or_fills_with_zero) {
    std::vector<int> in(256);
    for (size_t i = 0; i < in.size(); ++i) in[i] = static_cast<int>(i) + 1;
    DeviceArray<int> device_in(in);
    for (const int valid : {256, 100, 0}) {
        DeviceArray<int> out(3 * 256);
        CHECK_CUDA(launch_cp_async(out.get(), device_in.get(), valid));
        const std::vector<int> actual = out.read();
        for (int part = 0; part < 3; ++part)
            for (int i = 0; i < 256; ++i) {
                const int from = 255 - i;
                CHECK_EQ(actual[static_cast<size_t>(part * 256 + i)], from < valid ? from + 1 : 0);
            }
    }
}

CASE(mma_and_ldmatrix_give_the_product) {
    Random random(3);
    for (const int k : {16, 48})
        for (int kind = 0; kind < 3; ++kind) {
            const auto size = static_cast<size_t>(k);
            std::vector<uint16_t> a(16 * size), b(8 * size), a_given(a.size()), b_given(b.size());
            for (uint16_t& v : a) v = from_float<bf16>(random.uniform()).bits;
            for (uint16_t& v : b) v = from_float<bf16>(random.uniform()).bits;
            for (size_t i = 0; i < size; ++i) {
                for (size_t r = 0; r < 16; ++r) a_given[kind == 2 ? i * 16 + r : r * size + i] = a[r * size + i];
                for (size_t r = 0; r < 8; ++r) b_given[kind == 1 ? i * 8 + r : r * size + i] = b[r * size + i];
            }
            DeviceArray<uint16_t> device_a(a_given), device_b(b_given);
            DeviceArray<float> d(128);
            CHECK_CUDA(launch_mma(d.get(), device_a.get(), device_b.get(), k, kind));
            const std::vector<float> actual = d.read();
            for (size_t r = 0; r < 16; ++r)
                for (size_t c = 0; c < 8; ++c) {
                    double expected = 0;
                    for (size_t i = 0; i < size; ++i)
                        expected += double{to_float(bf16{a[r * size + i]})} * to_float(bf16{b[c * size + i]});
                    // Products are exact; each of k additions rounds a sum below k.
                    CHECK_NEAR(actual[r * 8 + c], expected, k * k * 0x1p-24);
                }
        }
}
