// Recovery: how long a log takes to open after the process that wrote it was killed.
#pragma once

#include "perf/harness/options.h"

namespace loopline::perf {

// Prints a table; about a minute.
Result<int> measure_recovery(const Options& options, const std::vector<std::string>& command);

}  // namespace loopline::perf
