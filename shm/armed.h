// Armed: who sleeps in an event loop says so in its cursor slot, and the commit bell rings it too.
//
//   consumer  drain its bell file;  arm(ring, slot, mark, look);  nothing: its loop may sleep
//   waker     after its commit:  ring_readers_if_parked(ring)
//
// A futex wakes nobody who sleeps in epoll_wait, and one process cannot reach another's eventfd. So
// a consumer with an fd leaves a mark beside its parked bit, and whoever rings the commit bell
// writes a byte into the bell file (bell_file.h) of each slot that is marked. With nobody parked a
// commit costs what it did: the fence and the load of bell.h.
//
// Invariants
//   A1  the mark stands before the parked bit is set, so that who takes the bit sees the mark: the
//       bit's [park] edge orders it.
//   A2  a mark is taken away only after its byte was written, and only that very mark: one that was
//       set meanwhile has another count. So each is rung at least once, and at most once a waker.
//   A3  what was rung before arming is drained before arming.
// Each left out loses wake-ups (tests/model). A waker killed between its commit and the byte is
// covered by the timer of readiness.h.
#pragma once

#include "bell.h"
#include "ring.h"

namespace loopline::shm {

// CursorSlot::waiting: 0, 1 while parked in a futex, or a mark: [1:0] = 2, [31:2] a count.
constexpr uint32_t waiting_parked = 1;
constexpr bool is_armed(uint32_t waiting) { return (waiting & 3) == 2; }
constexpr uint32_t next_mark(uint32_t mark) { return ((mark >> 2) + 1) << 2 | 2; }

// Whether the caller may sleep: it is armed, and looked again after that and found no news.
template <class Look>
bool arm(const Ring& ring, uint32_t slot, uint32_t mark, Look&& has_news) {
  ring.cursors[slot].waiting.store(mark, std::memory_order_relaxed);  // relaxed: A1
  prepare_to_park(ring.control->data_bell, 1u << (slot & 31));
  return !has_news();
}

// Of one who rang the commit bell: `write(slot)` for each slot that is armed.
template <class Write>
void ring_armed(const Ring& ring, Write&& write) {
  const uint32_t count = ring.cursors_in_use();
  for (uint32_t slot = 0; slot < count; ++slot) {
    auto& waiting = ring.cursors[slot].waiting;
    uint32_t mark = waiting.load(std::memory_order_relaxed);  // relaxed: A1
    if (!is_armed(mark)) continue;
    write(slot);
    // If we die here: the next waker writes again, and its reader looks once in vain.
    waiting.compare_exchange(mark, 0, std::memory_order_relaxed,  // relaxed: A2, for wakers
                             std::memory_order_relaxed);          // relaxed: armed anew
  }
}

// The same of one who moved `durable`: for readers that sleep until more is on disk.
void ring_durable(const Ring& ring);
inline void ring_durable_if_parked(const Ring& ring) {
  if (somebody_parked(ring.control->durable_bell)) [[unlikely]]
    ring_durable(ring);
}

// Wakes all readers: those in futexes and those in event loops.
void ring_readers(const Ring& ring);
inline void ring_readers_if_parked(const Ring& ring) {
  if (somebody_parked(ring.control->data_bell)) [[unlikely]]
    ring_readers(ring);
}

}  // namespace loopline::shm
