// GroupSettle: what a member says about a message it was handed, and how the floor follows.
//
// A lease ends by one CAS on its token: who comes late is told, and nothing has changed (G2). The
// floor moves over what is acknowledged; an ack moves it when it stands at the floor itself, and
// whoever finds the table full, or sweeps, moves it for those who died before they could (G3).
#pragma once

#include "group.h"

namespace loopline::shm {

enum class Settled {
  done,
  late,      // the lease was not ours any more: expired, or the group went elsewhere
  detached,  // the group has no floor: what was read may have been overwritten
};

// Whether the lease still holds, so that what was read of its message counts (G4).
inline bool holds(const Group& group, const Lease& lease) {
  fence(std::memory_order_acquire);  // acquire [stale]: pairs with the claimer's fence
  const uint64_t word = group.entry(lease.message.sequence)
                            .load_first(std::memory_order_relaxed);  // relaxed: the fence orders it
  const uint64_t floor =
      group.floor->load_first(std::memory_order_relaxed);  // relaxed: the fence orders it
  return word == lease.token && is_floor(floor);
}

// Acknowledges without a look at the floor, for batches: help_floor() comes after the last.
Settled settle(const Group& group, const Lease& lease, LeaseState state);
// It is done, and never comes back.
Settled ack(const Group& group, const Lease& lease);
// It comes back, to any member: at once, or not before `not_before_ns`, monotonic.
Settled nack(const Group& group, const Lease& lease, uint64_t not_before_ns = 0);
// It does not expire before `until_ns`, monotonic, and then only if ack-wait is over too. May be
// repeated, also with an earlier time.
Settled extend(const Group& group, const Lease& lease, uint64_t until_ns);

// If the message at the floor is done, moves the floor as far as may be.
void help_floor(const Group& group);

// What a due time says about exactly this word; 0: nothing.
uint64_t due_of(const Group& group, uint64_t sequence, uint64_t word);
// The time before which a nack of this lease without one comes back, by the group's backoff.
uint64_t backoff_of(const GroupHeader& header, uint32_t attempts);

}  // namespace loopline::shm
