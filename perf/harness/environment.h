// Environment: on what, with what and how a figure was measured; no figure is printed without it.
#pragma once

#include <string>
#include <vector>

#include "tsc_clock.h"

namespace loopline::perf {

struct Environment {
  std::string processor;
  int processor_count = 0;
  std::string kernel;
  std::string compiler;  // and whether it optimised, and left the checks in
  std::string commit;    // git describe of where the program lies, or "unknown"
  std::string command;   // without folders
  std::string priority;
  double clock_overhead_ns = 0;
  double clock_step_ns = 0;
};

Environment describe_environment(const std::vector<std::string>& arguments, const TscClock& clock,
                                 bool is_realtime);
std::string to_text(const Environment& environment);

}  // namespace loopline::perf
