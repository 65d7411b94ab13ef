// Behind: a consumer gigabytes behind catches up from disk while a producer publishes.
#pragma once

#include "perf/harness/options.h"

namespace loopline::perf {

// Prints a table. Takes two minutes for the 10 GB of `options.bytes` on a disk of 1 GB/s.
Result<int> measure_behind(const Options& options, const std::vector<std::string>& command);

}  // namespace loopline::perf
