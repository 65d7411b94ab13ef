// Wait: how long to spin, when to sleep, and whose death to wake up for.
//
// A futex wakes a sleeper in 33-60 us and costs the waker 14.5 us, so a waiter first spins for
// about that long. A sleeper whose next frame is held open waits on the owner's robust lock as well
// (futex_waitv): the kernel wakes it when the owner dies. What remains, a waker killed between its
// store and its wake, is bounded by a time-out that backs off from 10 ms to 1 s.
#pragma once

#include <cstdint>
#include <span>

#include "bell.h"
#include "roster.h"

namespace loopline::shm {

enum class WaitKind {
  spin,      // never sleeps: the lowest latency, a core for it
  adaptive,  // spins for about a futex round trip, then sleeps
  park,      // sleeps at once
};

constexpr uint64_t wait_for_ever = ~0ull;
// A deadline that the ring at hand decides: none where it says block, at once where reject.
constexpr uint64_t wait_as_station_says = ~0ull - 1;
constexpr uint64_t spin_budget_ns = 50'000;
constexpr uint64_t park_timeout_min_ns = 10'000'000;
constexpr uint64_t park_timeout_max_ns = 1'000'000'000;

// What a sleeper sleeps by: a bell whose ticket it drew before its second look, and the life of
// the thread that holds what it waits for (nobody: no such watch).
struct Bedside {
  BellLine* bell = nullptr;
  uint32_t ticket = 0;
  Roster* roster = nullptr;
  SeatId watched = nobody;
};

// One wait's progress from spinning to sleeping. `deadline_ns` is monotonic time.
class Waiter {
 public:
  Waiter(WaitKind kind, uint64_t deadline_ns) : kind_(kind), deadline_ns_(deadline_ns) {}

  // One round of spinning; false when it is time to sleep. Yields the core now and then, in case
  // the peer shares it.
  bool spin();
  // Every so many rounds, and before each sleep: the moment to look whether somebody died.
  bool time_to_look_around() const { return (rounds_ & 4095) == 0; }
  bool expired() const;
  // The next sleep ends by then, monotonic.
  void wake_by(uint64_t time_ns) { wake_by_ns_ = time_ns; }
  bool may_wait() const { return deadline_ns_ != 0; }

  // Sleeps until one of the bells changes from its ticket, a thread that is watched dies, or the
  // time-out; each time-out doubles the next. The kernel knows 128 places at once: a sleeper by
  // more looks at the others every millisecond.
  void sleep(std::span<const Bedside> bedsides);

 private:
  WaitKind kind_;
  uint64_t deadline_ns_;
  uint64_t spin_end_ns_ = 0;
  uint64_t timeout_ns_ = park_timeout_min_ns;
  uint64_t wake_by_ns_ = wait_for_ever;
  uint32_t rounds_ = 0;
};

}  // namespace loopline::shm
