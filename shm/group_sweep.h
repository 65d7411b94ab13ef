// GroupSweep: gives back what the dead and the hanging hold, and sets what hints were lost.
//
// Anybody may sweep at any time, without a lock; a sweeper that stands still for hours and goes on
// does no harm, since each entry changes only from the very word that was judged. Members sweep
// when they are idle and now and then.
#pragma once

#include <vector>

#include "group.h"

namespace loopline::shm {

// For one who found `seat` in member slot `slot` dead, and marked it so in the roster: its leases
// come back, and the slot is free. Returns how many; 0 also when others did it, or it was rebound.
uint32_t give_back(const Group& group, uint32_t slot, SeatId seat);

struct GroupLook {
  uint32_t given_back = 0;  // leases that expired
  uint32_t retries = 0;     // entries that wait to be handed out again, due or not
  uint32_t leases = 0;      // that hold
  uint64_t due_ns = ~0ull;  // when there may be something again, monotonic
};

// One sweeper's memory of when it first saw each lease (G6).
class LeaseWatch {
 public:
  LeaseWatch(const Group& group, uint64_t ack_wait_ns)
      : group_(group), ack_wait_ns_(ack_wait_ns), seen_(group.entry_count()) {}

  // To be called again and again; `now_ns` is monotonic. Leases unchanged for ack-wait are given
  // back, `pending` and the floor are set right.
  GroupLook look(uint64_t now_ns);

 private:
  struct Seen {
    uint64_t word = 0;
    uint64_t since_ns = 0;
  };
  uint64_t end_of(uint64_t sequence, uint64_t word, uint64_t now_ns);

  Group group_;
  uint64_t ack_wait_ns_;
  std::vector<Seen> seen_;
};

}  // namespace loopline::shm
