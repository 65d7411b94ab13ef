// TscClock: calibration against the kernel's clock, and the counter's own cost.
#include "tsc_clock.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

constexpr uint64_t calibration_ns = 50'000'000;
constexpr int bracket_count = 100;
constexpr int overhead_samples = 10'000;

bool has_steady_counter() {
  std::ifstream file("/proc/cpuinfo");
  bool constant = false;
  bool nonstop = false;
  for (std::string word; file >> word;) {
    constant |= word == "constant_tsc";
    nonstop |= word == "nonstop_tsc";
  }
  return constant && nonstop;
}

struct Moment {
  uint64_t ns;
  uint64_t ticks;
};

// The tightest of many brackets: an interrupt inside one would shift it.
Moment moment() {
  Moment best{};
  uint64_t narrowest = ~uint64_t{0};
  for (int round = 0; round < bracket_count; ++round) {
    const uint64_t before = TscClock::ticks();
    const uint64_t ns = monotonic_ns();
    const uint64_t after = TscClock::ticks();
    if (after - before >= narrowest) continue;
    narrowest = after - before;
    best = {ns, before + (after - before) / 2};
  }
  return best;
}

}  // namespace

TscClock::TscClock(double ticks_per_ns)
    : ticks_per_ns_(ticks_per_ns),
      ns_per_tick_scaled_(
          static_cast<uint64_t>(std::llround(std::ldexp(1 / ticks_per_ns, scale_bits)))) {}

Result<TscClock> TscClock::calibrate() {
  if (!has_steady_counter()) {
    return Fault(FaultCode::unsupported,
                 "this processor's time stamp counter is not steady (no constant_tsc or "
                 "nonstop_tsc in /proc/cpuinfo): latencies below a microsecond cannot be measured");
  }
  const Moment begin = moment();
  while (monotonic_ns() - begin.ns < calibration_ns) {
  }
  const Moment end = moment();
  TscClock clock(static_cast<double>(end.ticks - begin.ticks) /
                 static_cast<double>(end.ns - begin.ns));
  std::vector<uint64_t> spans(overhead_samples);
  for (uint64_t& span : spans) {
    const uint64_t before = ticks();
    span = ticks() - before;
  }
  std::nth_element(spans.begin(), spans.begin() + overhead_samples / 2, spans.end());
  clock.overhead_ns_ = static_cast<double>(spans[overhead_samples / 2]) / clock.ticks_per_ns_;
  return clock;
}

}  // namespace loopline::perf
