// Check: a report in Prometheus' text format: a family a measure, its state and what was found.
#include <fmt/format.h>

#include "check.h"
#include "person.h"

namespace loopline::cli {
namespace {

constexpr const char* suffixes[] = {"", "_bytes", "_seconds", "_ratio"};  // by Unit

// Within quotes; what cannot be read as text is not passed on.
std::string label_value(const std::string& text) {
  std::string safe;
  for (const char byte : printable(text)) {
    if (byte == '\\' || byte == '"') safe += '\\';
    safe += byte;
  }
  return safe;
}

// "lag-time", in seconds: loopline_station_lag_seconds.
std::string family_of(const CheckReport& report, const Measure& measure) {
  std::string name = measure.name;
  for (const char* word : {"-bytes", "-time", "-percent"}) {
    if (name.ends_with(word)) name.erase(name.size() - std::string_view(word).size());
  }
  for (char& byte : name) byte = byte == '-' ? '_' : byte;
  return fmt::format("loopline_{}_{}{}", report.kind, name,
                     suffixes[static_cast<int>(measure.unit)]);
}

std::string head_of(const std::string& family, const std::string& help) {
  return "# HELP " + family + " " + help + "\n# TYPE " + family + " gauge\n";
}

}  // namespace

std::string prometheus_of(const CheckReport& report) {
  const char* const subject = std::string_view(report.kind) == "station" ? "station" : "folder";
  const std::string which = fmt::format("{}=\"{}\"", subject, label_value(report.subject));
  const std::string labels = fmt::format("check=\"{}\",{}", report.kind, which);
  std::string text = head_of("loopline_check_state",
                             "what the check says: 0 ok, 1 warning, 2 critical, 3 unknown");
  text += fmt::format("loopline_check_state{{{}}} {}\n", labels, static_cast<int>(report.state()));
  const auto findings = report.all_findings();
  bool is_first = true;
  for (const Finding& finding : findings) {
    if (finding.level == Level::ok) continue;
    if (is_first) {
      text += head_of("loopline_check_findings", "what the check found, by code and level");
    }
    is_first = false;
    // Two of a code, of several partitions or rings, are one line: a line a set of labels.
    const std::string line = fmt::format("loopline_check_findings{{{},code=\"{}\",level=\"{}\"}}",
                                         labels, finding.code, text_of(finding.level));
    if (text.find(line) != std::string::npos) continue;
    size_t count = 0;
    for (const Finding& other : findings) {
      count += other.code == finding.code && other.level == finding.level ? 1 : 0;
    }
    text += fmt::format("{} {}\n", line, count);
  }
  for (const Measure& measure : report.measures) {
    if (!measure.value) continue;
    const std::string family = family_of(report, measure);
    text += head_of(family, measure.what);
    text += fmt::format("{}{{{}}} {}\n", family, which, number_text(*measure.value));
  }
  return text;
}

}  // namespace loopline::cli
