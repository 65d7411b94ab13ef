// Runner: goes round all cases again and again, each run between two probes, until enough are kept.
//
//   probe  A  probe  B  probe  C  probe  A  probe ...      every subject meets the same machine
//
// A run is kept when the probes around it agree on a regime (near or far) and nothing else took the
// processors. Discarded runs are counted and repeated. It ends when every case has its repetitions
// in each regime, when the budget is spent, or when nothing could be kept for `patience_ns`: some
// machines never show the other regime.
#pragma once

#include <array>
#include <functional>
#include <vector>

#include "results.h"

namespace loopline::perf {

struct Schedule {
  std::array<int, 2> cpus{};
  uint64_t ring_bytes = 1 << 20;
  uint64_t measure_ns = 60'000'000;
  uint32_t repetitions = 7;
  uint64_t budget_ns = 330'000'000'000;
  uint64_t patience_ns = 40'000'000'000;
  // Spinning runs go before everything else on the machine, for figures while others build. Runs
  // that need the kernel's scheduler (wake, kill) keep the priority that their users have.
  bool is_realtime = false;
};

class Runner {
 public:
  using Kept = std::function<void(const Case&, Regime, const Repetition&)>;

  // `cases` must outlive the runner and its results.
  Runner(const TscClock& clock, const Cases& cases, const Schedule& schedule);

  // Runs to the end. `kept` hears of each run that counts; `progress`, if any, tells a person.
  Result<Tally> run(const Kept& kept, const std::function<void(const Tally&)>& progress);
  const Results& results() const { return results_; }

 private:
  Status probe();
  bool is_done(size_t index) const;
  bool all_done() const;
  // What the case could be run for right now; mixed when it could not.
  Regime wanted(size_t index) const;
  Status run_case(size_t index, Regime regime, const Kept& kept);
  Status round(const Kept& kept, const std::function<void(const Tally&)>& progress);
  uint64_t elapsed_ns() const;

  const TscClock& clock_;
  const Cases& cases_;
  Schedule schedule_;
  Results results_;
  Tally tally_;
  std::vector<bool> failed_;
  double link_ns_ = 0;
  uint64_t probed_ns_ = 0;
  uint64_t begin_ns_ = 0;
  uint64_t last_kept_ns_ = 0;
  bool ran_ = false;
};

}  // namespace loopline::perf
