// Frames: what stands in a ring's window, frame by frame in order, read from its file.
//
//   read_frames(path, roster.get(), {}, [](const FrameFacts& frame) { return show(frame); });
//
// Like inspect() it reads with pread, locks nothing and believes nothing: each frame is looked at
// only after the limit said that it was still in the window (R6), and where bytes make no sense the
// walk ends with the reason. On a ring in use it ends with the window that it began with.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "inspect.h"

namespace loopline::shm {

struct FrameFacts {
  Pair at;              // {position, sequence}
  uint64_t bytes = 0;   // of the ring
  uint64_t missed = 0;  // frames before this one that were overwritten while we walked
  uint32_t slot = 0;    // of its producer, or seal_owner
  bool is_open = false;
  Occupant owner;  // of an open one

  // Of a committed one.
  FrameType type = FrameType::message;
  uint16_t flags = 0;       // FrameFlag
  uint64_t word_flags = 0;  // WordFlag
  uint64_t timestamp_ns = 0;
  uint64_t extension_bytes = 0;
  uint64_t payload_bytes = 0;
  std::vector<std::byte> head;  // the payload's first bytes
  std::string oddity;           // what in its header makes no sense; empty when all does
};

struct FramesOptions {
  uint64_t first_sequence = 0;  // frames before it are passed over
  std::optional<Pair> from;     // a place known from elsewhere: the walk begins there, if it can
  uint64_t head_bytes_max = 64;
};

struct FramesEnd {
  enum class Why { frontier, enough, damaged, overtaken };
  Why why = Why::frontier;
  Pair at;           // where the walk ended
  std::string text;  // of damage
};

// Hands each frame to `each` until it answers false. Faults: those of opening and validating the
// file.
Result<FramesEnd> read_frames(const std::string& path, const Roster* roster,
                              const FramesOptions& options,
                              const std::function<bool(const FrameFacts&)>& each);
// The same over an open file; `name` is for messages.
Result<FramesEnd> read_frames(const File& file, const std::string& name, const Roster* roster,
                              const FramesOptions& options,
                              const std::function<bool(const FrameFacts&)>& each);

}  // namespace loopline::shm
