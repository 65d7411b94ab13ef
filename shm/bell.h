// Bell: wakes those who sleep, and costs a fence when nobody does.
//
//   sleeper   ticket = prepare_to_park(bell, bit);  look again;  nothing: park(bell, ticket, ...)
//   waker     after ALL stores that the sleeper looks at:  ring_if_parked(bell)
//
// Who sleeps in an event loop instead of a futex: armed.h.
//
// Happens-before edges
//   [park]  seq_cst fences on both sides: either the waker sees the parked bit, or the sleeper's
//           second look sees the waker's stores. Each half without its fence loses wake-ups
//           (tests/model).
// Also seen to lose them: a doorbell read after the look; waking one instead of all; clearing the
// bits after the wake. A waker killed between its store and its wake is covered by the sleeper's
// time-out.
#pragma once

#include "base/futex.h"
#include "layout.h"

namespace loopline::shm {

inline void ring(BellLine& bell) {
  bell.parked.exchange(0, std::memory_order_acq_rel);     // acq_rel [park]: before the doorbell
  bell.doorbell.fetch_add(1, std::memory_order_acq_rel);  // acq_rel [park]: what they wait on
  futex_wake_all(bell.doorbell);
}

// What a waker asks after its stores.
inline bool somebody_parked(const BellLine& bell) {
  fence(std::memory_order_seq_cst);                         // seq_cst [park]
  return bell.parked.load(std::memory_order_relaxed) != 0;  // relaxed: the fence orders
}

inline void ring_if_parked(BellLine& bell) {
  if (somebody_parked(bell)) [[unlikely]]
    shm::ring(bell);
}

// The doorbell's value BEFORE the caller looks again; then its parked bit; then the fence.
inline uint32_t prepare_to_park(BellLine& bell, uint32_t bit) {
  const uint32_t ticket = bell.doorbell.load(std::memory_order_acquire);  // acquire [park]
  bell.parked.fetch_or(bit, std::memory_order_acq_rel);                   // acq_rel [park]
  fence(std::memory_order_seq_cst);                                       // seq_cst [park]
  return ticket;
}

inline void park(BellLine& bell, uint32_t ticket, uint64_t timeout_ns) {
  futex_wait(bell.doorbell, ticket, timeout_ns);
}

}  // namespace loopline::shm
