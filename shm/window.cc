// Window: advance, the lossy walk, join and leave.
#include "window.h"

#include <algorithm>

#include "bell.h"

namespace loopline::shm {

namespace {

struct Slowest {
  bool any = false;
  Pair cursor;
  uint32_t slot = 0;
  void consider(Pair candidate, uint32_t candidate_slot) {
    if (candidate.first == no_cursor.first) return;
    if (any && cursor.first <= candidate.first) return;
    any = true;
    cursor = candidate;
    slot = candidate_slot;
  }
};

void consider_readers(const Ring& ring, Slowest& slowest) {
  const uint32_t count = ring.cursors_in_use();
  for (uint32_t index = 0; index < count; ++index) {
    slowest.consider(
        ring.cursors[index].cursor.load(std::memory_order_acquire),  // acquire [cursor]
        index);
  }
}

Slowest slowest_cursor(const Ring& ring) {
  Slowest slowest;
  slowest.consider(ring.control->gate.pair.load(std::memory_order_acquire),  // acquire [cursor]
                   blocker_is_gate);
  slowest.consider(ring.control->durable.pair.load(std::memory_order_acquire),  // acquire [cursor]
                   blocker_is_log);
  consider_readers(ring, slowest);
  return slowest;
}

// Changes limit only from exactly what was loaded: a join, or another advance, makes it fail.
bool move_limit(const Ring& ring, Pair loaded, Pair to) {
  const LimitWord next{to.first + ring.capacity, to.second, 0};
  return ring.control->limit.pair.compare_exchange(
      loaded, next.pack(), std::memory_order_acq_rel,  // acq_rel [window]
      std::memory_order_relaxed);                      // relaxed: the caller looks again
}

// No reader gates: over the oldest committed frames, until `end` fits, and a sixteenth of the ring
// more so that the next claims need not walk; not past `bound`, a boundary. Every read is checked
// at once by the CAS from `loaded`: a window that moved under us makes it fail (R6).
Advance walk_oldest(const Ring& ring, Pair loaded, uint64_t end, uint64_t bound) {
  const auto limit = LimitWord::unpack(loaded);
  const Pair from{limit.position - ring.capacity, limit.sequence};
  const uint64_t wanted = std::min(end + ring.capacity / 16 - ring.capacity, limit.position);
  const uint64_t target = std::min(wanted, bound);
  Advance stop{AdvanceOutcome::moved};
  const MeantRace until_the_cas;
  Pair at = from;
  while (at.first < target) {
    const uint64_t side = ring.side(at.first).load(std::memory_order_acquire);  // acquire [claim]
    if (ring.side_lap(side) != ring.lap(at.first)) {
      // Newer: the window moved on. Older: the frontier, which can only be in the way of garbage.
      const bool newer = ring.side_lap(side) > ring.lap(at.first);
      const bool moved = newer && ring.limit_now() != limit.position;
      stop.outcome = moved ? AdvanceOutcome::moved : AdvanceOutcome::corrupt;
      break;
    }
    const uint64_t word = ring.word(at.first).load(std::memory_order_acquire);  // acquire [commit]
    if (!Ring::is_committed(side, word, at.first)) {
      // An owner without a slot is none of ours; not even a seal, which cannot be in the way.
      const uint32_t owner = Ring::side_owner(side);
      const bool has_slot = owner < ring.producer_slots;
      stop = {has_slot ? AdvanceOutcome::open : AdvanceOutcome::corrupt, owner};
      break;
    }
    at = {at.first + ring.side_bytes(side), at.second + 1};
  }
  if (at.first == from.first) return stop;
  if (at.first > bound) {  // no frame of ours goes over a boundary: garbage, or a newer lap's
    const bool moved = ring.limit_now() != limit.position;
    return {moved ? AdvanceOutcome::moved : AdvanceOutcome::corrupt};
  }
  move_limit(ring, loaded, at);  // failed: somebody else moved it, or joined; both are progress
  return {AdvanceOutcome::moved};
}

}  // namespace

Advance advance(const Ring& ring, uint64_t end) {
  // FIRST limit, then the cursors: with the order reversed a joiner can be missed.
  const Pair loaded = ring.control->limit.pair.load(std::memory_order_acquire);  // acquire [window]
  const auto limit = LimitWord::unpack(loaded);
  if (limit.position >= end) return {AdvanceOutcome::moved};
  if (end > position_max) return {AdvanceOutcome::used_up};
  if (limit.position < ring.capacity) return {AdvanceOutcome::corrupt};
  const Slowest slowest = slowest_cursor(ring);
  if (!slowest.any) return walk_oldest(ring, loaded, end, ~0ull);
  const uint64_t target = slowest.cursor.first + ring.capacity;
  if (slowest.cursor.first > limit.position || target % unit_size != 0) {
    // Either a cursor no reader of ours wrote, or limit moved on after we loaded it.
    const bool moved = ring.limit_now() != limit.position;
    return {moved ? AdvanceOutcome::moved : AdvanceOutcome::corrupt, slowest.slot};
  }
  if (target <= limit.position) return {AdvanceOutcome::gated, slowest.slot};
  if (slowest.slot == blocker_is_log) return walk_oldest(ring, loaded, end, slowest.cursor.first);
  move_limit(ring, loaded, slowest.cursor);  // failed: as above
  if (target >= end) return {AdvanceOutcome::moved};
  return {AdvanceOutcome::gated, slowest.slot};
}

std::optional<uint32_t> take_cursor_slot(const Ring& ring, SeatId seat, CursorKind kind) {
  for (uint32_t index = 0; index < ring.cursor_slots; ++index) {
    CursorSlot& slot = ring.cursors[index];
    uint64_t expected = nobody;
    if (!slot.owner.compare_exchange(expected, seat,
                                     std::memory_order_acq_rel,     // acq_rel [slot]
                                     std::memory_order_relaxed)) {  // relaxed: taken, next one
      continue;
    }
    // If we die here: the slot gates nothing; whoever sweeps frees it (repair.cc).
    slot.messages.store(0, std::memory_order_relaxed);                        // relaxed: for people
    slot.bytes.store(0, std::memory_order_relaxed);                           // relaxed: for people
    slot.lost.store(0, std::memory_order_relaxed);                            // relaxed: for people
    slot.waiting.store(0, std::memory_order_relaxed);                         // relaxed: for people
    slot.shown.store({}, std::memory_order_relaxed);                          // relaxed: for people
    slot.kind.store(static_cast<uint32_t>(kind), std::memory_order_relaxed);  // relaxed: for people
    uint32_t count =
        ring.control->cursor_count.load(std::memory_order_relaxed);  // relaxed: CAS below
    while (count < index + 1 && !ring.control->cursor_count.compare_exchange(
                                    count, index + 1, std::memory_order_acq_rel,  // acq_rel [join]
                                    std::memory_order_relaxed)) {  // relaxed: looked at again
    }
    return index;
  }
  return std::nullopt;
}

std::optional<Pair> join(const Ring& ring, uint32_t slot) {
  CursorSlot& mine = ring.cursors[slot];
  // If we die from here on: {0, 0} blocks the window until a blocked producer reaps us (repair.cc).
  mine.cursor.store({0, 0}, std::memory_order_release);                    // release [join]
  Pair loaded = ring.control->limit.pair.load(std::memory_order_acquire);  // acquire [window]
  for (;;) {
    auto limit = LimitWord::unpack(loaded);
    if (limit.epoch == LimitWord::epoch_max) {
      mine.cursor.store(no_cursor, std::memory_order_release);  // release [cursor]
      return std::nullopt;
    }
    const Pair oldest{limit.position - ring.capacity, limit.sequence};
    ++limit.epoch;
    if (!ring.control->limit.pair.compare_exchange(
            loaded, limit.pack(), std::memory_order_acq_rel,  // acq_rel [join]
            std::memory_order_acquire)) {                     // acquire [window]: try with this one
      continue;
    }
    mine.cursor.store(oldest, std::memory_order_release);  // release [cursor]
    return oldest;
  }
}

bool leave(const Ring& ring, uint32_t slot, SeatId seat) {
  CursorSlot& mine = ring.cursors[slot];
  uint64_t expected = seat;
  // The owner word first: a reaper that already took the slot frees it, and we keep away from it.
  if (!mine.owner.compare_exchange(expected, seat | repairing_bit,
                                   std::memory_order_acq_rel,     // acq_rel [slot]
                                   std::memory_order_relaxed)) {  // relaxed: not ours any more
    return false;
  }
  // If we die here: the seat is dead and marked; reaping goes on from exactly this point.
  mine.cursor.store(no_cursor, std::memory_order_release);  // release [cursor]
  mine.owner.store(nobody, std::memory_order_release);      // release [slot]
  ring_if_parked(ring.control->space_bell);
  return true;
}

std::optional<uint32_t> slowest_reader(const Ring& ring) {
  Slowest slowest;
  consider_readers(ring, slowest);
  if (!slowest.any) return std::nullopt;
  return slowest.slot;
}

bool log_gates(const Ring& ring) {
  return ring.control->durable.pair.load_first(std::memory_order_acquire) !=
         no_cursor.first;  // acquire [cursor]
}

uint32_t gating_count(const Ring& ring) {
  // Between the seal that the caller saw and the cursors: a joiner we miss here sees that seal.
  fence(std::memory_order_seq_cst);  // seq_cst [seal]
  uint32_t count = 0;
  const Pair gate = ring.control->gate.pair.load(std::memory_order_acquire);  // acquire [cursor]
  if (gate.first != no_cursor.first) ++count;
  if (log_gates(ring)) ++count;
  const uint32_t slots = ring.cursors_in_use();
  for (uint32_t index = 0; index < slots; ++index) {
    const Pair cursor =
        ring.cursors[index].cursor.load(std::memory_order_acquire);  // acquire [cursor]
    if (cursor.first != no_cursor.first) ++count;
  }
  return count;
}

}  // namespace loopline::shm
