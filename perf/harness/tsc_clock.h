// TscClock: nanoseconds from the processor's time stamp counter, for spans of less than 100 ns.
//
//   const auto clock = TscClock::calibrate();
//   const uint64_t begin = clock->ticks();  ...  const uint64_t end = clock->ticks();
//   clock->ns(end - begin)
//
// clock_gettime costs about as much, but varies more and does not wait for the loads before it. A
// span holds the cost of one ticks() call; it is measured, printed with every report (`overhead_ns`)
// and left in all figures, the link probe's included.
#pragma once

#include <x86intrin.h>

#include <cstdint>

#include "shm/base/result.h"

namespace loopline::perf {

class TscClock {
 public:
  // Compares the counter with CLOCK_MONOTONIC for 50 ms. Refuses a counter that changes its pace
  // or stops (no constant_tsc, nonstop_tsc).
  static Result<TscClock> calibrate();

  // rdtscp waits until every load before it has its value; lfence keeps what follows behind it.
  static uint64_t ticks() {
    unsigned processor;
    const uint64_t count = __rdtscp(&processor);
    _mm_lfence();
    return count;
  }

  uint64_t ns(uint64_t ticks) const {
    return static_cast<uint64_t>((static_cast<Wide>(ticks) * ns_per_tick_scaled_) >> scale_bits);
  }
  uint64_t ticks_of(uint64_t ns) const {
    return static_cast<uint64_t>(static_cast<double>(ns) * ticks_per_ns_);
  }

  double ticks_per_ns() const { return ticks_per_ns_; }
  // What one ticks() call adds to a span (median).
  double overhead_ns() const { return overhead_ns_; }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr int scale_bits = 32;

  explicit TscClock(double ticks_per_ns);

  double ticks_per_ns_;
  uint64_t ns_per_tick_scaled_;
  double overhead_ns_ = 0;
};

}  // namespace loopline::perf
