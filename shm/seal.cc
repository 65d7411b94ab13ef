// Seal: the steps on one ring; attached.cc composes them with files and locks.
#include "seal.h"

#include "armed.h"

namespace loopline::shm {

Claim claim_seal(const Ring& ring, uint64_t target) {
  uint64_t expected = seal_open;
  ring.control->seal.state.compare_exchange(expected, target,
                                            std::memory_order_seq_cst,   // seq_cst [seal]
                                            std::memory_order_relaxed);  // relaxed: chosen before
  Claimer claimer(ring, seal_owner, false);
  Claim seal;
  // Live producers may claim in between, each one moves the frontier; it cannot go past the window.
  const ClaimOutcome outcome = claimer.claim(unit_size, seal);
  if (outcome == ClaimOutcome::sealed) {
    const uint64_t side =
        ring.side(seal.position).load(std::memory_order_acquire);  // acquire [claim]
    seal.bytes = unit_size;
    seal.mimic = (side & side_mimic) != 0;
  } else if (outcome != ClaimOutcome::claimed) {
    return {};  // a unit is always kept for us: these words are no ring's
  }
  ring.control->seal.at.store({seal.position, seal.sequence},
                              std::memory_order_release);  // release [sealed]
  return seal;
}

void give_birth(const Ring& successor, Pair start) {
  if (is_born(successor)) return;
  // Nobody attaches before `start` is there, and we hold the predecessor's lock: a repetition after
  // a death writes the same values.
  ControlBlock& control = *successor.control;
  const Pair durable = control.durable.pair.load(std::memory_order_relaxed);  // relaxed: ours yet
  if (durable.first != no_cursor.first) {
    control.durable.pair.store(start, std::memory_order_relaxed);  // relaxed: start releases it
  }
  control.gate.pair.store(start, std::memory_order_relaxed);  // relaxed: start releases it
  control.hint.pair.store(start, std::memory_order_relaxed);  // relaxed: start releases it
  const LimitWord limit{start.first + successor.capacity, start.second, 0};
  control.limit.pair.store(limit.pack(), std::memory_order_relaxed);  // relaxed: start releases it
  control.start.pair.store(start, std::memory_order_release);         // release [birth]
}

void commit_seal(const Ring& ring, const Claim& seal) {
  const uint64_t side =
      ring.side(seal.position).load(std::memory_order_acquire);  // acquire [claim]
  const uint64_t word =
      ring.word(seal.position).load(std::memory_order_acquire);  // acquire [commit]
  if (!Ring::is_committed(side, word, seal.position)) {
    Claimer::complete_frame(ring, seal,
                            pack_meta(unit_size - frame_header_size, FrameType::seal, 0), 0, 0);
  }
  ring_readers(ring);
  shm::ring(ring.control->space_bell);
}

bool is_born(const Ring& ring) {
  return ring.control->start.pair.load_first(std::memory_order_acquire) != 0;  // acquire [birth]
}

bool is_sealed(const Ring& ring) {
  const uint64_t at =
      ring.control->seal.at.load_first(std::memory_order_acquire);  // acquire [sealed]
  if (at == 0) return false;
  const uint64_t side = ring.side(at).load(std::memory_order_acquire);  // acquire [claim]
  if (ring.side_lap(side) != ring.lap(at) || Ring::side_owner(side) != seal_owner) return false;
  const uint64_t word = ring.word(at).load(std::memory_order_acquire);  // acquire [commit]
  return Ring::is_committed(side, word, at);
}

uint64_t seal_state(const Ring& ring) {
  fence(std::memory_order_seq_cst);  // seq_cst [seal]: between a joiner's cursor and this look
  return ring.control->seal.state.load(std::memory_order_acquire);  // acquire [seal]
}

}  // namespace loopline::shm
