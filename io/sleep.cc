// Sleep: futex_waitv over all bells at once.
#include "sleep.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>

#include "shm/base/clock.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace loopline::io {

void sleep_by(std::span<const BellTicket> bells, uint64_t deadline_ns) {
  const uint64_t now_ns = monotonic_ns();
  if (bells.empty() || deadline_ns <= now_ns) return;
  uint64_t until_ns = deadline_ns;
  if (bells.size() > bells_max) until_ns = std::min(until_ns, now_ns + crowded_sleep_ns);
  futex_waitv places[bells_max] = {};
  const size_t count = std::min(bells.size(), bells_max);
  for (size_t index = 0; index < count; ++index) {
    places[index] = {bells[index].ticket, reinterpret_cast<uint64_t>(&bells[index].bell->doorbell),
                     FUTEX_32, 0};
  }
  const timespec until{static_cast<time_t>(until_ns / 1'000'000'000),
                       static_cast<long>(until_ns % 1'000'000'000)};
  const long woken = ::syscall(SYS_futex_waitv, places, count, 0, &until, CLOCK_MONOTONIC);
  if (woken >= 0 || errno != ENOSYS) return;
  // Kernels before 5.16: by the first bell, and soon again.
  const uint64_t timeout_ns = std::min(until_ns - now_ns, crowded_sleep_ns);
  shm::park(*bells[0].bell, bells[0].ticket, timeout_ns);
}

}  // namespace loopline::io
