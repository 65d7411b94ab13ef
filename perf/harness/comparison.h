// Comparison: how many times faster Loopline is than a peer, in words.
#pragma once

#include <string>
#include <vector>

#include "results.h"

namespace loopline::perf {

// "6.3x faster", "1.1x slower", "as fast": a rate, or half as long a latency, counts as twice as
// fast. Empty when one of them is not known.
std::string format_ratio(double ratio);

// Loopline's median in the same bench, size and regime against that of `peer`. Empty for Loopline
// itself, and where it was not measured.
std::string compare_with_loopline(const Series& peer, const std::vector<const Series*>& all);

// One line for each bench and size of `regime` in which Loopline met somebody, a column for each
// subject: its median, and behind it the times that Loopline is faster ("0.8x": slower). Empty when
// there is no such line.
std::string format_comparison(const std::vector<const Series*>& all, Regime regime);

}  // namespace loopline::perf
