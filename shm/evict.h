// Evict: detaching a reader that holds a full ring and does not read on (evict-after).
//
// On a ring with evict-after a gating cursor changes only by a 16-byte CAS from the pair it shows:
// its reader moves it on, or who waited for it long enough puts `evicted_cursor` there, which gates
// nothing. One of the two wins. The reader that loses learns of it at that release; the slot stays
// its own until it leaves or dies, so that nobody else's cursor is ever meant. What it read counts
// only if its cursor still stood afterwards, as with a lossy reader (R6): eviction comes before the
// window moves on, and the window before any byte is overwritten.
//
//   [cursor] evicting CAS -> advance loads it, moves limit -> claimer's fence before its payload
//   [stale]  reader's fence after its look at a frame: who saw such a payload sees the eviction too
//
// Only a reader that could go on is evicted: its next frame is committed. One that waits behind an
// open frame is a victim itself.
#pragma once

#include "ring.h"

namespace loopline::shm {

constexpr Pair evicted_cursor = {~0ull, 1};

// For the reader, whose cursor shows `held`: moves it to `at`; false: it was evicted.
bool move_cursor(CursorSlot& slot, Pair held, Pair at);
// For the reader, after it looked at frames: whether nothing of them was overwritten by then.
inline bool is_held(const CursorSlot& slot) {
  fence(std::memory_order_acquire);  // acquire [stale]: pairs with the claimer's fence
  return slot.cursor.load_first(std::memory_order_relaxed) !=
         evicted_cursor.first;  // relaxed: the fence orders it
}

// One producer's watch over whoever holds the ring against it.
class EvictionWatch {
 public:
  // To be called again and again while `slot` of that generation's ring is in the way; `now_ns` is
  // monotonic. True when the reader was detached: there may be room now.
  bool look(const Ring& ring, uint32_t generation, uint32_t slot, uint64_t evict_after_ns,
            uint64_t now_ns);
  // When to look again, monotonic.
  uint64_t due_ns() const { return due_ns_; }

 private:
  uint32_t generation_ = 0;  // 0: nobody is watched
  uint32_t slot_ = 0;
  SeatId seat_ = nobody;
  Pair at_;
  uint64_t since_ns_ = 0;
  uint64_t due_ns_ = 0;
};

}  // namespace loopline::shm
