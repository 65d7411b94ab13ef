// Durable: `loopline-bench durable`, what it costs to have a message on disk before going on.
#pragma once

#include <string>
#include <vector>

#include "perf/harness/options.h"

namespace loopline::perf {

// Measures, prints the table, and returns the exit status.
Result<int> measure_durable(const Options& options, const std::vector<std::string>& command);

}  // namespace loopline::perf
