// Frames: the walk from the window's beginning to the frontier, one frame read at a time.
#include "frames.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "peephole.h"
#include "ring.h"
#include "ring_header.h"

namespace loopline::shm {
namespace {

constexpr int overtaken_max = 64;  // times in a row without a frame to show

class FrameReader {
 public:
  FrameReader(const File& file, const std::string& path, const RingHeader& header,
              const Roster* roster, const FramesOptions& options)
      : hole_(file, path),
        header_(header),
        roster_(roster_of(header, roster)),
        options_(options),
        ring_(Ring::over(nullptr, nullptr, nullptr, nullptr, nullptr, header.capacity,
                         header.producer_slots, header.cursor_slots)) {}

  Result<FramesEnd> run(const std::function<bool(const FrameFacts&)>& each);

 private:
  enum class Step { frame, frontier, again, damage };
  Result<bool> begin();
  Result<Step> step(FrameFacts& frame);
  Status read_committed(FrameFacts& frame, uint64_t word) const;
  Status read_payload(FrameFacts& frame, uint64_t body) const;
  Status read_data(void* into, uint64_t size, uint64_t position) const;
  Status read_owner(FrameFacts& frame) const;
  FramesEnd end(FramesEnd::Why why) const { return {why, at_, damage_}; }

  Peephole hole_;
  RingHeader header_;
  const Roster* roster_;
  FramesOptions options_;
  Ring ring_;
  Pair at_;
  uint64_t end_ = 0;  // of the window as it was at the beginning: what comes later is not walked
  std::string damage_;
};

// To the window's beginning as it is now; false when there is none.
Result<bool> FrameReader::begin() {
  LL_TRY(limit, hole_.limit());
  const bool is_sense = limit.position >= ring_.capacity && limit.position % unit_size == 0 &&
                        limit.position - ring_.capacity <= position_max;
  if (!is_sense) {
    damage_ = "the limit, " + std::to_string(limit.position) + ", is no place of a ring";
    return false;
  }
  at_ = {limit.position - ring_.capacity, limit.sequence};
  end_ = limit.position;
  const bool is_inside = options_.from && options_.from->first >= at_.first &&
                         options_.from->first < end_ && options_.from->first % unit_size == 0;
  if (is_inside) at_ = *options_.from;
  return true;
}

// In the file the data stands once: what goes over its end goes on at its beginning.
Status FrameReader::read_data(void* into, uint64_t size, uint64_t position) const {
  const uint64_t place = position & (ring_.capacity - 1);
  const uint64_t first = std::min(size, ring_.capacity - place);
  LL_TRY_STATUS(hole_.read(into, first, header_.data_offset + place));
  if (first == size) return ok();
  return hole_.read(static_cast<std::byte*>(into) + first, size - first, header_.data_offset);
}

Status FrameReader::read_owner(FrameFacts& frame) const {
  if (frame.slot >= header_.producer_slots) return ok();
  uint64_t owner = nobody;
  const uint64_t slots = Peephole::control_offset + sizeof(ControlBlock);
  LL_TRY_STATUS(
      hole_.read(&owner, sizeof owner,
                 slots + frame.slot * sizeof(ProducerSlot) + offsetof(ProducerSlot, owner)));
  frame.owner = occupant_of(owner, roster_);
  return ok();
}

Status FrameReader::read_payload(FrameFacts& frame, uint64_t body) const {
  const uint64_t begin = frame.at.first + frame_header_size;
  if ((frame.flags & flag_extension) != 0) {
    uint32_t size = 0;
    LL_TRY_STATUS(read_data(&size, sizeof size, begin));
    if (size % 16 == 0 && size <= body) {
      frame.extension_bytes = size;
    } else {
      frame.oddity = "its extension claims " + std::to_string(size) + " bytes";
    }
  }
  frame.payload_bytes = body - frame.extension_bytes;
  frame.head.resize(std::min(frame.payload_bytes, options_.head_bytes_max));
  return read_data(frame.head.data(), frame.head.size(), begin + frame.extension_bytes);
}

// After the word, which is written last: what stands behind it is this frame's.
Status FrameReader::read_committed(FrameFacts& frame, uint64_t word) const {
  uint64_t rest[3] = {};  // meta, sequence, timestamp
  LL_TRY_STATUS(read_data(rest, sizeof rest, frame.at.first + sizeof word));
  const uint64_t body = meta_body(rest[0]);
  frame.word_flags = word & word_flags;
  frame.type = meta_type(rest[0]);
  frame.flags = meta_flags(rest[0]);
  frame.timestamp_ns = rest[2];
  if (frame_size(body) != frame.bytes) {
    frame.oddity = "its header says " + std::to_string(body) + " bytes, its claim took " +
                   std::to_string(frame.bytes);
    return ok();
  }
  if (rest[1] != frame.at.second) {
    frame.oddity = "its header has sequence " + std::to_string(rest[1]);
  }
  return read_payload(frame, body);
}

Result<FrameReader::Step> FrameReader::step(FrameFacts& frame) {
  const uint64_t place = at_.first & ring_.mask;
  uint64_t side = 0, word = 0;
  LL_TRY_STATUS(
      hole_.read(&side, sizeof side, header_.side_offset + place / unit_size * sizeof side));
  const uint64_t lap = ring_.lap(at_.first);
  const uint64_t bytes = ring_.side_bytes(side);
  const bool is_claimed = ring_.side_lap(side) == lap && bytes <= ring_.units_max * unit_size;
  if (is_claimed && at_.second >= options_.first_sequence) {
    frame.at = at_;
    frame.bytes = bytes;
    frame.slot = Ring::side_owner(side);
    LL_TRY_STATUS(hole_.read(&word, sizeof word, header_.data_offset + place));
    frame.is_open = !Ring::is_committed(side, word, at_.first);
    LL_TRY_STATUS(frame.is_open ? read_owner(frame) : read_committed(frame, word));
  }
  LL_TRY(limit, hole_.limit());  // R6
  if (limit.position > at_.first + ring_.capacity) return Step::again;
  if (ring_.side_lap(side) < lap) return Step::frontier;
  if (!is_claimed || at_.first + bytes > limit.position) {
    damage_ = "the claim word at position " + std::to_string(at_.first) +
              " makes no sense, so nobody can tell where the next frame is";
    return Step::damage;
  }
  at_ = {at_.first + bytes, at_.second + 1};
  return Step::frame;
}

Result<FramesEnd> FrameReader::run(const std::function<bool(const FrameFacts&)>& each) {
  using Why = FramesEnd::Why;
  LL_TRY(is_there, begin());
  if (!is_there) return end(Why::damaged);
  const uint64_t steps_max = 2 * (ring_.capacity / unit_size);
  uint64_t missed = 0;
  int overtaken = 0;
  for (uint64_t count = 0; count < steps_max; ++count) {
    if (at_.first >= end_) return end(Why::frontier);
    FrameFacts frame;
    const Pair before = at_;
    LL_TRY(step, this->step(frame));
    if (step == Step::frontier) return end(Why::frontier);
    if (step == Step::damage) return end(Why::damaged);
    if (step == Step::again) {
      if (++overtaken == overtaken_max) return end(Why::overtaken);
      LL_TRY(is_there_still, begin());
      if (!is_there_still) return end(Why::damaged);
      missed += at_.second - std::min(before.second, at_.second);
      continue;
    }
    overtaken = 0;
    if (before.second < options_.first_sequence) continue;
    frame.missed = std::exchange(missed, 0);
    if (!each(frame)) return end(Why::enough);
  }
  return end(Why::overtaken);
}

}  // namespace

Result<FramesEnd> read_frames(const File& file, const std::string& name, const Roster* roster,
                              const FramesOptions& options,
                              const std::function<bool(const FrameFacts&)>& each) {
  LL_TRY(header, read_ring_header(file, name));
  return FrameReader(file, name, header, roster, options).run(each);
}

Result<FramesEnd> read_frames(const std::string& path, const Roster* roster,
                              const FramesOptions& options,
                              const std::function<bool(const FrameFacts&)>& each) {
  LL_TRY(file, open_file("ring", path, false));
  return read_frames(file, path, roster, options, each);
}

}  // namespace loopline::shm
