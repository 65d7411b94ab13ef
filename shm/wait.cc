// Wait: spinning with manners, and sleeping on a bell and a life at once.
#include "wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace loopline::shm {

namespace {

// Marks the owner's lock word so that the kernel wakes us at its death, and returns the value to
// sleep on; 0 when the owner is gone already.
uint32_t announce_watch(Atomic<uint32_t>& word) {
  uint32_t seen = word.load(std::memory_order_acquire);  // acquire [watch]: pairs with the kernel
  for (;;) {
    if ((seen & FUTEX_TID_MASK) == 0 || (seen & FUTEX_OWNER_DIED) != 0) return 0;
    if ((seen & FUTEX_WAITERS) != 0) return seen;
    if (word.compare_exchange(seen, seen | FUTEX_WAITERS,
                              std::memory_order_acq_rel,     // acq_rel [watch]
                              std::memory_order_acquire)) {  // acquire [watch]: look again
      return seen | FUTEX_WAITERS;
    }
  }
}

// False when this kernel has no futex_waitv.
bool wait_for_both(const void* bell, uint32_t ticket, const void* life, uint32_t alive,
                   uint64_t timeout_ns) {
  futex_waitv both[2] = {};
  both[0] = {ticket, reinterpret_cast<uint64_t>(bell), FUTEX_32, 0};
  both[1] = {alive, reinterpret_cast<uint64_t>(life), FUTEX_32, 0};
  const uint64_t end = monotonic_ns() + timeout_ns;
  const timespec until{static_cast<time_t>(end / 1'000'000'000),
                       static_cast<long>(end % 1'000'000'000)};
  const long woken = ::syscall(SYS_futex_waitv, both, 2, 0, &until, CLOCK_MONOTONIC);
  return woken >= 0 || errno != ENOSYS;
}

}  // namespace

bool Waiter::spin() {
  if (kind_ == WaitKind::park) return false;
  ++rounds_;
  spin_pause();
  if ((rounds_ & 63) != 0) return true;
  const uint64_t now = monotonic_ns();
  if (spin_end_ns_ == 0) spin_end_ns_ = now + spin_budget_ns;
  if (kind_ == WaitKind::adaptive && now >= spin_end_ns_) return false;
  if (rounds_ >= 512) ::sched_yield();  // some microseconds in: the peer may need this core
  return true;
}

bool Waiter::expired() const {
  return deadline_ns_ != wait_for_ever && monotonic_ns() >= deadline_ns_;
}

void Waiter::sleep(BellLine& bell, uint32_t ticket, Roster& roster, SeatId watched) {
  uint64_t timeout_ns = timeout_ns_;
  if (deadline_ns_ != wait_for_ever) {
    const uint64_t now = monotonic_ns();
    if (now >= deadline_ns_) return;
    timeout_ns = std::min(timeout_ns, deadline_ns_ - now);
  }
  rounds_ = 0;  // after a sleep we look around first
  timeout_ns_ = std::min(timeout_ns_ * 2, park_timeout_max_ns);
  uint32_t* life = watched == nobody ? nullptr : roster.futex_word(watched);
  if (life != nullptr) {
    auto& word = *reinterpret_cast<Atomic<uint32_t>*>(life);
    const uint32_t alive = announce_watch(word);
    if (alive == 0) return;
    if (wait_for_both(&bell.doorbell, ticket, life, alive, timeout_ns)) return;
  } else if (watched != nobody) {
    return;  // died meanwhile
  }
  park(bell, ticket, timeout_ns);
}

}  // namespace loopline::shm
