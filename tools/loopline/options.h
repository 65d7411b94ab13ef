// Options: the values of options, read from how they were written or refused by name.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "shm/base/from.h"
#include "shm/base/header.h"
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

// A length of time such as 250us or 5s, 0 for "off"; nothing when the option was not given.
Result<std::optional<std::chrono::nanoseconds>> read_duration_or_off(const char* option,
                                                                     const std::string& text);

// A time in UTC nanoseconds: 2026-11-23T10:00:00Z, with a fraction, with +02:00 for the Z, a day
// alone; or how long before `now_ns`, such as 5m.
Result<uint64_t> read_time(const char* option, const std::string& text, uint64_t now_ns);

// earliest, latest, seq:N, time:T or last:N.
Result<From> read_from(const std::string& text, uint64_t now_ns);

// Where to end: latest (what is there now), seq:N (that one included) or time:T (before it).
struct To {
  std::optional<uint64_t> sequence;      // the first that is not wanted
  std::optional<uint64_t> timestamp_ns;  // likewise
};
Result<To> read_to(const std::string& text, uint64_t now_ns);

// A whole number; nothing when the option was not given. `known` is "a number from 1 to 256".
Result<std::optional<uint32_t>> read_number(const char* option, const std::string& text,
                                            const char* known);
// --mode: permission bits in octal, such as 0660.
Result<std::optional<uint32_t>> read_mode(const std::string& text);
// --rate: "1000/s" or "1000" as messages a second; 0 when it was not given.
Result<double> read_rate(const std::string& text);
// --header: each NAME=VALUE; views into `texts`.
Result<std::vector<Header>> read_headers(const std::vector<std::string>& texts);

// --when-full "x" is not known: use block or reject
Fault unknown_word(const char* option, const std::string& text, const char* known);

}  // namespace loopline::cli
