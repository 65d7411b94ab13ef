// TscClock: nanoseconds from the processor's time stamp counter, for spans of less than 100 ns.
//
//   const auto clock = TscClock::calibrate();
//   const uint64_t begin = clock->ticks();  ...  const uint64_t end = clock->ticks();
//   clock->ns(end - begin)
//
// clock_gettime costs about as much, but varies more and does not wait for the loads before it. A
// span holds the cost of one ticks() call (`overhead_ns`): measured, printed with every report, and
// left in all figures, the link probe's included.
#pragma once

#include <x86intrin.h>

#include <cstdint>

#include "shm/base/histogram.h"
#include "shm/base/result.h"

namespace loopline::perf {

class TscClock {
 public:
  // Compares the counter with CLOCK_MONOTONIC for 50 ms. Refuses a counter that changes its pace
  // or stops (no constant_tsc, nonstop_tsc).
  static Result<TscClock> calibrate();
  // A clock of a known pace, for tests.
  static TscClock assume(double ticks_per_ns, double step_ns) {
    TscClock clock(ticks_per_ns);
    clock.step_ns_ = step_ns;
    return clock;
  }

  // rdtscp waits until every load before it has its value; lfence keeps what follows behind it.
  static uint64_t ticks() {
    unsigned processor;
    const uint64_t count = __rdtscp(&processor);
    _mm_lfence();
    return count;
  }

  uint64_t ns(uint64_t ticks) const {
    constexpr Wide half = Wide{1} << (scale_bits - 1);
    return static_cast<uint64_t>((ticks * Wide{ns_per_tick_scaled_} + half) >> scale_bits);
  }
  uint64_t ticks_of(uint64_t ns) const {
    return static_cast<uint64_t>(static_cast<double>(ns) * ticks_per_ns_);
  }

  double ticks_per_ns() const { return ticks_per_ns_; }
  // What one ticks() call adds to a span (median).
  double overhead_ns() const { return overhead_ns_; }
  // The counter goes in steps: AMD's processors show 10 ns.
  double step_ns() const { return step_ns_; }

  // A percentile of spans finer than the steps: as usual for grouped data, the spans of one step
  // are taken as spread evenly over it. Without that, 130 and 139 ns cannot be told apart.
  double percentile_ns(const Histogram& spans_ns, double percent) const;

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr int scale_bits = 44;

  explicit TscClock(double ticks_per_ns);
  void measure_itself();

  double ticks_per_ns_;
  uint64_t ns_per_tick_scaled_;
  double overhead_ns_ = 0;
  double step_ns_ = 0;
};

}  // namespace loopline::perf
