// GroupTake: how a member is handed messages, new ones and those that come again.
//
//   Taker taker(group, member);
//   Lease leases[64];
//   size_t count = 0;
//   taker.take_again(leases, count, now_ns);      if pending says so
//   taker.take_new(leases, count);
//
// New messages cost one CAS each and a store a batch. A Taker is private to one thread at a time.
#pragma once

#include <span>

#include "group.h"

namespace loopline::shm {

enum class TakeStop {
  enough,      // as many as fit
  none,        // nothing more is committed, or to be handed out again
  table_full,  // the oldest message that is not acknowledged is `entries` messages behind
  sealed,      // the ring ends here; what is left are leases
  detached,    // the group has no floor: evicted, or removed
  corrupt,     // bytes that no writer of ours left
};

class Taker {
 public:
  Taker() = default;
  Taker(const Group& group, uint32_t member);

  // Appends leases of messages never handed out before.
  TakeStop take_new(std::span<Lease> leases, size_t& count);
  // Appends leases of messages to be handed out again, the oldest first; `now_ns` is monotonic.
  // With `dead`, instead, those that have no delivery left: for the dead-letter station.
  TakeStop take_again(std::span<Lease> leases, size_t& count, uint64_t now_ns, bool dead = false);
  bool has_pending(uint32_t flags = pending_retry) const {
    return (group_.control->pending.load(std::memory_order_relaxed) & flags) !=
           0;  // relaxed: a hint
  }

  // Where it would look for the next new message.
  Pair at() const { return reader_.at(); }
  // The same, or further if others took more.
  Pair next() const {
    const Pair hint =
        group_.control->hint.pair.load(std::memory_order_acquire);  // acquire [handed]
    return hint.second > reader_.at().second ? hint : reader_.at();
  }
  const Group& group() const { return group_; }

 private:
  enum class Step { on, handed, stop };
  Step step(Lease& lease, TakeStop& stop);
  Step walk_over(TakeStop& stop);
  Step back_to_floor(TakeStop& stop);
  bool has_entry(uint64_t sequence, TakeStop& stop);
  bool is_behind_floor(uint64_t position) const;
  bool look_again(uint64_t sequence, Pair mine, Lease& lease, TakeStop& stop) const;
  void start();

  Group group_;
  uint32_t member_ = 0;
  Reader reader_;
  Pair floor_seen_;  // as old as may be: it only grows
  uint64_t from_sequence_ = 0;
  bool passed_some_ = false;  // claimed as ACKED what is not to be handed out
};

}  // namespace loopline::shm
