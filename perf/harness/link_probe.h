// LinkProbe: how far apart two processors are right now, in ns for a cache line there and back.
//
// On virtual machines the distance changes from second to second, as the host moves the virtual
// processors: 80-150 ns within a core complex, 350-500 ns across, on the machine this was written
// on. A figure without its distance means nothing: each measurement stands between two probes.
#pragma once

#include <array>

#include "shm/base/result.h"
#include "tsc_clock.h"

namespace loopline::perf {

// `any` is the regime of benches whose figures the link does not decide: a wake-up, an attach.
enum class Regime { near, far, any, mixed };
const char* name_of(Regime regime);

// Up to this link round trip the processors are near, from the other on they are far.
inline constexpr double near_ns_max = 200;
inline constexpr double far_ns_min = 350;
// Two probes that differ by more than this share saw two machines.
inline constexpr double disagreement_max = 0.25;

// `rtt_ns` of one probe, or of the probes before and after a run.
Regime regime_of(double rtt_ns);
Regime regime_of(double before_ns, double after_ns);

// The median round trip of one line between processes on `cpus` over `window_ns`.
Result<double> probe_link(const TscClock& clock, std::array<int, 2> cpus,
                          uint64_t window_ns = 10'000'000);

}  // namespace loopline::perf
