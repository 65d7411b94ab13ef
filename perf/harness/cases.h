// Cases: one case is one bench of one subject at one size, and knows how to run itself once.
//
// A peer adds its cases with add_case in "loops.h"; anything else that can be run in a fraction of
// a second and yields a distribution or a rate (attach, kill) may add its own.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "shm/base/histogram.h"
#include "shm/base/result.h"
#include "tsc_clock.h"

namespace loopline::perf {

// What a run is given.
struct Plan {
  const TscClock& clock;
  std::array<int, 2> cpus;
  uint64_t ring_bytes;
  uint64_t measure_ns;
};

// What it brings back: latencies or a rate.
struct Measurement {
  std::unique_ptr<Histogram> latency_ns;
  double rate_per_s = 0;
  uint64_t message_count = 0;
  // Share of the time in which the receiver used a processor; only where it sleeps.
  double cpu_share = -1;
  // Share of the time in which a role was ready to run and something else was running.
  double delayed_share = 0;
};

struct Case {
  std::string bench;    // rtt, one-way, one-way-exclusive, two-producers, wake, attach, kill
  std::string subject;  // loopline, or the peer's name
  std::string version;
  uint64_t size_bytes = 0;
  std::function<Result<Measurement>(const Plan&)> run;
  // False where microseconds of the kernel decide, not the distance of the processors: such a run
  // is kept whatever the link did meanwhile, and gets `time_factor` times as long.
  bool link_matters = true;
  uint32_t time_factor = 1;
};
using Cases = std::vector<Case>;

inline constexpr uint64_t message_sizes[] = {32, 256, 1024, 16384};

}  // namespace loopline::perf
