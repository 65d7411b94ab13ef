// Repair: the walk, and who may do it.
#include "repair.h"

#include "armed.h"
#include "bell_file.h"
#include "claim.h"
#include "group_layout.h"
#include "lock.h"

namespace loopline::shm {

namespace {

// How long a repairer waits for another one before it looks at the world again.
constexpr uint64_t lock_wait_ns = 2'000'000;

}  // namespace

uint64_t repair_owner(const Ring& ring, uint32_t owner) {
  const MeantRace until_still_inside;
  uint64_t completed = 0;
  const uint64_t steps_max = 64 * (ring.capacity / unit_size);  // restarts included
  Pair at = ring.window_start();
  for (uint64_t step = 0; step < steps_max; ++step) {
    const uint64_t side = ring.side(at.first).load(std::memory_order_acquire);  // acquire [claim]
    const uint64_t lap = ring.side_lap(side);
    if (lap < ring.lap(at.first)) break;  // the frontier
    if (lap > ring.lap(at.first)) {       // the window moved past us
      const Pair oldest = ring.window_start();
      if (oldest.first <= at.first) break;  // it did not: these words make no chain
      at = oldest;
      continue;
    }
    const uint64_t bytes = ring.side_bytes(side);
    if (Ring::side_owner(side) == owner && (side & side_state_mask) == side_claimed) {
      const uint64_t word =
          ring.word(at.first).load(std::memory_order_acquire);  // acquire [commit]
      const bool open = !Ring::is_committed(side, word, at.first);
      if (!ring.still_inside(
              at.first)) {  // R6: without it, committed frames were lost in 2 of 10 runs
        at = ring.window_start();
        continue;
      }
      if (open) {
        // First, so that whoever finds the frame complete knows that it was not committed.
        uint64_t recorded = at.first;
        ring.control->recorded.compare_exchange(
            recorded, 0,
            std::memory_order_acq_rel,   // acq_rel [recorded]
            std::memory_order_relaxed);  // relaxed: not that one
        const Claim claim{at.first, at.second, bytes, (side & side_mimic) != 0};
        const auto body = static_cast<uint32_t>(bytes - frame_header_size);
        Claimer::complete_frame(ring, claim, pack_meta(body, FrameType::dead, 0), 0, word_filler);
        ++completed;
      }
    }
    at = {at.first + bytes, at.second + 1};
  }
  return completed;
}

template <class Work>
Cleaned Janitor::under_lock(Work&& work) {
  if (mapping_.access() == Access::look) return Cleaned::may_not;
  LockGuard guard(ring_.control->lock.mutex, lock_for(ring_.control->lock.mutex, lock_wait_ns));
  if (guard.outcome() == LockOutcome::broken) return Cleaned::broken;
  if (!guard) return Cleaned::busy;
  // Whatever a dead holder left is a slot still marked as being repaired: `work` and every later
  // sweep go on with it. Nothing else needs undoing.
  return work();
}

Cleaned Janitor::clean_producer_locked(uint32_t slot) {
  ProducerSlot& theirs = ring_.producers[slot];
  uint64_t seat = theirs.owner.load(std::memory_order_acquire);  // acquire [slot]
  if (!looks_dead(seat)) return Cleaned::nothing;
  roster_.mark_dead(seat & ~repairing_bit);
  if ((seat & repairing_bit) == 0 &&
      !theirs.owner.compare_exchange(seat, seat | repairing_bit,
                                     std::memory_order_acq_rel,     // acq_rel [slot]
                                     std::memory_order_relaxed)) {  // relaxed: it was rebound
    return Cleaned::nothing;
  }
  if (mapping_.access() == Access::consume && !mapping_.allow_writes(true)) return Cleaned::may_not;
  // If we die here: the slot stays marked, the lock is inherited, the walk is done again.
  const uint64_t completed = repair_owner(ring_, slot);
  if (mapping_.access() == Access::consume) (void)mapping_.allow_writes(false);
  ring_.control->fillers.fetch_add(completed, std::memory_order_relaxed);  // relaxed: for people
  ring_.control->repairs.fetch_add(1, std::memory_order_relaxed);          // relaxed: for people
  theirs.owner.store(nobody, std::memory_order_release);                   // release [slot]
  ring_readers_if_parked(ring_);
  ring_if_parked(ring_.control->space_bell);
  return Cleaned::done;
}

// A group's floor belongs to no thread: it stays until the group is removed.
Cleaned Janitor::clean_cursor_locked(uint32_t slot) {
  CursorSlot& theirs = ring_.cursors[slot];
  uint64_t seat = theirs.owner.load(std::memory_order_acquire);  // acquire [slot]
  if (is_group_seat(seat) || !looks_dead(seat)) return Cleaned::nothing;
  roster_.mark_dead(seat & ~repairing_bit);
  if ((seat & repairing_bit) == 0 &&
      !theirs.owner.compare_exchange(seat, seat | repairing_bit,
                                     std::memory_order_acq_rel,     // acq_rel [slot]
                                     std::memory_order_relaxed)) {  // relaxed: it was rebound
    return Cleaned::nothing;
  }
  // If we die here: as above, the next one goes on.
  remove_bell_file(ring_, slot);
  theirs.cursor.store(no_cursor, std::memory_order_release);      // release [cursor]
  ring_.control->reaped.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
  theirs.owner.store(nobody, std::memory_order_release);          // release [slot]
  ring_if_parked(ring_.control->space_bell);
  return Cleaned::done;
}

Cleaned Janitor::clean_producer(uint32_t slot) {
  if (slot >= ring_.producer_slots) return Cleaned::nothing;
  const uint64_t seat =
      ring_.producers[slot].owner.load(std::memory_order_acquire);  // acquire [slot]
  if (!looks_dead(seat)) return Cleaned::nothing;
  return under_lock([&] { return clean_producer_locked(slot); });
}

Cleaned Janitor::clean_cursor(uint32_t slot) {
  if (slot >= ring_.cursor_slots) return Cleaned::nothing;
  const uint64_t seat =
      ring_.cursors[slot].owner.load(std::memory_order_acquire);  // acquire [slot]
  if (is_group_seat(seat) || !looks_dead(seat)) return Cleaned::nothing;
  return under_lock([&] { return clean_cursor_locked(slot); });
}

bool Janitor::sweep() {
  bool swept = true;
  for (uint32_t slot = 0; slot < ring_.producer_slots; ++slot) {
    swept = clean_producer(slot) != Cleaned::busy && swept;
  }
  for (uint32_t slot = 0; slot < ring_.cursor_slots; ++slot) {
    swept = clean_cursor(slot) != Cleaned::busy && swept;
  }
  return swept;
}

// Of producers and cursors, by a look alone.
Swept Janitor::count_dead() const {
  Swept dead;
  for (uint32_t slot = 0; slot < ring_.producer_slots; ++slot) {
    const uint64_t seat =
        ring_.producers[slot].owner.load(std::memory_order_acquire);  // acquire [slot]
    if (looks_dead(seat)) ++dead.producers;
  }
  for (uint32_t slot = 0; slot < ring_.cursor_slots; ++slot) {
    const uint64_t seat =
        ring_.cursors[slot].owner.load(std::memory_order_acquire);  // acquire [slot]
    if (!is_group_seat(seat) && looks_dead(seat)) ++dead.cursors;
  }
  dead.left = dead.producers + dead.cursors;
  return dead;
}

Swept Janitor::sweep_now() {
  const Swept seen = count_dead();
  Swept swept{0, 0, seen.left, Cleaned::nothing};
  if (seen.left == 0) return swept;
  swept.why_left = Cleaned::may_not;
  if (mapping_.access() == Access::look) return swept;
  const LockGuard guard(ring_.control->lock.mutex, try_lock(ring_.control->lock.mutex));
  swept.why_left = guard.outcome() == LockOutcome::broken ? Cleaned::broken : Cleaned::busy;
  if (!guard) return swept;
  swept = {};
  // Each slot is read again under the lock (R7). If we die between two: the next sweep goes on.
  const auto note = [&swept](Cleaned cleaned, uint32_t& count) {
    if (cleaned == Cleaned::done) ++count;
    if (cleaned == Cleaned::done || cleaned == Cleaned::nothing) return;
    ++swept.left;
    swept.why_left = cleaned;
  };
  for (uint32_t slot = 0; seen.producers != 0 && slot < ring_.producer_slots; ++slot) {
    note(clean_producer_locked(slot), swept.producers);
  }
  for (uint32_t slot = 0; seen.cursors != 0 && slot < ring_.cursor_slots; ++slot) {
    note(clean_cursor_locked(slot), swept.cursors);
  }
  return swept;
}

SeatId Janitor::owner_of_open(uint64_t position, uint32_t& slot) const {
  const uint64_t side = ring_.side(position).load(std::memory_order_acquire);  // acquire [claim]
  if (ring_.side_lap(side) != ring_.lap(position)) return nobody;
  if ((side & side_state_mask) == side_committed) return nobody;
  slot = Ring::side_owner(side);
  if (slot >= ring_.producer_slots) return nobody;  // a seal in the making: seal.cc
  return ring_.producers[slot].owner.load(std::memory_order_acquire);  // acquire [slot]
}

}  // namespace loopline::shm
