// Reader: reading without holding the window back, by copy and second look (R6).
#include "reader.h"

namespace loopline::shm {

ReadOutcome Reader::fall_behind() {
  const Pair oldest = ring_.window_start();
  if (oldest.first <= at_.first)
    return ReadOutcome::none;  // limit is behind what we saw: look again
  if (lost_ == 0) lost_from_ = at_;
  lost_ += oldest.second - at_.second;
  restart(oldest);
  return ReadOutcome::lapped;
}

ReadOutcome Reader::next_copy(FrameView& view, std::byte* buffer) {
  const MeantRace until_the_second_look;
  for (uint64_t step = 0; step <= ring_.capacity / unit_size; ++step) {
    const Pair before = at_;
    const bool verify_before = verify_;
    uint64_t word;
    if (!accept(word)) {
      return ring_.still_inside(before.first) ? ReadOutcome::none : fall_behind();
    }
    const ReadOutcome outcome = take(word, view);
    const bool is_message = outcome == ReadOutcome::frame && (word & word_filler) == 0;
    if (is_message) copy_from_shared(buffer, view.body, view.body_size);
    if (!ring_.still_inside(before.first)) {
      at_ = before;
      verify_ = verify_before;
      return fall_behind();
    }
    if (outcome != ReadOutcome::frame) return outcome;
    if (is_message) {
      view.body = buffer;
      return ReadOutcome::frame;
    }
  }
  return ReadOutcome::corrupt;
}

}  // namespace loopline::shm
