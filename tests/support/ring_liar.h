// RingLiar: a client of a ring who has lost its mind: writes nonsense, and what
// almost makes sense.
//
//   RingLiar liar(Mapping::attach(path, Access::produce), seed);
//   liar.tell(lies, is_over);       control lines, slots, side words, frames, by chance
//   liar.foul_lock();               last: nobody ever gets the ring's lock again
//
// What stands in a lock while another holds it is left alone: who forges that is trusted
// (shm/README, Limits). What is lied is decided by the seed and by what stands in the ring.
#pragma once

#include <atomic>
#include <cstdint>

#include "shm/mapping.h"
#include "tests/sim/random.h"

namespace loopline::test {

class RingLiar {
 public:
  RingLiar(shm::Mapping mapping, uint64_t seed) : mapping_(std::move(mapping)), random_(seed) {}

  // So many lies, unless it is over before; the file may be cut short meanwhile.
  void tell(uint64_t count, const std::atomic<bool>& is_over);
  // Takes the lock and spoils it, where it is free. The calling thread takes no robust lock after
  // it, and ends before the mapping does.
  void foul_lock();

 private:
  uint64_t capacity() const { return mapping_.header().capacity; }
  uint64_t hint();
  uint64_t place();
  uint64_t value(uint64_t before);
  void spoil(void* base, uint64_t words);
  void spoil_control();
  void forge_frame();
  void forge_side();
  void lie();

  shm::Mapping mapping_;
  sim::Random random_;
};

}  // namespace loopline::test
