// Report: kept runs as lines of JSON, as one table, and as plots.
#pragma once

#include <cstdio>
#include <string>

#include "environment.h"
#include "json_object.h"
#include "results.h"

namespace loopline::perf {

// One JSON object a line, written as soon as it is known: first {"bench": "environment", ...}, then
// one line for each kept repetition.
class JsonLines {
 public:
  static Result<JsonLines> create(const std::string& path);
  JsonLines(JsonLines&& other) noexcept : file_(std::exchange(other.file_, nullptr)) {}
  JsonLines& operator=(JsonLines&&) = delete;
  ~JsonLines();

  void put(const JsonObject& object);
  void write(const Environment& environment);
  void write(const Case& of, Regime regime, const Repetition& repetition);

 private:
  explicit JsonLines(std::FILE* file) : file_(file) {}

  std::FILE* file_;
};

// One row for each bench, size, regime and subject, and the conditions under it.
std::string format_report(const Results& results, const Cases& cases, const Tally& tally);

// For each bench, size and regime with latencies, and each bench and regime with rates: NAME.svg,
// one curve a subject, made by gnuplot from NAME.gp and, for latencies, NAME-SUBJECT.hgrm, which
// stay beside it. Creates the folder.
Status write_plots(const Results& results, const Cases& cases, const Environment& environment,
                   const std::string& folder);

}  // namespace loopline::perf
