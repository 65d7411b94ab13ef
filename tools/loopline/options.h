// Options: the values of options, read from how they were written or refused by name.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "shm/base/result.h"

namespace loopline::cli {

// A size such as 64KiB; nothing when the option was not given. `option` is "--ring".
Result<std::optional<uint64_t>> read_size(const char* option, const std::string& text);

// Seconds such as "20", "0.5" or "2s", as nanoseconds.
struct SecondsRange {
  double least;
  double most;
};
Result<uint64_t> read_seconds(const char* option, const std::string& text, SecondsRange range);

// --when-full "x" is not known: use block or reject
Fault unknown_word(const char* option, const std::string& text, const char* known);

}  // namespace loopline::cli
