// NextDrop: what retention takes from a log next and when, or why it takes nothing.
#pragma once

#include <optional>
#include <string>

#include "station_disk.h"

namespace loopline::cli {

// Whole segments go, the oldest first, never the one that is written.
struct NextDrop {
  uint64_t first_sequence = 0, last_sequence = 0;  // of the oldest segment; 0: nothing goes
  uint64_t newest_ns = 0;                          // UTC, of its newest message; 0: not known
  bool is_due = false;                             // it may go now
  // Whichever comes first; none: there is no such bound.
  std::optional<uint64_t> in_ns;
  std::optional<uint64_t> after_messages, after_bytes;  // bytes: of segments
  std::string text;                                     // all of it in words
};

NextDrop next_drop(const LogOnDisk& log, const io::Retention& retention, uint64_t now_ns);

}  // namespace loopline::cli
