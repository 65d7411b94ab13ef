// Ring: the places of a log ring in shared memory, by position.
//
// A position is an absolute byte offset that never wraps; off(P) = P mod capacity and
// lap(P) = P / capacity + 1. The frames form one chain from the start of the log to the frontier.
// Each unit has, besides its data, a side claim word that only producers and repairers touch:
//
//   63            13+L      13          12      11..2    1..0
//   +---------------+--------+-----------+-------+--------+-------+
//   | lap           | units-1 (L bits)   | mimic | owner  | state |     L = log2(capacity) - 9
//   +---------------+--------+-----------+-------+--------+-------+
//
// Invariants (RING.md has them whole; the files that keep them are named)
//   R1 chain       side[P] gets lap(P) only by the claim at P (claim.h)
//   R2 window      limit - capacity is a boundary; nothing unread is overwritten (window.cc)
//   R3 quiescence  bytes in [frontier, limit) have no writer (claim.h, window.cc)
//   R4 truth       what a consumer accepts was committed in this lap (reader.h)
//   R5 ownership   only the owner, or repair, writes an uncommitted frame (claim.h, repair.cc)
//   R6 stale       who walks without a gating cursor looks at limit after each read (reader.cc)
//   R7 one         repair acts under the ring lock, on what is dead now (repair.cc)
//   R8 pairs       every stored pair is a boundary with its true number (everywhere)
// Happens-before edges, used in all of these files
//   [commit]  word(P) released by the owner -> readers acquire it     header and payload are there
//   [claim]   side[P] CAS -> whoever reads the side word              the owner's window reads
//   [mimic]   side[P] COMMITTED after word(P) -> verifying readers    the word is the real one
//   [cursor]  cursor stored -> advance loads it                       the reads behind it are done
//   [window]  limit CAS -> claimers load it                           earlier users are done
//   [join]    cursor {0,0}, then limit's epoch -> advance             it sees the joiner, or fails
//   [stale]   fence before the payload -> fence after the copy        who saw it sees limit too
//   [seal]    seal state <-> cursors, a fence on both sides           one of the two is seen
#pragma once

#include "layout.h"

namespace loopline::shm {

enum SideState : uint64_t {
  side_none = 0,
  side_claimed = 1,
  side_committed = 2,
  side_state_mask = 3
};
constexpr uint64_t side_mimic = 1u << 12;

struct Ring {
  ControlBlock* control = nullptr;
  ProducerSlot* producers = nullptr;
  CursorSlot* cursors = nullptr;
  Atomic<uint64_t>* side_words = nullptr;
  std::byte* data = nullptr;  // mapped twice, back to back
  uint64_t capacity = 0;
  uint64_t mask = 0;  // keeps whole units: even a garbled position leads to an aligned place
  uint32_t capacity_log2 = 0;
  uint32_t units_max = 0;  // of one frame
  uint32_t producer_slots = 0;
  uint32_t cursor_slots = 0;
  const char* bell_files = nullptr;  // how their paths begin; null: a ring without a file

  static Ring over(ControlBlock* control, ProducerSlot* producers, CursorSlot* cursors,
                   Atomic<uint64_t>* side_words, std::byte* data, uint64_t capacity,
                   uint32_t producer_slots, uint32_t cursor_slots) {
    return {control,
            producers,
            cursors,
            side_words,
            data,
            capacity,
            capacity - unit_size,
            static_cast<uint32_t>(log2_exact(capacity)),
            static_cast<uint32_t>(capacity / 8 / unit_size),
            producer_slots,
            cursor_slots,
            nullptr};
  }

  std::byte* at(uint64_t position) const { return data + (position & mask); }
  FrameHeader& frame(uint64_t position) const {
    return *reinterpret_cast<FrameHeader*>(at(position));
  }
  Atomic<uint64_t>& word(uint64_t position) const { return frame(position).word; }
  Atomic<uint64_t>& side(uint64_t position) const {
    return side_words[(position & mask) / unit_size];
  }

  uint64_t lap(uint64_t position) const { return (position >> capacity_log2) + 1; }
  uint32_t lap_shift() const { return 13 + capacity_log2 - 9; }
  uint64_t side_lap(uint64_t side) const { return side >> lap_shift(); }
  uint64_t side_bytes(uint64_t side) const {
    const uint64_t units_less_one = (side >> 13) & ((1ull << (capacity_log2 - 9)) - 1);
    return (units_less_one + 1) * unit_size;
  }
  static uint32_t side_owner(uint64_t side) { return static_cast<uint32_t>(side >> 2) & 1023; }
  uint64_t make_side(uint64_t position, uint64_t bytes, uint32_t owner, bool mimic) const {
    return lap(position) << lap_shift() | (bytes / unit_size - 1) << 13 | (mimic ? side_mimic : 0) |
           static_cast<uint64_t>(owner) << 2 | side_claimed;
  }
  // R4 with the side word at hand, of this lap: committed in this lap.
  static bool is_committed(uint64_t side, uint64_t word, uint64_t position) {
    if ((side & side_mimic) != 0) return (side & side_state_mask) == side_committed;
    return carries_tag(word, position);
  }

  // Cursor slots that were ever used; the others need no look.
  uint32_t cursors_in_use() const {
    const uint32_t count = control->cursor_count.load(std::memory_order_acquire);  // acquire [join]
    return count < cursor_slots ? count : cursor_slots;
  }
  // The oldest boundary of the window, {position, sequence}, from one read of limit.
  Pair window_start() const {
    const auto limit =
        LimitWord::unpack(control->limit.pair.load(std::memory_order_acquire));  // acquire [window]
    return {limit.position - capacity, limit.sequence};
  }
  uint64_t limit_now() const {
    return limit_position(
        control->limit.pair.load_first(std::memory_order_acquire));  // acquire [window]
  }
  // R6: called after a read at `position` by one whom nothing holds the window for.
  bool still_inside(uint64_t position) const {
    fence(std::memory_order_acquire);  // acquire [stale]: pairs with the claimer's fence
    return limit_position(control->limit.pair.load_first(std::memory_order_relaxed)) <=
           position + capacity;  // relaxed: the fence orders it
  }
};

}  // namespace loopline::shm
