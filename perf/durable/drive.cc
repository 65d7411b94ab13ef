// Drive: a closed loop. A message's time begins when it is submitted, and ends when wait() returns
// with a count that includes it: what the caller could know, not what the keeper claims.
#include "drive.h"

#include <algorithm>
#include <cstring>
#include <ctime>
#include <vector>

#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

uint64_t cpu_ns(pid_t process) {
  clockid_t clock;
  if (process == 0 || ::clock_getcpuclockid(process, &clock) != 0) return 0;
  return clock_ns(clock);
}

uint64_t cpu_ns(const Keeper& keeper) {
  return clock_ns(CLOCK_PROCESS_CPUTIME_ID) + cpu_ns(keeper.server());
}

class Driver {
 public:
  Driver(Keeper& keeper, const Load& load)
      : keeper_(keeper), load_(load), message_(load.message_bytes), begun_ns_(load.in_flight) {
    // Bytes that no subject could make smaller.
    uint64_t word = 0x9e3779b97f4a7c15;
    for (std::byte& byte : message_) {
      word ^= word << 13;
      word ^= word >> 7;
      word ^= word << 17;
      byte = static_cast<std::byte>(word);
    }
  }

  // Submits until `end_ns`, and counts what is acknowledged meanwhile.
  Status run(uint64_t end_ns, Histogram& latency_ns) {
    while (monotonic_ns() < end_ns) {
      while (submitted_ - acknowledged_ < load_.in_flight) LL_TRY_STATUS(submit());
      LL_TRY_STATUS(take(latency_ns));
    }
    return ok();
  }

  // Until nothing is in flight.
  Status drain(Histogram& latency_ns) {
    while (acknowledged_ < submitted_) LL_TRY_STATUS(take(latency_ns));
    return ok();
  }

  uint64_t acknowledged() const { return acknowledged_; }

 private:
  Status submit() {
    std::memcpy(message_.data(), &submitted_, std::min(sizeof submitted_, message_.size()));
    begun_ns_[submitted_ % load_.in_flight] = monotonic_ns();
    ++submitted_;
    return keeper_.submit(message_);
  }

  Status take(Histogram& latency_ns) {
    LL_TRY(count, keeper_.wait(acknowledged_));
    const uint64_t now_ns = monotonic_ns();
    if (count <= acknowledged_ || count > submitted_) {
      return Fault(FaultCode::corrupted, "acknowledged " + std::to_string(count) + " of " +
                                             std::to_string(submitted_) + " messages, when " +
                                             std::to_string(acknowledged_) + " were known to be");
    }
    for (; acknowledged_ < count; ++acknowledged_) {
      latency_ns.record(now_ns - begun_ns_[acknowledged_ % load_.in_flight]);
    }
    return ok();
  }

  Keeper& keeper_;
  Load load_;
  std::vector<std::byte> message_;
  std::vector<uint64_t> begun_ns_;  // of those in flight, by number
  uint64_t submitted_ = 0;
  uint64_t acknowledged_ = 0;
};

}  // namespace

Result<Figures> drive(Keeper& keeper, const Load& load, const Span& span) {
  Driver driver(keeper, load);
  Figures figures;
  figures.latency_ns = std::make_unique<Histogram>();
  LL_TRY_STATUS(driver.run(monotonic_ns() + span.warm_up_ns, *figures.latency_ns));
  figures.latency_ns->clear();
  const uint64_t before = driver.acknowledged();
  const uint64_t cpu_begin_ns = cpu_ns(keeper);
  const uint64_t begin_ns = monotonic_ns();
  LL_TRY_STATUS(driver.run(begin_ns + span.measure_ns, *figures.latency_ns));
  const auto wall_ns = static_cast<double>(monotonic_ns() - begin_ns);
  figures.cores = static_cast<double>(cpu_ns(keeper) - cpu_begin_ns) / wall_ns;
  figures.message_count = driver.acknowledged() - before;
  figures.rate_per_s = static_cast<double>(figures.message_count) * 1e9 / wall_ns;
  figures.bytes_per_s = figures.rate_per_s * static_cast<double>(load.message_bytes);
  LL_TRY_STATUS(driver.drain(*figures.latency_ns));
  figures.version = keeper.version();
  LL_TRY(settings, keeper.settings());
  figures.settings = std::move(settings);
  return figures;
}

}  // namespace loopline::perf
