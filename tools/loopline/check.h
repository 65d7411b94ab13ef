// Check: what a monitoring system asks of one thing: measures with limits, what was found, and one
// state, told as plugins tell it, as JSON or as Prometheus reads it.
//
//   CheckReport report = ...measures and their default limits...
//   LL_TRY_STATUS(set_limits(report, arguments));          --warning lag=1000 --critical lag=5000
//   report.measure("lag").value = 12; report.findings.push_back(...);
//   tell(out, report);                                     and the exit status is the state
//
// A measure that is not known here has no value, and is not told.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "commands.h"
#include "finding.h"

namespace loopline::cli {

// The numbers are the exit statuses of monitoring plugins.
enum class CheckState { ok = 0, warning = 1, critical = 2, unknown = 3 };
const char* text_of(CheckState state);

enum class Unit { count, bytes, seconds, part };  // a part is 0 to 1, and written in percent

struct Measure {
  const char* name;  // of options, of perfdata, in JSON: "lag-time"
  const char* what;  // in words
  Unit unit = Unit::count;
  std::optional<double> warning = {};
  std::optional<double> critical = {};
  bool is_low_bad = false;  // below a limit is bad, instead of above it
  std::optional<double> max = {};
  std::optional<double> value = {};

  bool is_beyond(std::optional<double> limit) const {
    return value && limit && (is_low_bad ? *value < *limit : *value > *limit);
  }
};

struct CheckReport {
  const char* kind;     // station, broker, disk, shm
  std::string subject;  // the station, or the folder that was looked at
  std::string summary;  // when all is well
  std::vector<Measure> measures;
  std::vector<Finding> findings;  // beside what measures are beyond their limits
  std::string unknown;            // why nobody can tell; empty: somebody can

  Measure& measure(std::string_view name);
  void find(const char* code, Level level, std::string text, std::string remedy = "");
  // With those of measures beyond their limits.
  std::vector<Finding> all_findings() const;
  CheckState state() const;
};

// What --warning and --critical say. Faults: invalid_argument, naming the measures there are.
Status set_limits(CheckReport& report, const LimitArguments& limits);
// "80%", "64KiB", "1.5s", "12": as limits are written.
std::string value_text(const Measure& measure, double value);
// "12" or "0.25": a number for programs.
std::string number_text(double number);

// In the form that was asked for; the exit status is the state's.
void tell(Output& out, const CheckReport& report);
// The report in Prometheus' text format.
std::string prometheus_of(const CheckReport& report);

}  // namespace loopline::cli
