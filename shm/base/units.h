// Units: sizes and durations as people write them, `64KiB` and `250us`, read and printed in one
// form.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "result.h"
#include "visibility.h"

namespace loopline {

// A size in bytes: "0", "64KiB", "8MiB", "1GiB", "4096B", "4096". Powers of 1024 only; "64KB" is
// refused with a hint, so that nobody gets another size than they meant.
LL_EXPORT Result<uint64_t> parse_size(std::string_view text);
// The shortest exact form: 65536 -> "64KiB", 1000 -> "1000B".
LL_EXPORT std::string format_size(uint64_t bytes);
// For people, rounded to three digits: 1536 -> "1.5KiB".
LL_EXPORT std::string format_size_rounded(double bytes);

// A duration in nanoseconds: "250us", "5s", "7d"; units ns us ms s m h d.
LL_EXPORT Result<uint64_t> parse_duration(std::string_view text);
// The shortest exact form: 90000000000 -> "90s".
LL_EXPORT std::string format_duration(uint64_t nanoseconds);
// For people, rounded to three digits: 1234 -> "1.23us".
LL_EXPORT std::string format_duration_rounded(double nanoseconds);

// 1234567 -> "1,234,567".
LL_EXPORT std::string format_count(uint64_t count);

inline namespace literals {
constexpr uint64_t operator""_KiB(unsigned long long n) { return n << 10; }
constexpr uint64_t operator""_MiB(unsigned long long n) { return n << 20; }
constexpr uint64_t operator""_GiB(unsigned long long n) { return n << 30; }
}  // namespace literals

}  // namespace loopline
