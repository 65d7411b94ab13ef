// Group: the places of a consumer group, and the rules by which each message has one lease.
//
// Members share a ring's messages: each is handed to one of them, and once acknowledged it never
// comes back. The group holds the ring with one cursor, its floor: everything before it is done.
// The table has an entry for each message from the floor on; message s has number s mod entries.
//
//   floor                     hint
//     v                        v
//   --+----+----+----+----+----+----+----    acked entries at the floor go with it
//     |take|acke|retr|take|    |             retry: handed out again, by the next taker who looks
//   --+----+----+----+----+----+----+----    free or of an older lap: not handed out yet
//
// Invariants
//   G1 once     an entry gets lap(s) only by the 16-byte CAS {word of an older lap, its position}
//               -> {lap(s), position}, of one who holds a true pair for s and saw s < floor +
//               entries. Laps only grow. Positions come with their word, never after it.
//   G2 token    the word of a TAKEN entry is the lease's token, another at each hand-out: each
//               counts an attempt. It ends by CAS on exactly that word (ack, nack, expiry, death):
//               one of them wins, and who comes late is told.
//   G3 floor    moves only by 16-byte CAS of the whole pair, over ACKED entries. Who moved it looks
//               again at the entry it came to, and who came late tries again: one of the two at
//               least, or an entry that was acknowledged meanwhile is left behind.
//   G4 payload  what was read under a lease counts if, after an acquire fence, the word is still
//               the token and the floor is a floor. Else it may have been overwritten.
//   G5 death    a dead member's slot is marked; anybody gives its leases back, without a lock, each
//               after a look that the slot is still marked for the same seat; then it is freed.
//   G6 lease    each sweeper keeps for itself when it first saw a word: unchanged for ack-wait is
//               expired. No clock in take or ack, no lock that one who is stopped could hold.
//   G7 hints    `hint` and `pending` are hints: a walk, and every sweep, find what they miss.
// Happens-before edges
//   [lease]    an entry's CAS -> whoever loads it: what was seen of the message, and what was done
//              with it. seq_cst with the floor: of an ack and a floor that moves, one sees the
//              other
//   [cursor]   the floor's CAS -> advance: all leases before it are done with their bytes
//   [handed]   hint stored -> takers: the frames before it were committed
//   [pending]  flag set after the entry -> who takes the flag finds the entry
//   [due]      a due time before the word it belongs to -> whoever loads both
//   [member]   a slot's owner CAS -> sweepers and the next owner
#pragma once

#include "evict.h"
#include "group_layout.h"
#include "reader.h"

namespace loopline::shm {

struct Group {
  GroupControl* control = nullptr;
  MemberSlot* members = nullptr;
  AtomicPair* entries = nullptr;  // {word, position}
  AtomicPair* dues = nullptr;     // {word that it is said of, monotonic time}
  AtomicPair* floor = nullptr;    // {position, sequence}: a cursor of the ring
  Ring ring;
  uint32_t entries_log2 = 0;
  uint32_t member_slots = 0;
  uint32_t deliveries_max = 0;

  uint64_t entry_count() const { return 1ull << entries_log2; }
  uint64_t lap(uint64_t sequence) const { return (sequence >> entries_log2) + 1; }
  uint64_t index(uint64_t sequence) const { return sequence & (entry_count() - 1); }
  AtomicPair& entry(uint64_t sequence) const { return entries[index(sequence)]; }
  // Of this lap, and in this state.
  bool is(uint64_t word, uint64_t sequence, LeaseState state) const {
    return lease_lap(word) == lap(sequence) && lease_state(word) == state;
  }
  // No delivery is left: it goes to the dead-letter station.
  bool is_dead(uint64_t word) const { return lease_attempts(word) >= deliveries_max; }
  uint32_t pending_of(uint64_t retry_word) const {
    return is_dead(retry_word) ? pending_dead : pending_retry;
  }
  uint32_t members_in_use() const {
    const uint32_t count =
        control->member_count.load(std::memory_order_acquire);  // acquire [member]
    return count < member_slots ? count : member_slots;
  }
};

// The floor was taken away: the group was evicted, or removed.
constexpr bool is_floor(uint64_t first) { return first != no_cursor.first; }

// A message that a member was handed and has not settled yet.
struct Lease {
  uint64_t token = 0;
  FrameView message;  // points into the ring; good for as long as the lease holds (G4)

  uint32_t attempts() const { return lease_attempts(token); }
};

}  // namespace loopline::shm
