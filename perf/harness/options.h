// Options: what loopline-bench was asked to do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "runner.h"

namespace loopline::perf {

enum class Command { ring, durable, behind, recovery, broker, crowd, link, list, help };

struct Options {
  Command command = Command::help;
  Schedule schedule;
  std::optional<std::array<int, 2>> cpus;
  std::vector<std::string> benches;   // empty: all
  std::vector<std::string> subjects;  // empty: all
  std::string json_path;
  std::string plot_folder;
  std::string folder;               // of those on a disk: where; empty: beside the program
  uint64_t bytes = 10'000'000'000;  // behind: how far
  bool is_quick = false;            // durable: figures are not the point
};

extern const char* const usage;

// Without the program's name. A fault is a wrong usage, in words.
Result<Options> parse_options(const std::vector<std::string>& arguments);

// The cases that were asked for, grouped by bench and size so that subjects take turns; a name that
// no case has is a fault.
Result<Cases> select_cases(Cases cases, const Options& options);

}  // namespace loopline::perf
