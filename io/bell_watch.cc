// BellWatch: the threads, and the lists between them and whoever asks.
#include "bell_watch.h"

#include <algorithm>
#include <utility>

#include "shm/base/clock.h"
#include "shm/bus_guard.h"

namespace loopline::io {
namespace {

constexpr size_t watched_max = bells_max - 1;  // one is the watcher's own
constexpr uint64_t watched_sleep_max_ns = 60'000'000'000;

// Whether it was rung since its ticket was drawn, or is gone.
bool was_rung(const BellTicket& by) {
  const shm::BusGuard guard;
  const uint32_t now =
      by.bell->doorbell.load(std::memory_order_relaxed);  // relaxed: what it is about is read later
  return now != by.ticket || guard.was_hit();
}

}  // namespace

BellWatch::~BellWatch() {
  {
    const std::lock_guard guard(mutex_);
    is_ending_ = true;
  }
  for (const auto& watcher : watchers_) {
    shm::ring(watcher->changed);
    watcher->thread.join();
  }
}

void BellWatch::add(void* who, BellTicket by) {
  Watcher* watcher = nullptr;
  {
    const std::lock_guard guard(mutex_);
    const auto free = std::find_if(watchers_.begin(), watchers_.end(), [](const auto& candidate) {
      return candidate->bells.size() < watched_max;
    });
    const bool is_full = free == watchers_.end();
    if (is_full) watchers_.push_back(std::make_unique<Watcher>());
    watcher = is_full ? watchers_.back().get() : free->get();
    watcher->bells.push_back({who, by});
    if (is_full) watcher->thread = std::thread([this, watcher] { work(*watcher); });
  }
  shm::ring_if_parked(watcher->changed);
}

void BellWatch::remove(void* who) {
  const std::lock_guard guard(mutex_);
  for (const auto& watcher : watchers_) {
    std::erase_if(watcher->bells, [who](const Watched& watched) { return watched.who == who; });
  }
  std::erase(rung_, who);
}

std::vector<void*> BellWatch::take_rung() {
  if (!has_rung()) return {};
  const std::lock_guard guard(mutex_);
  has_rung_.store(false, std::memory_order_relaxed);  // relaxed: under the lock
  return std::exchange(rung_, {});
}

// Moves those that were rung to the list.
bool BellWatch::note_rung(Watcher& mine) {
  const auto kept = std::partition(mine.bells.begin(), mine.bells.end(),
                                   [](const Watched& watched) { return !was_rung(watched.by); });
  if (kept == mine.bells.end()) return false;
  for (auto rung = kept; rung != mine.bells.end(); ++rung) rung_.push_back(rung->who);
  mine.bells.erase(kept, mine.bells.end());
  has_rung_.store(true, std::memory_order_release);  // release [rung]
  return true;
}

void BellWatch::work(Watcher& mine) {
  std::vector<BellTicket> bells;
  for (;;) {
    bool is_any = false;
    {
      const std::lock_guard guard(mutex_);
      if (is_ending_) return;
      bells.assign(1, {&mine.changed, shm::prepare_to_park(mine.changed, 1)});
      is_any = note_rung(mine);
      for (const Watched& watched : mine.bells) bells.push_back(watched.by);
    }
    if (is_any) shm::ring_if_parked(teller_);
    // Whoever was removed meanwhile may have unmapped its bell: the kernel then refuses, and we
    // look again.
    sleep_by(bells, monotonic_ns() + watched_sleep_max_ns);
  }
}

}  // namespace loopline::io
