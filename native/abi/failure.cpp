#include "abi/failure.hpp"

#include <cstdio>
#include <cstring>
#include <new>

#if MOEK_EMULATED
#include "emulator/config.hpp"
#endif

namespace moek {
namespace {

// Fixed room: remembering a failure must not fail for want of memory.
struct LastFailure {
    moek_status status = MOEK_OK;
    char text[1024] = "";
};

thread_local LastFailure last_failure;

moek_status remember(moek_status status, const char* text) noexcept {
    last_failure.status = status;
    std::snprintf(last_failure.text, sizeof last_failure.text, "%s", text);
    return status;
}

// Which driver trouble it is: a version of 0 means that there is none.
moek_status driver_status() {
    int version = 0;
    return cudaDriverGetVersion(&version) == cudaSuccess && version > 0 ? MOEK_E_DRIVER_OLD : MOEK_E_NO_DRIVER;
}

moek_status status_of(cudaError_t result) {
    switch (result) {
        case cudaErrorMemoryAllocation:
            return MOEK_E_MEMORY;
        case cudaErrorInsufficientDriver:
            return driver_status();
        case cudaErrorNoDevice:
        case cudaErrorInvalidDevice:
            return MOEK_E_NO_DEVICE;
        default:
            return MOEK_E_DEVICE;
    }
}

// What the emulator found wrong with a kernel; a card tells nothing.
std::string report_of([[maybe_unused]] cudaError_t result) {
#if MOEK_EMULATED
    if (result == cudaErrorLaunchFailure) return ": " + cuemu::last_report();
#endif
    return "";
}

}  // namespace

void fail(moek_status status, const char* format, ...) {
    char text[1024];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    throw Failure(status, text);
}

void check(cudaError_t result, const char* what) {
    if (result == cudaSuccess) return;
    // Clears the error of this launch; those that lost the context stay and show again at the next call.
    cudaGetLastError();
    fail(status_of(result), "%s: %s (%s)%s", what, cudaGetErrorString(result), cudaGetErrorName(result),
         report_of(result).c_str());
}

moek_status remember_current_exception() noexcept {
    try {
        throw;
    } catch (const Failure& failure) {
        return remember(failure.status(), failure.what());
    } catch (const std::bad_alloc&) {
        return remember(MOEK_E_MEMORY, "the host is out of memory");
    } catch (const std::exception& error) {
        return remember(MOEK_E_INTERNAL, error.what());
    } catch (...) {
        return remember(MOEK_E_INTERNAL, "an unknown exception");
    }
}

void forget_failure() noexcept {
    last_failure.status = MOEK_OK;
    last_failure.text[0] = '\0';
}

}  // namespace moek

extern "C" moek_status moek_last_error(char* text, size_t* needed, size_t capacity) {
    const size_t bytes = std::strlen(moek::last_failure.text) + 1;
    if (needed != nullptr) *needed = bytes;
    if (text != nullptr && capacity > 0) {
        const size_t kept = bytes <= capacity ? bytes - 1 : capacity - 1;
        std::memcpy(text, moek::last_failure.text, kept);
        text[kept] = '\0';
    }
    return moek::last_failure.status;
}
