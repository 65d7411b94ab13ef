// Targets: what Loopline has promised, so that each report says whether it holds.
#pragma once

#include <string>
#include <vector>

#include "results.h"

namespace loopline::perf {

struct Verdict {
  std::string target;   // "p50 <= 1.3 L, p99 <= 2.2 L"; empty when nothing was promised
  std::string verdict;  // "pass", or "miss" and what
};

// Judges the median over the repetitions. Peers are promised nothing.
Verdict judge(const Series& series);

}  // namespace loopline::perf
