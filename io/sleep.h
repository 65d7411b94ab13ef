// Sleep: what the flusher sleeps by: the bells of its rings, and one for its own threads.
#pragma once

#include <cstdint>
#include <span>

#include "shm/bell.h"

namespace loopline::io {

// A bell, and its doorbell as it stood before its work was looked for.
struct BellTicket {
  shm::BellLine* bell = nullptr;
  uint32_t ticket = 0;
};

// The kernel's bound of one futex_waitv; whoever has more looks at the rest every millisecond.
constexpr size_t bells_max = 128;
constexpr uint64_t crowded_sleep_ns = 1'000'000;

// Until one of them is rung, or the deadline (monotonic).
void sleep_by(std::span<const BellTicket> bells, uint64_t deadline_ns);

}  // namespace loopline::io
