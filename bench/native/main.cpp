// Benchmarks of the native library on the device at hand: one line of JSON a case.
//
//     moek_bench [--tiny] [--only TEXT] [--samples N]
//
// Every case first compares its results with a CPU reference. Exit status: 0; 1 when a case failed; 2 for a wrong
// argument; 3 when there is no device, with the library's status and text.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "bench.hpp"

using namespace moek::bench;

namespace {

bool parse(Options& options, int argc, char** argv) {
    for (int i = 1; i < argc; ++i) {
        const bool has_value = i + 1 < argc;
        if (std::strcmp(argv[i], "--tiny") == 0) {
            options.tiny = true;
        } else if (std::strcmp(argv[i], "--only") == 0 && has_value) {
            options.only = argv[++i];
        } else if (std::strcmp(argv[i], "--samples") == 0 && has_value) {
            options.samples = std::atoi(argv[++i]);
            if (options.samples < 1) return false;
        } else {
            return false;
        }
    }
    return true;
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    if (!parse(options, argc, argv)) {
        std::fprintf(stderr, "usage: moek_bench [--tiny] [--only TEXT] [--samples N]\n");
        return 2;
    }
    std::unique_ptr<Device> device;
    try {
        device = std::make_unique<Device>();
    } catch (const Failure& failure) {
        std::fprintf(stderr, "moek_bench: %s\n", failure.what());
        return 3;
    }
    std::printf(
        "{\"what\": \"device\", \"name\": \"%s\", \"capability\": %d, \"multiprocessors\": %d, \"emulated\": %d, "
        "\"l2_bytes\": %llu, \"memory_bytes\": %llu, \"version\": \"%s\"}\n",
        device->info.name, device->info.capability, device->info.multiprocessors, device->info.emulated,
        static_cast<unsigned long long>(device->l2_bytes), static_cast<unsigned long long>(device->info.total_bytes),
        moek_version());
    run_roofs(*device, options);
    run_packed(*device, options);
    run_dense(*device, options);
    run_layers(*device, options);
    run_router(*device, options);
    run_attention(*device, options);
    return failed_cases() > 0 ? 1 : 0;
}
