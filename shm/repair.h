// Repair: what the dead left half-made is finished by whoever it blocks.
//
// A producer that died inside a claim leaves an open frame: it is completed as a filler that
// carries its sequence. A consumer that died leaves a cursor that holds the window: it is released.
// Both happen under the ring's robust lock, on a slot that is read again there and whose thread is
// dead now (R7), and are idempotent: a repairer that dies half-way is followed by the next one.
#pragma once

#include "mapping.h"
#include "ring.h"
#include "roster.h"

namespace loopline::shm {

// The walk itself, for the holder of the ring lock: completes every open frame of `owner`, which is
// dead; returns how many. The data must be mapped read-write.
uint64_t repair_owner(const Ring& ring, uint32_t owner);

enum class Cleaned {
  nothing,  // alive, or already clean
  done,
  busy,     // the ring lock is held by somebody alive (perhaps stopped): try again
  may_not,  // this process may only read the ring: others will repair it
  broken,   // the lock's bytes are garbage
};

// What a look at all slots of a ring came to.
struct Swept {
  uint32_t producers = 0, cursors = 0;  // of the dead, freed
  uint32_t left = 0;                    // of the dead, and still there
  Cleaned why_left = Cleaned::nothing;  // busy, may_not or broken
};

// One ring's caretaker, as seen from one attached process.
class Janitor {
 public:
  Janitor(Mapping& mapping, const Ring& ring, Roster& roster)
      : mapping_(mapping), ring_(ring), roster_(roster) {}

  // If the thread behind producer slot `slot` is dead: completes its frames and frees the slot.
  Cleaned clean_producer(uint32_t slot);
  // If the thread behind cursor slot `slot` is dead: releases its cursor and frees the slot.
  Cleaned clean_cursor(uint32_t slot);
  // Everything dead on this ring: at attach, and by tools. False when some of it stays, because
  // somebody alive holds the ring lock.
  bool sweep();
  // The same for whoever must not be held up, as one who looks after many rings: nobody dead, and
  // nothing is written; else one try at the lock, which a holder who lives keeps.
  Swept sweep_now();

  // The seat that keeps the frame at `position` open, nobody when it is committed, unclaimed, or
  // not in the window any more.
  SeatId owner_of_open(uint64_t position, uint32_t& slot) const;

 private:
  bool looks_dead(SeatId seat) const {
    return seat != nobody && !roster_.alive(seat & ~repairing_bit);
  }
  Cleaned clean_producer_locked(uint32_t slot);
  Cleaned clean_cursor_locked(uint32_t slot);
  Swept count_dead() const;
  template <class Work>
  Cleaned under_lock(Work&& work);

  Mapping& mapping_;
  const Ring& ring_;
  Roster& roster_;
};

}  // namespace loopline::shm
