// main() of every test program: runs the cases whose name contains the first argument, or all.
#include <cstdio>
#include <cstring>
#include <vector>

#include "check.hpp"

#if !MOEK_EMULATED
// What a card has no use for.
namespace cuemu {
Config config;
std::string last_report() {
    return "";
}
}  // namespace cuemu
#endif

namespace moek::test {
namespace {

struct Case {
    const char* name;
    Body body;
    bool every_schedule;
};

std::vector<Case>& cases() {
    static std::vector<Case> all;
    return all;
}

struct Schedule {
    const char* name;
    cuemu::Order order;
    uint64_t seed;
    int workers, resident;
};

// TSan finds a race in any schedule, and starts a thread in half a millisecond: two are enough for it.
const Schedule kSchedules[] = {
    {"random order, seed 1", cuemu::Order::random, 1, 1, 3}, {"2 workers", cuemu::Order::forward, 1, 2, 2},
#ifndef __SANITIZE_THREAD__
    {"forward order", cuemu::Order::forward, 1, 1, 1},       {"reverse order", cuemu::Order::reverse, 1, 1, 2},
    {"random order, seed 2", cuemu::Order::random, 2, 1, 2}, {"random order, seed 3", cuemu::Order::random, 3, 2, 4},
#endif
};

std::string running;
int num_failed = 0;
constexpr int kMaxPrintedOfCase = 5;
int printed_of_case = 0;

void run(const Case& test, const Schedule& schedule) {
    running = test.name;
    if (test.every_schedule && MOEK_EMULATED) running += std::string(", ") + schedule.name;
    printed_of_case = 0;
    cuemu::config = {};
    cuemu::config.order = schedule.order;
    cuemu::config.seed = schedule.seed;
    cuemu::config.workers = schedule.workers;
    cuemu::config.resident = schedule.resident;
    cudaDeviceReset();
#if !MOEK_EMULATED
    // What tests ask the emulator for is what the card is.
    cudaDeviceGetAttribute(&cuemu::config.capability_major, cudaDevAttrComputeCapabilityMajor, 0);
    cudaDeviceGetAttribute(&cuemu::config.capability_minor, cudaDevAttrComputeCapabilityMinor, 0);
#endif
    test.body();
    check_success(cudaDeviceSynchronize(), "end of the case", __FILE__, __LINE__);
}

}  // namespace

bool add_case(const char* name, Body body, bool every_schedule) {
    cases().push_back({name, body, every_schedule});
    return true;
}

void fail(const char* file, int line, const std::string& text) {
    ++num_failed;
    if (++printed_of_case <= kMaxPrintedOfCase)
        std::printf("%s:%d: %s: %s\n", file, line, running.c_str(), text.c_str());
}

void check_fails(const char* text, const char* file, int line) {
    const cudaError_t error = cudaDeviceSynchronize();
    const std::string report = cuemu::last_report();
    if (error == cudaSuccess)
        fail(file, line, std::string("succeeded, but should have failed with: ") + text);
    else if (report.find(text) == std::string::npos)
        fail(file, line, std::string("failed with another report than \"") + text + "\": " + report);
    cudaDeviceReset();
}

}  // namespace moek::test

int main(int argc, char** argv) {
    using namespace moek::test;
#if !MOEK_EMULATED
    int devices = 0;
    if (const cudaError_t error = cudaGetDeviceCount(&devices); error != cudaSuccess || devices == 0) {
        std::printf("no device: %s\n", cudaGetErrorName(error));
        return 1;
    }
#endif
    int num_run = 0;
    for (const Case& test : cases()) {
        if (argc > 1 && !std::strstr(test.name, argv[1])) continue;
        ++num_run;
        for (const Schedule& schedule : kSchedules) {
            run(test, schedule);
            if (!test.every_schedule || !MOEK_EMULATED) break;
        }
    }
    if (num_run == 0) std::printf("no case%s\n", argc > 1 ? " has that name" : "");
    return num_failed != 0 || num_run == 0;
}
