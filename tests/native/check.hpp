// Cases and checks of the native tests. A program prints one line for every check that failed and returns 1.
//
//     CASE(top_k_breaks_ties) { ... CHECK_EQ(ids[0], 3); CHECK_NEAR(weights[0], 0.5, 1e-6); }
//
// A CASE runs once for every schedule of the emulator, since an order that happens to work proves little; HOST_CASE
// runs once. The device is reset before each run. On a card (variant `cuda`) every case runs once, what cuemu::config
// says has no effect, and an EMULATED_CASE, which needs the emulator, is left out.
#pragma once
#include <cmath>
#include <cstdint>
#include <sstream>
#include <string>

#include "device/launch.cuh"
#include "emulator/config.hpp"

namespace moek::test {

using Body = void (*)();

/// Adds a case to the program; returns a value so that it can initialise a constant.
bool add_case(const char* name, Body body, bool every_schedule);

/// Notes a failed check of the running case, and prints it.
void fail(const char* file, int line, const std::string& text);

template <class A, class B>
void check_equal(const A& actual, const B& expected, const char* expression, const char* file, int line) {
    if (actual == expected) return;
    std::ostringstream text;
    text << expression << " is " << +actual << ", not " << +expected;
    fail(file, line, text.str());
}

/// |actual - expected| <= tolerance; false for NaN.
inline void check_near(double actual, double expected, double tolerance, const char* expression, const char* file,
                       int line) {
    if (std::fabs(actual - expected) <= tolerance || actual == expected) return;
    std::ostringstream text;
    text.precision(9);
    text << expression << " is " << actual << ", not " << expected << " within " << tolerance;
    fail(file, line, text.str());
}

inline void check_success(cudaError_t error, const char* expression, const char* file, int line) {
    if (error != cudaSuccess)
        fail(file, line, std::string(expression) + ": " + cudaGetErrorName(error) + ". " + cuemu::last_report());
}

/// Waits for the device, expects the work to have failed, and the report to contain `text`. Resets the device.
void check_fails(const char* text, const char* file, int line);

/// Numbers that are the same on every machine and for every run (xorshift64*).
class Random {
public:
    explicit Random(uint64_t seed) : state_(seed * 0x9E3779B97F4A7C15ull + 1) {}
    uint32_t bits() {
        state_ ^= state_ >> 12;
        state_ ^= state_ << 25;
        state_ ^= state_ >> 27;
        return static_cast<uint32_t>(state_ * 0x2545F4914F6CDD1Dull >> 32);
    }
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>(uint64_t{bits()} * bound >> 32); }
    /// Uniform in [-1, 1), a multiple of 2^-23.
    float uniform() { return static_cast<float>(bits() >> 8) * 0x1p-23f - 1.0f; }

private:
    uint64_t state_;
};

}  // namespace moek::test

#define MOEK_TEST_CASE(name, every_schedule)                                                               \
    static void name();                                                                                    \
    [[maybe_unused]] static const bool name##_added = ::moek::test::add_case(#name, name, every_schedule); \
    static void name()

#define CASE(name) MOEK_TEST_CASE(name, true)
#define HOST_CASE(name) MOEK_TEST_CASE(name, false)
#if MOEK_EMULATED
#define EMULATED_CASE(name) MOEK_TEST_CASE(name, false)
#else
#define EMULATED_CASE(name) [[maybe_unused]] static void name()
#endif

#define CHECK(condition)                                                      \
    do {                                                                      \
        if (!(condition)) ::moek::test::fail(__FILE__, __LINE__, #condition); \
    } while (false)
#define CHECK_EQ(actual, expected) ::moek::test::check_equal(actual, expected, #actual, __FILE__, __LINE__)
#define CHECK_NEAR(actual, expected, tolerance) \
    ::moek::test::check_near(actual, expected, tolerance, #actual, __FILE__, __LINE__)
#define CHECK_CUDA(call) ::moek::test::check_success(call, #call, __FILE__, __LINE__)
#define CHECK_FAILS(text) ::moek::test::check_fails(text, __FILE__, __LINE__)
