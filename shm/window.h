// Window: how far producers may go, and who holds them back.
//
// limit = slowest gating cursor + capacity. Anyone who needs room moves it; it is one 16-byte pair
// that changes only by CAS from the exact value that was loaded BEFORE the cursors were. A ring
// that nobody gates keeps its newest frames: whoever needs room walks over the oldest committed
// ones. So does one that only its log gates, and no further than what is on disk: its readers copy,
// and lose nothing that they had time to read.
#pragma once

#include <optional>

#include "ring.h"

namespace loopline::shm {

enum class AdvanceOutcome {
  moved,    // limit is further than it was (by us or by others)
  gated,    // cursor slot `blocker` (or the gate, or the log) holds the window
  open,     // nobody gates, but the oldest frame in the way is uncommitted: producer slot `blocker`
  used_up,  // positions have reached position_max
  corrupt,  // a cursor or side word that makes no sense
};
constexpr uint32_t blocker_is_gate = ~0u;
constexpr uint32_t blocker_is_log = ~1u;  // `durable`: what stands there is not on disk yet

struct Advance {
  AdvanceOutcome outcome;
  uint32_t blocker = 0;
};

// Tries to move limit to at least `end`.
Advance advance(const Ring& ring, uint64_t end);

// A free cursor slot taken for `seat`, its cursor still gating nothing; nullopt: all are taken.
std::optional<uint32_t> take_cursor_slot(const Ring& ring, SeatId seat, CursorKind kind);

// Starts gating at the oldest boundary of the window and returns it. nullopt: joins came faster
// than the epoch can count between two advances (a million); try again.
std::optional<Pair> join(const Ring& ring, uint32_t slot);

// Stops gating and frees the slot; false when `seat` no longer holds it (it was reaped).
bool leave(const Ring& ring, uint32_t slot, SeatId seat);

// The cursor slot that gates furthest behind, the gate and the log aside.
std::optional<uint32_t> slowest_reader(const Ring& ring);

// How many cursors gate the ring now, the gate and the log included.
uint32_t gating_count(const Ring& ring);
// Whether it waits for its log: something in it is not on disk yet.
bool log_gates(const Ring& ring);

}  // namespace loopline::shm
