// Options: the library's readers of sizes and times, with the option's name in front of what is
// wrong.
#include "options.h"

#include <fmt/format.h>

#include <charconv>

#include "shm/base/units.h"

namespace loopline::cli {

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
               fmt::format("{} \"{}\" is no number of seconds from {} to {}", option, text,
                           range.least, range.most));
}

Fault unknown_word(const char* option, const std::string& text, const char* known) {
  return {FaultCode::invalid_argument,
          std::string(option) + " \"" + text + "\" is not known: use " + known};
}

}  // namespace loopline::cli
