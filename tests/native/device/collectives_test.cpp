// Warp collectives, atomics and reductions against their definitions.
#include <algorithm>

#include "device/collectives_kernels.hpp"
#include "device_array.hpp"

using namespace moek::test;

namespace {

std::vector<int> some_values(int n, uint64_t seed) {
    Random random(seed);
    std::vector<int> values(static_cast<size_t>(n));
    for (int& value : values) value = static_cast<int>(random.below(401)) - 200;
    return values;
}

/// The lane that a shuffle reads, from the CUDA programming guide's text; out of range means one's own.
int source_of(int shuffle, int lane) {
    const int eight = lane / 8 * 8;
    switch (shuffle) {
        case 0:
            return 5;
        case 1:
            return eight + (lane + 1) % 8;
        case 2:
            return lane ^ 3;
        case 3:
            return lane < 16 ? lane : lane - 16;  // a lower group may be read, a higher one may not
        case 4:
            return lane + 7 < 32 ? lane + 7 : lane;
        case 5:
            return lane + 3 < eight + 8 ? lane + 3 : lane;
        case 6:
            return lane >= 7 ? lane - 7 : lane;
        case 7:
            return lane - 3 >= eight ? lane - 3 : lane;
        default:
            return lane % 2 == 0 ? 30 : 1;
    }
}

}  // namespace

CASE(shuffles_read_the_lane_of_their_definition) {
    const std::vector<int> values = some_values(64, 1);
    DeviceArray<int> in(values), out(kNumShuffles * 64);
    CHECK_CUDA(launch_shuffles(out.get(), in.get()));
    const std::vector<int> actual = out.read();
    for (int s = 0; s < kNumShuffles; ++s)
        for (int t = 0; t < 64; ++t) {
            const int source = t / 32 * 32 + source_of(s, t % 32);
            CHECK_EQ(actual[static_cast<size_t>(s * 64 + t)], values[static_cast<size_t>(source)]);
        }
}

CASE(votes_see_every_lane) {
    const std::vector<int> values = some_values(64, 2);
    DeviceArray<int> in(values);
    DeviceArray<unsigned> out(kNumVotes * 64);
    CHECK_CUDA(launch_votes(out.get(), in.get()));
    const std::vector<unsigned> actual = out.read();
    for (int warp = 0; warp < 2; ++warp) {
        unsigned third = 0, sum = 0, all = ~0u, some = 0, odd = 0;
        int least = values[static_cast<size_t>(warp * 32)], most = least;
        bool no_seventh = true;
        for (int i = 0; i < 32; ++i) {
            const int v = values[static_cast<size_t>(warp * 32 + i)];
            const auto u = static_cast<unsigned>(v);
            if (v % 3 == 0) third |= 1u << i;
            sum += u;
            all &= u | 1;
            some |= u;
            odd ^= u;
            least = std::min(least, v);
            most = std::max(most, v);
            if (v == values[7]) no_seventh = false;
        }
        for (int i = 0; i < 32; ++i) {
            const int t = warp * 32 + i;
            unsigned equal = 0;
            for (int j = 0; j < 32; ++j)
                if (values[static_cast<size_t>(warp * 32 + j)] % 4 == values[static_cast<size_t>(t)] % 4)
                    equal |= 1u << j;
            const unsigned expected[kNumVotes] = {
                third, 0,    1,   equal,     sum, static_cast<unsigned>(least), static_cast<unsigned>(most),
                all,   some, odd, no_seventh};
            for (int vote = 0; vote < kNumVotes; ++vote)
                CHECK_EQ(actual[static_cast<size_t>(vote * 64 + t)], expected[vote]);
        }
    }
}

CASE(atomics_lose_no_update) {
    const int threads = 3 * 64;
    DeviceArray<int> out(std::vector<int>(kNumAtomics, 0));
    DeviceArray<float> sum(std::vector<float>(1, 0.0f));
    const int ones = 0xFFFF;
    CHECK_CUDA(cudaMemcpy(out.get() + 4, &ones, sizeof ones, cudaMemcpyHostToDevice));
    CHECK_CUDA(launch_atomics(out.get(), sum.get()));
    const std::vector<int> actual = out.read();
    const int expected[kNumAtomics] = {
        threads * (threads - 1) / 2, -threads, 1 - threads, threads - 1, 0, 0xFFFF, 0, 77, 2 * threads};
    for (size_t i = 0; i < kNumAtomics; ++i) CHECK_EQ(actual[i], expected[i]);
    CHECK_EQ(sum.read()[0], 0.5f * threads);
}

CASE(reductions_over_warps_and_blocks) {
    for (const int n : {32, 96, 256}) {
        const std::vector<int> values = some_values(n, static_cast<uint64_t>(n));
        DeviceArray<int> in(values), sums(static_cast<size_t>(3 * n)), largest(static_cast<size_t>(2 * n));
        CHECK_CUDA(launch_reductions(sums.get(), largest.get(), in.get(), n));
        const std::vector<int> s = sums.read(), m = largest.read();
        int block_sum = 0, block_max = values[0];
        for (const int v : values) {
            block_sum += v;
            block_max = std::max(block_max, v);
        }
        for (int t = 0; t < n; ++t) {
            int warp_sum = 0, inclusive = 0, warp_max = -1000;
            for (int i = t / 32 * 32; i < t / 32 * 32 + 32; ++i) {
                const int v = values[static_cast<size_t>(i)];
                warp_sum += v;
                if (i <= t) inclusive += v;
                warp_max = std::max(warp_max, v);
            }
            CHECK_EQ(s[static_cast<size_t>(t)], warp_sum);
            CHECK_EQ(s[static_cast<size_t>(n + t)], inclusive);
            CHECK_EQ(s[static_cast<size_t>(2 * n + t)], block_sum);
            CHECK_EQ(m[static_cast<size_t>(t)], warp_max);
            CHECK_EQ(m[static_cast<size_t>(n + t)], block_max);
        }
    }
}
