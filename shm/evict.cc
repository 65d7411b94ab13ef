// Evict: the CAS on both sides, and the clock that is read before it.
#include "evict.h"

#include "bell.h"

namespace loopline::shm {
namespace {

// Whether the reader at `at` has a frame to read.
bool has_work(const Ring& ring, Pair at) {
  const MeantRace if_it_was_evicted;
  const uint64_t side = ring.side(at.first).load(std::memory_order_acquire);  // acquire [claim]
  if (ring.side_lap(side) != ring.lap(at.first)) return false;
  const uint64_t word = ring.word(at.first).load(std::memory_order_acquire);  // acquire [commit]
  return Ring::is_committed(side, word, at.first);
}

// False: it moved, left, or was evicted by another. Should its place have gone to a new reader at
// the very same pair since the caller looked, that one is meant and told: rarer than its remedy is
// worth.
bool evict(const Ring& ring, uint32_t slot, Pair seen) {
  if (!ring.cursors[slot].cursor.compare_exchange(
          seen, evicted_cursor, std::memory_order_acq_rel,  // acq_rel [cursor]
          std::memory_order_relaxed)) {                     // relaxed: looked at again
    return false;
  }
  // If we die here: the cursor gates nothing, and others who wait look again by themselves.
  ring.control->evicted.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
  ring_if_parked(ring.control->space_bell);
  return true;
}

}  // namespace

bool move_cursor(CursorSlot& slot, Pair held, Pair at) {
  return slot.cursor.compare_exchange(held, at, std::memory_order_acq_rel,  // acq_rel [cursor]
                                      std::memory_order_relaxed);  // relaxed: only said to its user
}

bool EvictionWatch::look(const Ring& ring, uint32_t generation, uint32_t slot,
                         uint64_t evict_after_ns, uint64_t now_ns) {
  if (slot >= ring.cursor_slots) return false;
  const CursorSlot& theirs = ring.cursors[slot];
  const SeatId seat = theirs.owner.load(std::memory_order_acquire);  // acquire [slot]
  const Pair at = theirs.cursor.load(std::memory_order_acquire);     // acquire [cursor]
  const bool is_same = generation_ == generation && slot_ == slot && seat_ == seat && at_ == at;
  if (!is_same || !has_work(ring, at)) {
    generation_ = generation;
    slot_ = slot;
    seat_ = seat;
    at_ = at;
    since_ns_ = now_ns;
  }
  due_ns_ = since_ns_ + evict_after_ns;
  if (now_ns < due_ns_) return false;
  generation_ = 0;
  return evict(ring, slot, at);
}

}  // namespace loopline::shm
