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

// The smallest distance between lengths that spans often have. Rare lengths are interrupts; lengths
// one tick apart are one length, which the processor's own conversion rounds up or down.
uint64_t find_step_ticks() {
  constexpr size_t length_max = 2'000;
  constexpr int pauses_max = 8;
  std::vector<int> counts(length_max);
  for (int sample = 0; sample < overhead_samples; ++sample) {
    const uint64_t before = TscClock::ticks();
    for (int pause = 0; pause < sample % pauses_max; ++pause) _mm_pause();
    const uint64_t span = TscClock::ticks() - before;
    if (span < length_max) ++counts[span];
  }
  uint64_t step = length_max;
  for (size_t length = 0, previous = length_max; length < length_max; ++length) {
    if (counts[length] < overhead_samples / 200) continue;
    if (previous < length - 1) step = std::min<uint64_t>(step, length - previous);
    previous = length;
  }
  return step == length_max ? 0 : step;
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
  clock.measure_itself();
  return clock;
}

void TscClock::measure_itself() {
  std::vector<uint64_t> spans(overhead_samples);
  for (uint64_t& span : spans) {
    const uint64_t before = ticks();
    span = ticks() - before;
  }
  std::nth_element(spans.begin(), spans.begin() + overhead_samples / 2, spans.end());
  overhead_ns_ = static_cast<double>(spans[overhead_samples / 2]) / ticks_per_ns_;
  step_ns_ = static_cast<double>(find_step_ticks()) / ticks_per_ns_;
}

double TscClock::percentile_ns(const Histogram& spans_ns, double percent) const {
  const uint64_t found_ns = spans_ns.percentile(percent);
  const auto half_ns = static_cast<uint64_t>(step_ns_ / 2);
  // From some microseconds on the histogram's own buckets are as wide.
  constexpr uint64_t fine_ns_max = 2'000;
  if (half_ns == 0 || found_ns <= half_ns || found_ns > fine_ns_max) {
    return static_cast<double>(found_ns);
  }
  const auto below = static_cast<double>(spans_ns.count_up_to(found_ns - half_ns));
  const auto inside = static_cast<double>(spans_ns.count_up_to(found_ns + half_ns)) - below;
  const double rank = percent / 100 * static_cast<double>(spans_ns.count());
  const double part = std::clamp((rank - below) / inside, 0.0, 1.0);
  return static_cast<double>(found_ns) + (part - 0.5) * step_ns_;
}

}  // namespace loopline::perf
