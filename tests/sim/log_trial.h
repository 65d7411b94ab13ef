// LogTrial: schedules of a log's life and of power cuts in it, told by a seed, and their counts.
//
//   LogTrial trial(seed);
//   while (trial.counts().cuts < 100'000 && trial.run(schedule++)) {}
//   trial.report();
#pragma once

#include <optional>
#include <string>

#include "cut_sweep.h"

namespace loopline::sim {

class LogTrial {
 public:
  explicit LogTrial(uint64_t seed) : seed_(seed) {}

  // One schedule, or only one cut of it. False: wrong() says what was broken, and how to see it
  // again.
  bool run(uint64_t schedule, std::optional<CutAt> only = {});
  const std::string& wrong() const { return wrong_; }

  // Of schedules that had at least two batches in flight and a segment boundary.
  const CutCounts& cuts() const { return cuts_; }
  // How many kinds of mishap there were.
  size_t mishap_kinds() const;
  // What happened, in numbers.
  std::string report() const;

 private:
  std::string replay(uint64_t schedule, const CutAt* at) const;

  uint64_t seed_;
  uint64_t schedules_ = 0;
  uint64_t uncounted_ = 0;
  CutCounts cuts_;
  LifeCounts lives_;  // whole lives, and those behind a cut
  std::string wrong_;
};

// What to print when the process is stopped by one of its own checks.
const char* current_replay();

}  // namespace loopline::sim
