// BellWatch: threads that sleep by the bells of many, so that one who rests costs nothing.
//
//   BellWatch watch(bell);                     rung when some of those that are watched were
//   watch.add(log, {bell, ticket});            the ticket drawn before its work was looked for
//   for (void* log : watch.take_rung()) ...    not watched any more
//
// The kernel lets one sleep by 128 bells: a thread for each 127 that are watched at once. A bell
// that is rung between the drawing of the ticket and the sleep is seen by its ticket, so that no
// wake-up is lost. Bells lie in foreign memory, which may be cut short: that counts as rung.
//
// Happens-before edges
//   [rung]  the list under the mutex, and the flag behind it -> who takes the list
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "sleep.h"

namespace loopline::io {

class BellWatch {
 public:
  // `teller` outlives us.
  explicit BellWatch(shm::BellLine& teller) : teller_(teller) {}
  BellWatch(const BellWatch&) = delete;
  BellWatch& operator=(const BellWatch&) = delete;
  ~BellWatch();

  // `who` is not watched yet.
  void add(void* who, BellTicket by);
  // From now on nobody looks at the bell of `who`, and it is not in the list either.
  void remove(void* who);
  // Whether the list holds anything: what is looked at before sleeping by the teller.
  bool has_rung() const { return has_rung_.load(std::memory_order_acquire); }  // acquire [rung]
  std::vector<void*> take_rung();
  size_t thread_count() const { return watchers_.size(); }

 private:
  struct Watched {
    void* who;
    BellTicket by;
  };
  struct Watcher {
    std::vector<Watched> bells;  // under the mutex, as all
    shm::BellLine changed{};     // rung when there are more of them, or it is over
    std::thread thread;
  };
  void work(Watcher& mine);
  bool note_rung(Watcher& mine);

  shm::BellLine& teller_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::vector<void*> rung_;
  std::atomic<bool> has_rung_{false};
  bool is_ending_ = false;
};

}  // namespace loopline::io
