// Options: the library's readers of sizes and times, with the option's name in front of what is
// wrong.
#include "options.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <ctime>

#include "shm/base/units.h"

namespace loopline::cli {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr size_t fraction_digits_max = 9;
constexpr int64_t seconds_max = 18'446'744'073;  // in 2554, as far as 64 bits of nanoseconds go

// What `text` says behind `word`: "7" of "seq:7" for "seq:".
std::optional<std::string> behind(const std::string& text, std::string_view word) {
  if (!std::string_view(text).starts_with(word)) return {};
  return text.substr(word.size());
}

Result<uint64_t> read_count(const char* option, const std::string& text) {
  uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error == std::errc() && stop == end) return count;
  return Fault(FaultCode::invalid_argument, std::string(option) + " \"" + text + "\" is no number");
}

// Takes ".25" off the front of `rest`, in nanoseconds.
uint64_t take_fraction(std::string_view& rest) {
  if (!rest.starts_with('.')) return 0;
  uint64_t nanoseconds = 0;
  uint64_t unit = second_ns;
  size_t count = 1;
  for (; count < rest.size() && count <= fraction_digits_max; ++count) {
    if (rest[count] < '0' || rest[count] > '9') break;
    unit /= 10;
    nanoseconds += static_cast<uint64_t>(rest[count] - '0') * unit;
  }
  if (count > 1) rest.remove_prefix(count);
  return nanoseconds;
}

// 0.05 as "0.05".
std::string short_text(double number) {
  char text[32];
  const int size = std::snprintf(text, sizeof text, "%g", number);
  return {text, static_cast<size_t>(size)};
}

// "", "Z" or "+02:00" as seconds east of Greenwich.
std::optional<int64_t> zone_of(std::string_view rest) {
  if (rest.empty() || rest == "Z" || rest == "z") return 0;
  int hours = 0, minutes = 0, used = 0;
  const std::string text(rest.substr(1));
  if (rest[0] != '+' && rest[0] != '-') return {};
  if (std::sscanf(text.c_str(), "%2d:%2d%n", &hours, &minutes, &used) != 2) return {};
  if (static_cast<size_t>(used) != text.size() || hours > 23 || minutes > 59) return {};
  const int64_t seconds = hours * 3600 + minutes * 60;
  return rest[0] == '-' ? -seconds : seconds;
}

// A date with or without a time of day; nothing when it is none.
std::optional<uint64_t> read_date(const std::string& text) {
  std::tm day{};
  int used = 0;
  if (std::sscanf(text.c_str(), "%4d-%2d-%2d%n", &day.tm_year, &day.tm_mon, &day.tm_mday, &used) !=
          3 ||
      used != 10) {
    return {};
  }
  std::string_view rest = std::string_view(text).substr(10);
  if (rest.starts_with('T') || rest.starts_with(' ')) {
    const std::string time(rest.substr(1));
    if (std::sscanf(time.c_str(), "%2d:%2d:%2d%n", &day.tm_hour, &day.tm_min, &day.tm_sec, &used) !=
            3 ||
        used != 8) {
      return {};
    }
    rest.remove_prefix(9);
  }
  day.tm_year -= 1900;
  day.tm_mon -= 1;
  const std::tm asked = day;
  const uint64_t fraction = take_fraction(rest);
  const auto zone = zone_of(rest);
  const time_t seconds = ::timegm(&day);
  const bool is_real = asked.tm_mday == day.tm_mday && asked.tm_mon == day.tm_mon &&
                       asked.tm_hour == day.tm_hour && asked.tm_min == day.tm_min;
  if (!zone || !is_real || seconds - *zone < 0 || seconds - *zone >= seconds_max) return {};
  return static_cast<uint64_t>(seconds - *zone) * second_ns + fraction;
}

}  // namespace

Result<std::optional<uint64_t>> read_size(const char* option, const std::string& text) {
  if (text.empty()) return std::optional<uint64_t>();
  auto bytes = parse_size(text);
  if (bytes) return std::optional(*bytes);
  return Fault(FaultCode::invalid_argument, std::string(option) + " " + bytes.fault().message());
}

