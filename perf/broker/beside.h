// Beside: what a broker costs those who publish beside it.
//
//   rtt, one-way   stations in memory, with and without a broker of the same instance
//   burst          how fast a producer alone fills a ring: of a station in memory, of one on disk
//                  that nobody flushes, and of one that the broker brings to disk meanwhile
#pragma once

#include <string>

#include "perf/harness/cases.h"

namespace loopline::perf {

// `folder`: on the disk that is meant, and there until the last run.
Result<Cases> cases_beside_a_broker(const std::string& folder);

}  // namespace loopline::perf
