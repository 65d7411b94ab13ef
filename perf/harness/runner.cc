// Runner: rounds, probes, and the decision which runs count.
#include "runner.h"

#include <time.h>

#include "processes.h"
#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

// An older probe says nothing about now.
constexpr uint64_t probe_age_ns_max = 30'000'000;
// A run in which a role was kept waiting for its processor for a larger share measured neighbours.
constexpr double delayed_share_max = 0.05;
// Between probes while nothing can be run: leaves the host alone, so that it moves us sooner.
constexpr timespec pause_between_probes{0, 20'000'000};

}  // namespace

Runner::Runner(const TscClock& clock, const Cases& cases, const Schedule& schedule)
    : clock_(clock), cases_(cases), schedule_(schedule), results_(clock), failed_(cases.size()) {}

Result<Tally> Runner::run(const Kept& kept, const std::function<void(const Tally&)>& progress) {
  begin_ns_ = last_kept_ns_ = monotonic_ns();
  LL_TRY_STATUS(probe());
  while (!all_done() && elapsed_ns() < schedule_.budget_ns &&
         monotonic_ns() - last_kept_ns_ < schedule_.patience_ns) {
    ran_ = false;
    LL_TRY_STATUS(round(kept, progress));
    if (ran_) continue;
    ::nanosleep(&pause_between_probes, nullptr);
    LL_TRY_STATUS(probe());
  }
  tally_.elapsed_ns = elapsed_ns();
  return tally_;
}

Status Runner::round(const Kept& kept, const std::function<void(const Tally&)>& progress) {
  for (size_t index = 0; index < cases_.size(); ++index) {
    if (is_done(index)) continue;
    if (elapsed_ns() >= schedule_.budget_ns) return ok();
    if (monotonic_ns() - probed_ns_ > probe_age_ns_max) LL_TRY_STATUS(probe());
    const Regime regime = wanted(index);
    if (regime == Regime::mixed) continue;
    LL_TRY_STATUS(run_case(index, regime, kept));
    ran_ = true;
    tally_.elapsed_ns = elapsed_ns();
    if (progress) progress(tally_);
  }
  return ok();
}

Status Runner::run_case(size_t index, Regime regime, const Kept& kept) {
  const Case& which = cases_[index];
  const Plan plan{clock_, schedule_.cpus, schedule_.ring_bytes,
                  schedule_.measure_ns * which.time_factor};
  const double before_ns = link_ns_;
  if (schedule_.is_realtime) LL_TRY_STATUS(set_realtime(which.link_matters));
  auto measurement = which.run(plan);
  LL_TRY_STATUS(probe());
  if (!measurement) {
    failed_[index] = true;
    const bool is_possible = measurement.fault().code() != FaultCode::unsupported;
    auto& sentences = is_possible ? tally_.failures : tally_.impossible;
    sentences.push_back(which.bench + " " + which.subject + " " + std::to_string(which.size_bytes) +
                        " B: " + measurement.fault().message());
    return ok();
  }
  if (which.link_matters && regime_of(before_ns, link_ns_) != regime) {
    ++tally_.mixed_count;
    return ok();
  }
  if (measurement->delayed_share > delayed_share_max) {
    ++tally_.disturbed_count;
    return ok();
  }
  ++tally_.kept_count;
  last_kept_ns_ = monotonic_ns();
  kept(which, regime,
       results_.add(which, regime, (before_ns + link_ns_) / 2, std::move(*measurement)));
  return ok();
}

Status Runner::probe() {
  if (schedule_.is_realtime) LL_TRY_STATUS(set_realtime(true));
  LL_TRY(rtt_ns, probe_link(clock_, schedule_.cpus));
  link_ns_ = rtt_ns;
  probed_ns_ = monotonic_ns();
  ++tally_.probe_counts[static_cast<size_t>(regime_of(rtt_ns))];
  return ok();
}

bool Runner::is_done(size_t index) const {
  const Case& which = cases_[index];
  const auto full = [&](Regime regime) {
    return results_.count(which, regime) >= schedule_.repetitions;
  };
  if (failed_[index]) return true;
  return which.link_matters ? full(Regime::near) && full(Regime::far) : full(Regime::any);
}

bool Runner::all_done() const {
  for (size_t index = 0; index < cases_.size(); ++index) {
    if (!is_done(index)) return false;
  }
  return true;
}

Regime Runner::wanted(size_t index) const {
  const Case& which = cases_[index];
  const Regime regime = which.link_matters ? regime_of(link_ns_) : Regime::any;
  return results_.count(which, regime) < schedule_.repetitions ? regime : Regime::mixed;
}

uint64_t Runner::elapsed_ns() const { return monotonic_ns() - begin_ns_; }

}  // namespace loopline::perf
