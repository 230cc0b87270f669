// Failures inside the library: thrown in abi/, turned into a status and this thread's text at the boundary.
#pragma once

#include <cstdarg>
#include <exception>
#include <string>
#include <utility>

#include "device/launch.cuh"
#include "moek/core.h"

namespace moek {

// What a call returns instead of MOEK_OK, with the text that moek_last_error gives.
class Failure : public std::exception {
public:
    Failure(moek_status status, std::string text) : status_(status), text_(std::move(text)) {}

    moek_status status() const { return status_; }
    const char* what() const noexcept override { return text_.c_str(); }

private:
    moek_status status_;
    std::string text_;
};

// Throws a Failure with a text in printf's form.
[[noreturn]] void fail(moek_status status, const char* format, ...) __attribute__((format(printf, 2, 3)));

// Throws unless `result` is cudaSuccess; `what` says what was being done.
void check(cudaError_t result, const char* what);

// Remembers a failure for moek_last_error and returns its status. Called in a handler.
moek_status remember_current_exception() noexcept;

// Forgets this thread's failure.
void forget_failure() noexcept;

// Runs the body of an exported function: no exception leaves it.
template <typename Body>
moek_status guarded(Body&& body) noexcept {
    try {
        body();
        forget_failure();
        return MOEK_OK;
    } catch (...) {
        return remember_current_exception();
    }
}

}  // namespace moek
