// Check: limits as they are written, the state that follows from them, and the line of a plugin.
#include "check.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "json.h"
#include "person.h"
#include "runtime/broker/hints.h"
#include "shm/base/units.h"

namespace loopline::cli {
namespace {

constexpr double ns_per_second = 1e9;

const char* example_of(Unit unit) {
  switch (unit) {
    case Unit::bytes:
      return "64MiB";
    case Unit::seconds:
      return "5s";
    case Unit::part:
      return "80%";
    case Unit::count:
      break;
  }
  return "1000";
}

std::optional<double> plain_number(std::string_view text) {
  double number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_one = error == std::errc() && stop == text.data() + text.size() && number >= 0;
  return is_one ? std::optional(number) : std::nullopt;
}

Result<std::optional<double>> read_limit(const char* option, const Measure& measure,
                                         const std::string& text) {
  if (text == "off") return std::optional<double>();
  std::optional<double> limit;
  if (measure.unit == Unit::bytes) {
    if (const auto bytes = parse_size(text)) limit = static_cast<double>(*bytes);
  } else if (measure.unit == Unit::seconds) {
    const auto time_ns = parse_duration(text);
    if (time_ns) limit = static_cast<double>(*time_ns) / ns_per_second;
  } else if (measure.unit == Unit::count) {
    limit = plain_number(text);
  } else if (text.ends_with('%')) {
    limit = plain_number(std::string_view(text).substr(0, text.size() - 1));
    if (limit) limit = *limit / 100;
    if (limit && *limit > 1) limit.reset();
  }
  if (limit) return limit;
  return Fault(FaultCode::invalid_argument, fmt::format("{} {}=\"{}\" is no limit: write it like "
                                                        "{}={}, or {}=off",
                                                        option, measure.name, text, measure.name,
                                                        example_of(measure.unit), measure.name));
}

Status set_limit(CheckReport& report, const char* option, const std::string& text,
                 std::optional<double> Measure::*limit) {
  const size_t equals = text.find('=');
  const std::string name = text.substr(0, equals);
  std::vector<std::string> known;
  for (Measure& measure : report.measures) {
    known.emplace_back(measure.name);
    if (name != measure.name || equals == std::string::npos) continue;
    LL_TRY(value, read_limit(option, measure, text.substr(equals + 1)));
    measure.*limit = value;
    return ok();
  }
  const bool is_known = std::find(known.begin(), known.end(), name) != known.end();
  return Fault(FaultCode::invalid_argument,
               is_known ? fmt::format("{} {} needs a limit, such as {} {}={}", option, name, option,
                                      name, example_of(report.measure(name).unit))
                        : fmt::format("{} {}: there is no such measure{}; they are {}", option,
                                      text, near_miss(name, known), joined(known)));
}

// What no line of a plugin may hold: a bar begins its figures, a newline ends it.
std::string plain(std::string text) {
  for (char& byte : text) {
    if (byte == '|') byte = '/';
    if (byte == '\n') byte = ' ';
  }
  return text;
}

double in_unit(const Measure& measure, double value) {
  return measure.unit == Unit::part ? value * 100 : value;
}

// label=value[UOM];warning;critical;min;max
std::string perfdata_of(const Measure& measure) {
  constexpr const char* words[] = {"", "B", "s", "%"};  // by Unit
  const auto range = [&](std::optional<double> limit) {
    if (!limit) return std::string();
    return number_text(in_unit(measure, *limit)) + (measure.is_low_bad ? ":" : "");
  };
  std::string text = fmt::format(
      "{}={}{};{};{};0", measure.name, number_text(in_unit(measure, *measure.value)),
      words[static_cast<int>(measure.unit)], range(measure.warning), range(measure.critical));
  if (measure.unit == Unit::part) {
    text += ";100";
  } else if (measure.max) {
    text += ";" + number_text(*measure.max);
  }
  return text;
}

std::optional<Finding> beyond(const Measure& measure) {
  const bool is_critical = measure.is_beyond(measure.critical);
  if (!is_critical && !measure.is_beyond(measure.warning)) return {};
  const double limit = is_critical ? *measure.critical : *measure.warning;
  return Finding{
      measure.name,
      is_critical ? Level::critical : Level::warning,
      fmt::format("{}: {}, {} the limit of {}", measure.what, value_text(measure, *measure.value),
                  measure.is_low_bad ? "below" : "above", value_text(measure, limit)),
      "",
      "",
      {}};
}

// The first of the worst ones; the others follow in lines of their own.
std::string words_of(const CheckReport& report, const std::vector<Finding>& findings) {
  if (!report.unknown.empty()) return report.unknown;
  const Level worst = worst_of(findings);
  if (worst == Level::ok) return report.summary;
  size_t more = 0;
  const Finding* first = nullptr;
  for (const Finding& finding : findings) {
    if (finding.level == Level::ok) continue;
    if (finding.level == worst && first == nullptr) {
      first = &finding;
    } else {
      ++more;
    }
  }
  return first->text + (more == 0 ? "" : fmt::format("; and {} more", more));
}

std::string upper(std::string text) {
  for (char& byte : text) byte = static_cast<char>(std::toupper(static_cast<unsigned char>(byte)));
  return text;
}

Color color_of(CheckState state) {
  if (state == CheckState::ok) return Color::green;
  return state == CheckState::critical ? Color::red : Color::yellow;
}

void tell_as_plugin(Output& out, const CheckReport& report) {
  const std::vector<Finding> all = report.all_findings();
  const CheckState state = report.state();
  std::string perfdata;
  for (const Measure& measure : report.measures) {
    if (measure.value) perfdata += (perfdata.empty() ? " | " : " ") + perfdata_of(measure);
  }
  const std::string who = report.subject.empty() ? "" : report.subject + ": ";
  out.line(fmt::format("{} {} - {}{}", upper(report.kind),
                       out.paint(color_of(state), upper(text_of(state))),
                       plain(printable(who + words_of(report, all))), perfdata));
  std::vector<Finding> told;
  for (const Finding& finding : all) {
    if (finding.level == Level::ok && !out.is_wide()) continue;
    told.push_back(finding);
    told.back().text = plain(printable(finding.text));
    told.back().remedy = plain(printable(finding.remedy));
  }
  const bool is_all_said = told.size() == 1 && !out.is_wide();
  if (is_all_said && told.front().remedy.empty()) return;
  if (is_all_said) return out.line(out.paint(Color::bold, "next: ") + told.front().remedy);
  print(out, told);
}

}  // namespace

const char* text_of(CheckState state) {
  switch (state) {
    case CheckState::ok:
      return "ok";
    case CheckState::warning:
      return "warning";
    case CheckState::critical:
      return "critical";
    case CheckState::unknown:
      break;
  }
  return "unknown";
}

Measure& CheckReport::measure(std::string_view name) {
  const auto found = std::find_if(measures.begin(), measures.end(),
                                  [&](const Measure& one) { return name == one.name; });
  LL_CHECK(found != measures.end());
  return *found;
}

void CheckReport::find(const char* code, Level level, std::string text, std::string remedy) {
  findings.push_back({code, level, std::move(text), std::move(remedy), "", {}});
}

std::vector<Finding> CheckReport::all_findings() const {
  std::vector<Finding> all = findings;
  for (const Measure& measure : measures) {
    if (auto finding = beyond(measure)) all.push_back(std::move(*finding));
  }
  return all;
}

CheckState CheckReport::state() const {
  if (!unknown.empty()) return CheckState::unknown;
  switch (worst_of(all_findings())) {
    case Level::ok:
      return CheckState::ok;
    case Level::warning:
      return CheckState::warning;
    case Level::critical:
      break;
  }
  return CheckState::critical;
}

Status set_limits(CheckReport& report, const LimitArguments& limits) {
  for (const std::string& text : limits.warning) {
    LL_TRY_STATUS(set_limit(report, "--warning", text, &Measure::warning));
  }
  for (const std::string& text : limits.critical) {
    LL_TRY_STATUS(set_limit(report, "--critical", text, &Measure::critical));
  }
  for (const Measure& measure : report.measures) {
    if (!measure.warning || !measure.critical) continue;
    const bool is_order = measure.is_low_bad ? *measure.critical <= *measure.warning
                                             : *measure.critical >= *measure.warning;
    if (is_order) continue;
    return Fault(FaultCode::invalid_argument,
                 fmt::format("{0} would be critical at {1} before it is a warning at {2}; give "
                             "both: --warning {0}=... --critical {0}=..., or off for one of them",
                             measure.name, value_text(measure, *measure.critical),
                             value_text(measure, *measure.warning)));
  }
  return ok();
}

std::string value_text(const Measure& measure, double value) {
  switch (measure.unit) {
    case Unit::bytes:
      return format_size_rounded(value);
    case Unit::seconds:
      return format_duration_rounded(value * ns_per_second);
    case Unit::part:
      return number_text(std::round(value * 1000) / 10) + "%";
    case Unit::count:
      break;
  }
  return number_text(value);
}

std::string number_text(double number) {
  std::string text = fmt::format("{:.6f}", number);
  text.erase(text.find_last_not_of('0') + 1);
  if (text.ends_with('.')) text.pop_back();
  return text;
}

void tell(Output& out, const CheckReport& report) {
  if (out.is_json()) {
    out.line(json_of(report));
  } else if (out.is_prometheus()) {
    out.write(prometheus_of(report));
  } else {
    tell_as_plugin(out, report);
  }
  out.end_with(static_cast<int>(report.state()));
}

}  // namespace loopline::cli
