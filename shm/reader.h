// Reader: walks the committed frames of a ring and accepts only what was committed in this lap
// (R4).
//
// The word of a frame alone is the truth unless its predecessor said NEXT_VERIFY: then the place
// looked committed before its time (old payload, perhaps an adversary's), and the side word
// decides, because the claimer recorded there what it found. After a side check the word is loaded
// again: the first look may have seen the imitation.
//
// Two ways to read: `next` trusts that the reader's cursor gates the window and hands out views
// into the ring; `next_copy` copies and then checks that the window had not passed (R6), for lossy
// readers and tools. Neither publishes anything; a Reader is private to one thread.
#pragma once

#include <utility>

#include "ring.h"

namespace loopline::shm {

struct FrameView {
  uint64_t position = 0;
  uint64_t sequence = 0;
  uint64_t timestamp = 0;
  const std::byte* body = nullptr;
  uint32_t body_size = 0;
  FrameType type = FrameType::message;
  uint16_t flags = 0;
};

enum class ReadOutcome {
  frame,
  none,    // nothing committed at our place yet
  sealed,  // the ring ends here
  lapped,  // (next_copy) the window passed us; at() is the oldest place again, lost() says how many
  corrupt,  // bytes that no writer of ours left
};

class Reader {
 public:
  Reader() = default;
  Reader(const Ring& ring, Pair at) : ring_(ring), at_(at) {}

  // The next message; fillers are passed over.
  ReadOutcome next(FrameView& view) {
    for (uint64_t step = 0; step <= ring_.capacity / unit_size; ++step) {
      uint64_t word;
      if (!accept(word)) return ReadOutcome::none;
      const ReadOutcome outcome = take(word, view);
      if (outcome != ReadOutcome::frame || (word & word_filler) == 0) return outcome;
    }
    return ReadOutcome::corrupt;
  }

  // The next frame of any kind: fillers are handed out, the seal is shown and not passed.
  ReadOutcome next_frame(FrameView& view) {
    uint64_t word;
    return accept(word) ? take(word, view) : ReadOutcome::none;
  }

  // The next message copied into `buffer`, which holds frames of any size this ring allows.
  ReadOutcome next_copy(FrameView& view, std::byte* buffer);

  // Whether next() would find a frame: one load in the common case.
  bool ready() const {
    const MeantRace for_a_lossy_reader;
    uint64_t word;
    return accept(word);
  }

  // {position, sequence} of the next frame.
  Pair at() const { return at_; }
  // Sequences that next_copy had to leave out since the last call, and the place of the first.
  uint64_t take_lost() { return std::exchange(lost_, 0); }
  Pair lost_from() const { return lost_from_; }
  // Goes on from another boundary, verifying.
  void restart(Pair at) {
    at_ = at;
    verify_ = true;
  }
  const Ring& ring() const { return ring_; }

 private:
  bool accept(uint64_t& word) const {
    auto& place = ring_.word(at_.first);
    word = place.load(std::memory_order_acquire);  // acquire [commit]
    if (!carries_tag(word, at_.first)) return false;
    if (!verify_) return true;
    const uint64_t side =
        ring_.side(at_.first).load(std::memory_order_acquire);  // acquire [mimic] [claim]
    if (ring_.side_lap(side) != ring_.lap(at_.first)) return false;
    if ((side & side_mimic) != 0 && (side & side_state_mask) != side_committed) return false;
    word =
        place.load(std::memory_order_acquire);  // acquire [commit]: the first may be an imitation
    return carries_tag(word, at_.first);
  }

  ReadOutcome take(uint64_t word, FrameView& view) {
    const FrameHeader& frame = ring_.frame(at_.first);
    const uint64_t meta = frame.meta.load(std::memory_order_relaxed);  // relaxed: word acquired it
    const uint64_t sequence =
        frame.sequence.load(std::memory_order_relaxed);  // relaxed: word acquired it
    const uint64_t bytes = frame_size(meta_body(meta));
    if (bytes > ring_.units_max * unit_size || sequence != at_.second) [[unlikely]] {
      return ReadOutcome::corrupt;
    }
    view.position = at_.first;
    view.sequence = sequence;
    view.timestamp = frame.timestamp.load(std::memory_order_relaxed);  // relaxed: word acquired it
    view.body = ring_.at(at_.first) + frame_header_size;
    view.body_size = meta_body(meta);
    view.type = meta_type(meta);
    view.flags = meta_flags(meta);
    if (meta_type(meta) != FrameType::message && (word & word_filler) == 0) [[unlikely]] {
      return meta_type(meta) == FrameType::seal ? ReadOutcome::sealed : ReadOutcome::corrupt;
    }
    at_ = {at_.first + bytes, at_.second + 1};
    verify_ = (word & word_next_verify) != 0;
    return ReadOutcome::frame;
  }

  ReadOutcome fall_behind();

  Ring ring_;
  Pair at_;
  bool verify_ = true;
  uint64_t lost_ = 0;
  Pair lost_from_;
};

}  // namespace loopline::shm
