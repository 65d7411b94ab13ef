// LinkProbe: two pinned processes bounce one cache line; the median of single round trips counts.
#include "link_probe.h"

#include <algorithm>
#include <cmath>

#include "processes.h"

namespace loopline::perf {
namespace {

constexpr uint64_t stop_word = ~uint64_t{0};
constexpr uint64_t probe_timeout_ns = 5'000'000'000;
constexpr uint64_t warm_rounds = 2'000;
// Rounds between two looks at the clock's deadline.
constexpr uint64_t rounds_per_look = 64;

// One line that both write in turn: odd values go there, even ones come back.
struct alignas(128) Line {
  Atomic<uint64_t> word;
};

// There and back once. No edge hangs on it: only the word itself travels.
void bounce(Line& line, uint64_t round) {
  line.word.store(2 * round + 1, std::memory_order_release);  // release: as a message would be
  while (line.word.load(std::memory_order_acquire) != 2 * round + 2) spin_pause();  // acquire: same
}

Status ping(Line& line, const TscClock& clock, uint64_t window_ns, Stage& stage, Outcome& outcome) {
  stage.meet();
  uint64_t round = 0;
  while (round < warm_rounds) bounce(line, round++);
  const uint64_t deadline = TscClock::ticks() + clock.ticks_of(window_ns);
  do {
    for (uint64_t index = 0; index < rounds_per_look; ++index) {
      const uint64_t begin = TscClock::ticks();
      bounce(line, round++);
      outcome.latency_ns.record(clock.ns(TscClock::ticks() - begin));
    }
  } while (TscClock::ticks() < deadline);
  line.word.store(stop_word, std::memory_order_release);  // release: nothing follows
  return ok();
}

Status pong(Line& line, Stage& stage) {
  stage.meet();
  for (uint64_t expected = 1;; expected += 2) {
    uint64_t seen;
    while ((seen = line.word.load(std::memory_order_acquire)) != expected) {  // acquire: see ping
      if (seen == stop_word) return ok();
      spin_pause();
    }
    line.word.store(expected + 1, std::memory_order_release);  // release: see ping
  }
}

}  // namespace

const char* name_of(Regime regime) {
  constexpr const char* names[] = {"near", "far", "any", "mixed"};
  return names[static_cast<size_t>(regime)];
}

Regime regime_of(double rtt_ns) {
  if (rtt_ns <= near_ns_max) return Regime::near;
  return rtt_ns >= far_ns_min ? Regime::far : Regime::mixed;
}

Regime regime_of(double before_ns, double after_ns) {
  const double apart = std::abs(before_ns - after_ns) / std::min(before_ns, after_ns);
  if (apart > disagreement_max) return Regime::mixed;
  const Regime before = regime_of(before_ns);
  return before == regime_of(after_ns) ? before : Regime::mixed;
}

Result<double> probe_link(const TscClock& clock, std::array<int, 2> cpus, uint64_t window_ns) {
  LL_TRY(block, SharedBlock::make(sizeof(Line)));
  auto& line = block.as<Line>();
  const Role roles[] = {
      {"ping",
       {cpus[0]},
       [&](Stage& stage, Outcome& outcome) {
         return ping(line, clock, window_ns, stage, outcome);
       }},
      {"pong", {cpus[1]}, [&](Stage& stage, Outcome&) { return pong(line, stage); }},
  };
  LL_TRY(outcomes, run_roles(roles, probe_timeout_ns + window_ns));
  return clock.percentile_ns(outcomes[0].latency_ns, 50);
}

}  // namespace loopline::perf
