// Wait: spinning with manners, and sleeping on a bell and a life at once.
#include "wait.h"

#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/clock.h"

#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif

namespace loopline::shm {

namespace {

// Of one who cannot sleep by all its bells.
constexpr uint64_t crowded_timeout_ns = 1'000'000;

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

// Places to sleep by at once, as many as the kernel takes.
class Places {
 public:
  void add(const void* word, uint32_t value) {
    is_full_ = count_ == places_max;
    if (!is_full_) list_[count_++] = {value, reinterpret_cast<uint64_t>(word), FUTEX_32, 0};
  }
  size_t count() const { return count_; }
  bool is_full() const { return is_full_; }

  // False when this kernel has no futex_waitv.
  bool wait(uint64_t timeout_ns) {
    const uint64_t end = monotonic_ns() + timeout_ns;
    const timespec until{static_cast<time_t>(end / 1'000'000'000),
                         static_cast<long>(end % 1'000'000'000)};
    const long woken = ::syscall(SYS_futex_waitv, list_, count_, 0, &until, CLOCK_MONOTONIC);
    return woken >= 0 || errno != ENOSYS;
  }

 private:
  static constexpr size_t places_max = 128;  // FUTEX_WAITV_MAX
  futex_waitv list_[places_max];
  size_t count_ = 0;
  bool is_full_ = false;
};

// False when the thread that is watched died already.
bool watch_life(const Bedside& bedside, Places& places) {
  const SeatId watched = bedside.watched;
  uint32_t* life = watched == nobody ? nullptr : bedside.roster->futex_word(watched);
  if (life != nullptr) {
    auto& word = *reinterpret_cast<Atomic<uint32_t>*>(life);
    const uint32_t alive = announce_watch(word);
    if (alive == 0) return false;
    places.add(life, alive);
  } else if (watched != nobody) {
    return false;  // died meanwhile
  }
  return true;
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

void Waiter::sleep(std::span<const Bedside> bedsides) {
  rounds_ = 0;  // after a sleep we look around first
  uint64_t timeout_ns = timeout_ns_;
  const uint64_t end_ns = std::min(deadline_ns_, std::exchange(wake_by_ns_, wait_for_ever));
  if (end_ns != wait_for_ever) {
    const uint64_t now = monotonic_ns();
    if (now >= end_ns) return;
    timeout_ns = std::min(timeout_ns, end_ns - now);
  }
  timeout_ns_ = std::min(timeout_ns_ * 2, park_timeout_max_ns);
  Places places;
  for (const Bedside& bedside : bedsides) {  // the bells first: they matter more than the lives
    places.add(&bedside.bell->doorbell, bedside.ticket);
  }
  for (const Bedside& bedside : bedsides) {
    if (!watch_life(bedside, places)) return;
  }
  if (places.is_full()) timeout_ns = std::min(timeout_ns, crowded_timeout_ns);
  if (places.count() > 1 && places.wait(timeout_ns)) return;
  if (bedsides.size() > 1) timeout_ns = std::min(timeout_ns, crowded_timeout_ns);
  park(*bedsides.front().bell, bedsides.front().ticket, timeout_ns);
}

}  // namespace loopline::shm
