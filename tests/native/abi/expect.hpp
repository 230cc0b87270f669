// Statuses of the C ABI in tests: what a refused call must say.
#pragma once
#include <string>

#include "check.hpp"
#include "moek/moek.h"

namespace moek::test {

inline std::string last_text() {
    char text[1024];
    moek_last_error(text, nullptr, sizeof text);
    return text;
}

// The call returned `status`, with `word` in its text.
inline void check_status(moek_status actual, moek_status expected, const char* word, const char* call, const char* file,
                         int line) {
    if (actual == expected && last_text().find(word) != std::string::npos) return;
    fail(file, line,
         std::string(call) + " gave " + moek_status_name(actual) + " \"" + last_text() + "\", not " +
             moek_status_name(expected) + " with \"" + word + "\"");
}

}  // namespace moek::test

#define EXPECT_OK(call) ::moek::test::check_status(call, MOEK_OK, "", #call, __FILE__, __LINE__)
#define EXPECT_STATUS(call, status, word) ::moek::test::check_status(call, status, word, #call, __FILE__, __LINE__)