Result<uint64_t> read_seconds(const char* option, const std::string& text, SecondsRange range) {
  double seconds = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, seconds);
  const bool is_number = error == std::errc() && (stop == end || std::string_view(stop) == "s");
  if (is_number && seconds >= range.least && seconds <= range.most) {
    return static_cast<uint64_t>(seconds * 1e9);
  }
  return Fault(FaultCode::invalid_argument,
               std::string(option) + " \"" + text + "\" is no number of seconds from " +
                   short_text(range.least) + " to " + short_text(range.most));
}

Result<std::optional<std::chrono::nanoseconds>> read_duration_or_off(const char* option,
                                                                     const std::string& text) {
  using std::chrono::nanoseconds;
  if (text.empty()) return std::optional<nanoseconds>();
  if (text == "off") return std::optional(nanoseconds(0));
  const auto duration = parse_duration(text);
  if (!duration || *duration == 0 || *duration > INT64_MAX) {
    return Fault(
        FaultCode::invalid_argument,
        std::string(option) + " \"" + text + "\" is no length of time: write 250ms, 5s, or off");
  }
  return std::optional(nanoseconds(static_cast<int64_t>(*duration)));
}

Result<uint64_t> read_time(const char* option, const std::string& text, uint64_t now_ns) {
  if (const auto ago_ns = parse_duration(text)) return now_ns - std::min(now_ns, *ago_ns);
  if (const auto date = read_date(text)) return *date;
  return Fault(FaultCode::invalid_argument,
               std::string(option) + " \"" + text +
                   "\" is no time: write 2026-11-23T10:00:00Z, or how long ago, such as 5m");
}

Result<From> read_from(const std::string& text, uint64_t now_ns) {
  if (text == "earliest") return From::earliest;
  if (text == "latest") return From::latest;
  if (const auto number = behind(text, "seq:")) {
    LL_TRY(sequence, read_count("--from seq:", *number));
    return From::sequence(sequence);
  }
  if (const auto number = behind(text, "last:")) {
    LL_TRY(count, read_count("--from last:", *number));
    return From::last(count);
  }
  if (const auto moment = behind(text, "time:")) {
    LL_TRY(utc_ns, read_time("--from time:", *moment, now_ns));
    return From::time(utc_ns);
  }
  return unknown_word("--from", text, "earliest, latest, seq:N, time:T or last:N");
}

Result<To> read_to(const std::string& text, uint64_t now_ns) {
  To to;
  if (text.empty() || text == "latest") return to;
  if (const auto number = behind(text, "seq:")) {
    LL_TRY(sequence, read_count("--to seq:", *number));
    to.sequence = sequence + (sequence < ~0ull ? 1 : 0);
    return to;
  }
  if (const auto moment = behind(text, "time:")) {
    LL_TRY(utc_ns, read_time("--to time:", *moment, now_ns));
    to.timestamp_ns = utc_ns;
    return to;
  }
  return unknown_word("--to", text, "latest, seq:N or time:T");
}

Result<std::optional<uint32_t>> read_number(const char* option, const std::string& text,
                                            const char* known) {
  if (text.empty()) return std::optional<uint32_t>();
  uint32_t number = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  if (error == std::errc() && stop == end) return std::optional(number);
  return unknown_word(option, text, known);
}

Result<std::optional<uint32_t>> read_mode(const std::string& text) {
  if (text.empty()) return std::optional<uint32_t>();
  uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777) {
    return unknown_word("--mode", text, "permission bits in octal, such as 0660");
  }
  return std::optional(mode);
}

Result<double> read_rate(const std::string& text) {
  if (text.empty()) return 0.0;
  std::string_view digits = text;
  if (digits.ends_with("/s")) digits.remove_suffix(2);
  double rate = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), rate);
  if (error != std::errc() || end != digits.data() + digits.size() || !(rate > 0) || rate > 1e12) {
    return Fault(FaultCode::invalid_argument,
                 "--rate \"" + text + "\" is no rate: write messages a second, such as 1000/s");
  }
  return rate;
}

Result<std::vector<Header>> read_headers(const std::vector<std::string>& texts) {
  std::vector<Header> headers;
  for (const std::string& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fault(FaultCode::invalid_argument,
                   "--header \"" + text + "\" is no header: write NAME=VALUE");
    }
    const std::string_view view = text;
    headers.push_back({view.substr(0, equals), view.substr(equals + 1)});
  }
  return headers;
}

Fault unknown_word(const char* option, const std::string& text, const char* known) {
  return {FaultCode::invalid_argument,
          std::string(option) + " \"" + text + "\" is not known: use " + known};
}

}  // namespace loopline::cli
