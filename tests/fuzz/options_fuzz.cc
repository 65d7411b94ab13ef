// Options fuzz: any text as the value of an option of the command line.
//
// An input is  u8 which, then the text. What is accepted is within its bounds, and where it can be
// written again, it is the same then.
#include <string>

#include "input.h"
#include "shm/base/check.h"
#include "shm/base/units.h"
#include "shm/name.h"
#include "tools/loopline/message_template.h"
#include "tools/loopline/options.h"
#include "tools/loopline/records.h"
#include "tools/loopline/sieve.h"

namespace loopline::fuzz {
namespace {

constexpr uint64_t now_ns = 1'800'000'000'000'000'000;

void read_units(const std::string& text) {
  if (const auto size = cli::read_size("--ring", text); size && *size) {
    LL_CHECK(*parse_size(format_size(**size)) == **size);
  }
  if (const auto time = parse_duration(text)) {
    LL_CHECK(*parse_duration(format_duration(*time)) == *time);
    LL_CHECK(*cli::read_time("--from time:", text, now_ns) <= now_ns);
  }
  if (const auto seconds = cli::read_seconds("--seconds", text, {0.05, 3600})) {
    LL_CHECK(*seconds >= 49'999'999 && *seconds <= 3'600'000'000'000);
  }
}

void read_places(const std::string& text) {
  (void)cli::read_from(text, now_ns);
  if (const auto to = cli::read_to(text, now_ns)) {
    LL_CHECK(!to->sequence || !to->timestamp_ns);
    LL_CHECK(!to->sequence || *to->sequence != 0);
  }
  // A date tells its year, and what 64 bits of nanoseconds do not hold is refused.
  const bool has_year =
      text.size() >= 10 && text[4] == '-' && text.find_first_not_of("0123456789") == 4;
  const auto date = cli::read_time("--from time:", text, now_ns);
  if (!has_year || !date) return;
  const uint64_t year = std::stoull(text.substr(0, 4));
  LL_CHECK(year >= 1969 && year <= 2554);
  constexpr uint64_t year_ns = 31'556'952'000'000'000;
  const uint64_t told = 1970 + *date / year_ns;
  LL_CHECK(told + 1 >= year && told <= year + 1);
}

void read_numbers(const std::string& text) {
  if (const auto mode = cli::read_mode(text); mode && *mode) LL_CHECK(**mode <= 0777);
  if (const auto number = cli::read_number("--partition", text, "a number"); number && *number) {
    LL_CHECK(text.find_first_not_of("0123456789") == std::string::npos);
  }
  if (const auto rate = cli::read_rate(text); rate && !text.empty()) {
    LL_CHECK(*rate > 0 && *rate <= 1e12);
  }
  (void)cli::parse_record_kind(text);
}

void read_header(const std::string& text) {
  const std::vector<std::string> texts = {text, text};
  const auto headers = cli::read_headers(texts);
  if (!headers) return;
  for (const Header& header : *headers) {
    LL_CHECK(!header.name.empty());
    LL_CHECK(std::string(header.name) + "=" + std::string(header.value) == text);
  }
}

void read_template(const std::string& text) {
  const auto pieces = cli::parse_template(text);
  if (!pieces) return;
  size_t size = 0;
  for (const cli::TemplatePiece& piece : *pieces) {
    LL_CHECK(piece.field == 0 || piece.text.empty());
    LL_CHECK(std::string_view("sPtkihbp").find(piece.field) != std::string_view::npos ||
             piece.field == 0);
    size += piece.field == 0 ? piece.text.size() : 2;
  }
  LL_CHECK(size <= text.size());
}

void read_name(const std::string& text) {
  const auto name = shm::parse_station_name(text);
  if (!name) return;
  const auto again = shm::parse_station_name(name->text());
  LL_CHECK(again && again->text() == name->text());
}

void read_expression(const std::string& text) {
  const auto sieve = cli::Sieve::make(text);
  if (!sieve) return;
  for (const std::string& payload : {std::string(), text, std::string(1000, 'a')}) {
    LL_CHECK(!text.empty() || sieve->lets_through(payload));
    (void)sieve->lets_through(payload);
  }
}

}  // namespace
}  // namespace loopline::fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace loopline::fuzz;
  Input input(data, size);
  const uint8_t which = input.byte() % 7;
  const std::string text(input.text(size));
  if (which == 0) read_units(text);
  if (which == 1) read_places(text);
  if (which == 2) read_numbers(text);
  if (which == 3) read_header(text);
  if (which == 4) read_template(text);
  if (which == 5) read_name(text);
  if (which == 6) read_expression(text);
  return 0;
}
