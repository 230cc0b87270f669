// The card's own rates, which the floors of all other cases are made of.
#include <algorithm>
#include <cmath>

#include "bench.hpp"
#include "roof.hpp"

namespace moek::bench {
namespace {

void run_memory_roofs(Device& device, const Options& options) {
    const uint64_t bytes = options.tiny ? 1 << 16 : std::max<uint64_t>(1ull << 30, 8 * device.l2_bytes);
    Memory source(device, bytes), target(device, bytes), found(device, sizeof(uint32_t));
    MOEK_REQUIRE(moek_fill(source.get(), device.context, 0, bytes, device.stream));
    MOEK_REQUIRE(moek_fill(found.get(), device.context, 0, found.bytes(), device.stream));
    // One byte, in the last vector, that the read must find.
    auto* last = source.get<unsigned char>() + bytes - 1;
    MOEK_REQUIRE(moek_fill(last, device.context, 1, 1, device.stream));
    MOEK_REQUIRE(launch_read_roof(found.get<uint32_t>(), source.get(), bytes, device.launch()));
    MOEK_REQUIRE(launch_copy_roof(target.get(), source.get(), bytes, device.launch()));
    if (found.read<uint32_t>()[0] != 1) throw Failure("the read kernel did not see the last byte");
    if (target.read<unsigned char>().back() != 1) throw Failure("the copy kernel did not copy the last byte");

    const Times read = time_calls(device, options, 1, [&](int) {
        MOEK_REQUIRE(launch_read_roof(found.get<uint32_t>(), source.get(), bytes, device.launch()));
    });
    device.read_bytes_per_second = 1e6 * static_cast<double>(bytes) / read.median;
    print_value("roof/read", "bytes_per_s", device.read_bytes_per_second);
    const Times copy = time_calls(device, options, 1, [&](int) {
        MOEK_REQUIRE(launch_copy_roof(target.get(), source.get(), bytes, device.launch()));
    });
    print_value("roof/copy", "bytes_per_s", 2e6 * static_cast<double>(bytes) / copy.median);
}

void run_product_roof(Device& device, const Options& options, int kind) {
    const Launch launch = device.launch();
    const int rounds = options.tiny ? 2 : 4096 >> (4 * kind);
    Memory y(device, mma_roof_outputs(kind, launch) * sizeof(float));
    MOEK_REQUIRE(launch_mma_roof(y.get<float>(), kind, rounds, launch));
    const float expected = mma_roof_value(kind, rounds);
    // Each of 16 x rounds additions may round a sum below the last by half an ulp; accumulators may truncate.
    const float tolerance = expected * 0x1p-20f * static_cast<float>(rounds);
    for (const float value : y.read<float>()) {
        if (!(std::fabs(value - expected) <= tolerance)) {
            throw Failure("a product is " + std::to_string(value) + ", not " + std::to_string(expected));
        }
    }
    const Times times = time_calls(device, options, 1,
                                   [&](int) { MOEK_REQUIRE(launch_mma_roof(y.get<float>(), kind, rounds, launch)); });
    const double rate = 1e6 * mma_roof_flops(kind, rounds, launch) / times.median;
    device.bf16_flops_per_second = std::max(device.bf16_flops_per_second, rate);
    print_value(kind == 0 ? "roof/mma" : "roof/wgmma", "tflop_per_s", 1e-12 * rate);
}

}  // namespace

// Not left out by --only: without them there are no floors.
void run_roofs(Device& device, const Options& options) {
    Options all = options;
    all.only.clear();
    run_case(all, "roof/memory", [&] { run_memory_roofs(device, all); });
    run_case(all, "roof/mma", [&] { run_product_roof(device, all, 0); });
    if (device.info.capability == 90) run_case(all, "roof/wgmma", [&] { run_product_roof(device, all, 1); });
}

}  // namespace moek::bench
