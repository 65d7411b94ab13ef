// Claimer: how a producer takes a place in the ring, and gives it to the readers.
//
//   Claimer claimer(ring, slot, exclusive);
//   Claim claim;
//   if (claimer.claim(frame_size(body), claim) == ClaimOutcome::claimed) {
//     write ring.at(claim.position) + frame_header_size ...
//     claimer.commit(claim, pack_meta(body, FrameType::message, 0), timestamp);
//   }
//
// One Claimer belongs to one producer slot and one thread at a time. It never waits: `full` means
// that the window must move first (window.h), `sealed` that the ring ended at the position given.
//
// If we die after the CAS: repair.cc completes the frame as a filler with its number.
// If we die after the word and before COMMITTED of a mimic frame: readers do not see it, repair
// does.
#pragma once

#include "ring.h"

namespace loopline::shm {

enum class ClaimOutcome {
  claimed,
  full,      // the frame does not fit into the window: advance, or wait
  sealed,    // the ring ended here; position and sequence are the seal frame's
  confused,  // the side words make no chain: not a ring of ours any more
};

struct Claim {
  uint64_t position = 0;
  uint64_t sequence = 0;
  uint64_t bytes = 0;  // of the whole frame, a multiple of unit_size
  bool mimic = false;
};

class Claimer {
 public:
  Claimer() = default;
  Claimer(const Ring& ring, uint32_t owner, bool exclusive)
      : ring_(ring), owner_(owner), exclusive_(exclusive), limit_seen_(ring.capacity) {
    if (owner != seal_owner) reserve_ = unit_size;
  }

  ClaimOutcome claim(uint64_t bytes, Claim& claim) {
    Pair at = ring_.control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
    if (own_end_.first > at.first) at = own_end_;
    for (uint64_t step = 0; step < steps_max(); ++step) {
      auto& side = ring_.side(at.first);
      uint64_t seen = side.load(std::memory_order_acquire);  // acquire [claim]
      const uint64_t lap_seen = ring_.side_lap(seen);
      const uint64_t lap_here = ring_.lap(at.first);
      if (lap_seen == lap_here) {  // somebody's frame: walk on
        if (Ring::side_owner(seen) == seal_owner) [[unlikely]] {
          return stop_at_seal(at, claim);
        }
        at = {at.first + ring_.side_bytes(seen), at.second + 1};
        continue;
      }
      if (lap_seen > lap_here) [[unlikely]] {  // we were lapped; this is a boundary (R2)
        const Pair oldest = ring_.window_start();
        // Whoever claimed here in a newer lap saw a limit further than we stand.
        if (oldest.first <= at.first) return ClaimOutcome::confused;
        at = oldest;
        continue;
      }
      // limit_seen_ is never less than a frame: the difference cannot wrap, whatever the hint was.
      if (at.first > limit_seen_ - (bytes + reserve_) && !reload_limit(at.first, bytes)) {
        full_at_ = at.first;
        return is_position(at.first) ? ClaimOutcome::full : ClaimOutcome::confused;
      }
      // Before the CAS: until it, nobody of this lap may write here (R4).
      const bool mimic = looks_committed(at.first);
      if (take(side, seen, ring_.make_side(at.first, bytes, owner_, mimic))) {
        claim = {at.first, at.second, bytes, mimic};
        remember({at.first + bytes, at.second + 1}, bytes);
        return ClaimOutcome::claimed;
      }
    }
    return ClaimOutcome::confused;
  }

  // The header, then the word: from here on readers may accept the frame. The caller rings the
  // bell.
  void commit(const Claim& claim, uint64_t meta, uint64_t timestamp) const {
    commit_as(claim, meta, timestamp, 0);
  }
  // Leaves a filler that carries the sequence.
  void abort(const Claim& claim) const {
    const auto body = static_cast<uint32_t>(claim.bytes - frame_header_size);
    commit_as(claim, pack_meta(body, FrameType::aborted, 0), 0, word_filler);
  }

  void commit_as(const Claim& claim, uint64_t meta, uint64_t timestamp, uint64_t flags) const {
    complete_frame(ring_, claim, meta, timestamp, flags);
  }

