// Units: reads sizes and durations exactly or says why not, and prints them in their one form.
#include "units.h"

#include <cmath>
#include <cstdio>
#include <limits>
#include <span>

namespace loopline {
namespace {

constexpr uint64_t largest_number = std::numeric_limits<uint64_t>::max();

struct UnitName {
  std::string_view name;
  uint64_t factor;
};

// Both tables ascend: formatting takes the largest unit that fits.
constexpr UnitName size_units[] = {
    {"B", 1}, {"KiB", 1_KiB}, {"MiB", 1_MiB}, {"GiB", 1_GiB}, {"TiB", 1024 * 1_GiB},
};
constexpr uint64_t second_ns = 1'000'000'000;
constexpr UnitName duration_units[] = {
    {"ns", 1},
    {"us", 1'000},
    {"ms", 1'000'000},
    {"s", second_ns},
    {"m", 60 * second_ns},
    {"h", 3600 * second_ns},
    {"d", 24 * 3600 * second_ns},
};

// What people write for a duration unit, and what they mean; sizes: see size_hint.
struct Spelling {
  std::string_view written;
  std::string_view meant;
};
constexpr Spelling duration_spellings[] = {
    {"\u00b5s", "us"}, {"\u03bcs", "us"}, {"usec", "us"},  {"msec", "ms"},   {"sec", "s"},
    {"secs", "s"},     {"S", "s"},        {"min", "m"},    {"mins", "m"},    {"hr", "h"},
    {"hour", "h"},     {"hours", "h"},    {"H", "h"},      {"day", "d"},     {"days", "d"},
    {"D", "d"},        {"second", "s"},   {"minute", "m"}, {"seconds", "s"}, {"minutes", "m"},
};

bool is_digit(char letter) { return letter >= '0' && letter <= '9'; }

Fault refuse(std::string_view text, const std::string& why) {
  return {FaultCode::invalid_argument, "\"" + std::string(text) + "\" " + why};
}

// The number in front of a unit, and the unit.
struct Split {
  std::string_view digits;
  std::string_view unit;
};

Split split(std::string_view text) {
  size_t length = 0;
  while (length < text.size() && is_digit(text[length])) ++length;
  return {text.substr(0, length), text.substr(length)};
}

// digits * factor; false when 64 bits cannot hold it.
bool multiply(std::string_view digits, uint64_t factor, uint64_t& product) {
  uint64_t value = 0;
  for (const char digit : digits) {
    if (__builtin_mul_overflow(value, uint64_t{10}, &value)) return false;
    if (__builtin_add_overflow(value, static_cast<uint64_t>(digit - '0'), &value)) return false;
  }
  return !__builtin_mul_overflow(value, factor, &product);
}

const UnitName* find_unit(std::span<const UnitName> units, std::string_view name) {
  for (const UnitName& unit : units) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

// "64KB", "64k", "64kib" -> what was probably meant. K, M, G and T alone or with a B mean 1000 to
// some and 1024 to others, so they are never guessed.
std::string_view size_hint(std::string_view unit) {
  if (unit.empty()) return {};
  if (unit == "b" || unit == "bytes") return "B";
  const std::string_view rest = unit.substr(1);
  if (rest != "" && rest != "B" && rest != "b" && rest != "ib" && rest != "iB" && rest != "i" &&
      rest != "IB") {
    return {};
  }
  switch (unit[0] | 0x20) {
    case 'k':
      return "KiB";
    case 'm':
      return "MiB";
    case 'g':
      return "GiB";
    case 't':
      return "TiB";
    default:
      return {};
  }
}

std::string_view duration_hint(std::string_view unit) {
  for (const Spelling& spelling : duration_spellings) {
    if (spelling.written == unit) return spelling.meant;
  }
  return {};
}

std::string exact(uint64_t value, std::span<const UnitName> units, std::string_view zero) {
  if (value == 0) return std::string(zero);
  const UnitName* best = &units[0];
  for (const UnitName& unit : units) {
    if (value % unit.factor == 0) best = &unit;
  }
  return std::to_string(value / best->factor) + std::string(best->name);
}

// Three significant digits, without trailing zeros; whole numbers from 1000 on ("1023B").
std::string three_digits(double value) {
  char text[64];
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  int length = std::snprintf(text, sizeof text, "%.*f", decimals, value);
  if (decimals > 0) {
    while (text[length - 1] == '0') --length;
    if (text[length - 1] == '.') --length;
  }
  return {text, static_cast<size_t>(length)};
}

std::string rounded(double value, std::span<const UnitName> units) {
  if (std::isnan(value)) return "?";
  if (value < 0) return "-" + rounded(-value, units);
  size_t index = 0;
  while (index + 1 < units.size()) {
    // Compare what would be printed: 999.7ns is 1us, and 1023.7KiB is 1MiB, not 1024KiB.
    const double scaled = value / static_cast<double>(units[index].factor);
    const double shown = scaled < 99.95 ? scaled : std::round(scaled);
    if (shown * static_cast<double>(units[index].factor) <
        static_cast<double>(units[index + 1].factor)) {
      break;
    }
    ++index;
  }
  const double scaled = value / static_cast<double>(units[index].factor);
  return three_digits(scaled) + std::string(units[index].name);
}

}  // namespace

Result<uint64_t> parse_size(std::string_view text) {
  constexpr const char* accepted =
      "is not a size: give a whole number and one of B, KiB, MiB, GiB, TiB, such as 64KiB";
  const auto [digits, unit] = split(text);
  if (digits.empty()) return refuse(text, accepted);
  const UnitName* found = unit.empty() ? &size_units[0] : find_unit(size_units, unit);
  if (found == nullptr) {
    const std::string_view hint = size_hint(unit);
    if (hint.empty()) return refuse(text, accepted);
    return refuse(text, "is not a size: units are B, KiB, MiB, GiB, TiB (powers of 1024); write " +
                            std::string(digits) + std::string(hint));
  }
  uint64_t bytes = 0;
  if (!multiply(digits, found->factor, bytes)) {
    return refuse(text, "is too large: a size is at most " + std::to_string(largest_number) + "B");
  }
  return bytes;
}

std::string format_size(uint64_t bytes) { return exact(bytes, size_units, "0B"); }

std::string format_size_rounded(double bytes) { return rounded(bytes, size_units); }

Result<uint64_t> parse_duration(std::string_view text) {
  constexpr const char* accepted =
      "is not a time: give a whole number and one of ns, us, ms, s, m, h, d, such as 250us";
  const auto [digits, unit] = split(text);
  if (digits.empty()) return refuse(text, accepted);
  const UnitName* found = find_unit(duration_units, unit);
  uint64_t nanoseconds = 0;
  if (unit.empty()) {
    // Zero is zero in every unit; any other bare number would be a guess.
    if (multiply(digits, 1, nanoseconds) && nanoseconds == 0) return nanoseconds;
    return refuse(text, "has no unit: write one of ns, us, ms, s, m, h, d behind it, such as " +
                            std::string(digits) + "ms");
  }
  if (found == nullptr) {
    const std::string_view hint = duration_hint(unit);
    if (hint.empty()) return refuse(text, accepted);
    return refuse(text, "is not a time: units are ns, us, ms, s, m, h, d; write " +
                            std::string(digits) + std::string(hint));
  }
  if (!multiply(digits, found->factor, nanoseconds)) {
    return refuse(text, "is too long: a time is at most " +
                            std::to_string(largest_number / duration_units[6].factor) + "d");
  }
  return nanoseconds;
}

std::string format_duration(uint64_t nanoseconds) {
  return exact(nanoseconds, duration_units, "0s");
}

std::string format_duration_rounded(double nanoseconds) {
  return rounded(nanoseconds, duration_units);
}

std::string format_count(uint64_t count) {
  const std::string digits = std::to_string(count);
  std::string text;
  for (size_t index = 0; index < digits.size(); ++index) {
    if (index != 0 && (digits.size() - index) % 3 == 0) text += ',';
    text += digits[index];
  }
  return text;
}

}  // namespace loopline
