// Results: the runs that were kept, by case and regime, and how many were not.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "cases.h"
#include "link_probe.h"
#include "shm/base/histogram.h"

namespace loopline::perf {

// One kept run in figures. A latency run has percentiles, a rate run a rate; the rest is 0.
struct Repetition {
  double link_ns = 0;  // mean of the probes before and after
  uint64_t message_count = 0;
  double p50_ns = 0;
  double p99_ns = 0;
  double p999_ns = 0;
  double max_ns = 0;
  double rate_per_s = 0;
  double cpu_share = -1;
};

// All kept runs of one case in one regime.
struct Series {
  const Case* of;
  Regime regime;
  std::vector<Repetition> repetitions;
  std::unique_ptr<Histogram> latency_ns;  // of all of them; null for rates
};

struct Spread {
  double median = 0;
  double min = 0;
  double max = 0;
};
// Of what `figure` takes from each repetition; zeros when there is none.
Spread spread_of(const Series& series, const std::function<double(const Repetition&)>& figure);

class Results {
 public:
  explicit Results(const TscClock& clock) : clock_(clock) {}

  const Repetition& add(const Case& of, Regime regime, double link_ns, Measurement measurement);
  size_t count(const Case& of, Regime regime) const;
  // Sorted by bench in the order of the cases, then size, regime and subject.
  std::vector<const Series*> sorted(const Cases& cases) const;

 private:
  const Series* find(const Case& of, Regime regime) const;

  const TscClock& clock_;
  std::vector<std::unique_ptr<Series>> series_;
};

// What happened besides the runs that were kept.
struct Tally {
  uint64_t kept_count = 0;
  uint64_t mixed_count = 0;       // the link changed during the run
  uint64_t disturbed_count = 0;   // something else was running
  uint64_t probe_counts[4] = {};  // by Regime
  uint64_t elapsed_ns = 0;
  std::vector<std::string> failures;
  std::vector<std::string> impossible;  // cases that a subject cannot do here, and why
};

}  // namespace loopline::perf