  // Shared with repair, which completes frames of the dead with exactly the owner's steps.
  static void complete_frame(const Ring& ring, const Claim& claim, uint64_t meta,
                             uint64_t timestamp, uint64_t flags) {
    const uint64_t next = claim.position + claim.bytes;
    // Only the next claimer may write there in this lap: what looks committed now is either old
    // payload or an early commit, and the next reader finds out from the side word (R4).
    const uint64_t next_word = ring.word(next).load(std::memory_order_acquire);  // acquire [commit]
    if (carries_tag(next_word, next)) flags |= word_next_verify;
    if (claim.mimic) flags |= word_mimic;
    FrameHeader& frame = ring.frame(claim.position);
    frame.meta.store(meta, std::memory_order_relaxed);                // relaxed: word releases it
    frame.sequence.store(claim.sequence, std::memory_order_relaxed);  // relaxed: word releases it
    frame.timestamp.store(timestamp, std::memory_order_relaxed);      // relaxed: word releases it
    frame.word.store(word_tag(claim.position) | flags,
                     std::memory_order_release);  // release [commit]
    if (claim.mimic) [[unlikely]] {
      auto& side = ring.side(claim.position);
      const uint64_t mine = side.load(std::memory_order_relaxed);  // relaxed: only we write it now
      side.store((mine & ~static_cast<uint64_t>(side_state_mask)) | side_committed,
                 std::memory_order_release);  // release [mimic]: after the word
    }
  }

  const Ring& ring() const { return ring_; }
  // Where the last claim that met `full` wanted to stand.
  uint64_t full_at() const { return full_at_; }
  uint32_t owner() const { return owner_; }

 private:
  // Every step walks one frame, or starts over because others moved: far more than a whole ring of
  // steps in one claim means that the words are not a chain.
  uint64_t steps_max() const { return 64 * (ring_.capacity / unit_size) + 4096; }

  // Another may claim the place meanwhile and write there; our CAS fails then, and what we saw does
  // not count.
  bool looks_committed(uint64_t position) const {
    const MeantRace unless_we_claim_it;
    return carries_tag(
        ring_.word(position).load(std::memory_order_relaxed),  // relaxed: R3 made it quiet
        position);
  }

  bool take(Atomic<uint64_t>& side, uint64_t& seen, uint64_t mine) {
    if (exclusive_) {  // nobody else claims: the CAS would find what we saw
      side.store(mine, std::memory_order_release);                            // release [claim]
    } else if (!side.compare_exchange(seen, mine, std::memory_order_acq_rel,  // acq_rel [claim]
                                      std::memory_order_relaxed)) {  // relaxed: we look again
      return false;
    }
    // R6: a reader that sees any later byte of ours sees the limit we saw.
    fence(std::memory_order_release);  // release [stale]
    return true;
  }

  bool reload_limit(uint64_t position, uint64_t bytes) {
    const uint64_t limit = ring_.limit_now();
    if (limit < ring_.capacity) return false;  // garbage: advance() says so
    limit_seen_ = limit;
    return position <= limit - (bytes + reserve_);
  }

  // The window may reach a capacity beyond position_max, and no further.
  bool is_position(uint64_t position) const { return position <= position_max + ring_.capacity; }

  void remember(Pair end, uint64_t bytes) {
    own_end_ = end;
    // Never behind a seal: a claim that began there would not see it.
    if (owner_ == seal_owner) return;
    // May regress when we were slow: harmless, claims walk on from it.
    ring_.control->hint.pair.store(end, std::memory_order_release);  // release [hint]
    prefetch_next(end.first, bytes);
  }

  // Asks for the lines of the next frame, guessed to be as large as this one, while this one is
  // being written. A message of 32 B: the line after the next (near: no difference, far: 85 -> 58
  // ns). Up to 512 B: all lines (256 B, near 80 -> 50, far 260 -> 105). Larger: one, the processor
  // does the rest (1 KiB with all lines: near 69 -> 80). perf/results has the runs.
  void prefetch_next(uint64_t end, uint64_t bytes) {
    if (bytes == unit_size) return prefetch_write(ring_.at(end + unit_size));
    prefetch_write(ring_.at(end));
    if (bytes > prefetch_all_max) return;
    for (uint64_t line = unit_size; line < bytes; line += unit_size) {
      prefetch_write(ring_.at(end + line));
    }
  }
  static constexpr uint64_t prefetch_all_max = 512;

  static ClaimOutcome stop_at_seal(Pair at, Claim& claim) {
    claim.position = at.first;
    claim.sequence = at.second;
    return ClaimOutcome::sealed;
  }

  Ring ring_;
  uint32_t owner_ = 0;
  bool exclusive_ = false;
  uint64_t reserve_ = 0;  // one unit is kept free behind every claim but the seal's own
  uint64_t limit_seen_ = 0;
  uint64_t full_at_ = 0;
  Pair own_end_;
};

}  // namespace loopline::shm
