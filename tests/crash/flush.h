// Flush: a flusher whose disk is memory that outlives it, and what that disk must hold at the end.
//
//   Flush flush(platter);
//   flush.take_over(oldest_ring);      goes on where the log ends, as io's flusher does
//   flush.everything();                to disk, then `durable`; over seals into their successors
//   examine(platter, journals);        nothing lost, repeated or out of order
//
// A write is two steps, its bytes and the word that counts them, so that a death can tear it.
// Problems are words; an empty text is none.
#pragma once

#include <atomic>
#include <optional>
#include <string>

#include "journal.h"
#include "shm/flush_cursor.h"

namespace loopline::crash {

// Frames back to back, as they stood in the ring.
struct Platter {
  static constexpr size_t bytes_max = 2u << 20;
  Pair start;                   // of its first frame
  std::atomic<uint64_t> bytes;  // synced
  std::byte frames[bytes_max];
};

// Where its log ends; every frame on the way must be the next one, or `problem` says it is not.
Pair end_of(const Platter& platter, std::string& problem);
// Holds what is there to the rules of the journals; false in `is_whole`: the last message is not.
std::string examine(const Platter& platter, Journals& journals, bool& is_whole);

class Flush {
 public:
  explicit Flush(Platter& platter) : platter_(platter) {}

  std::string take_over(std::shared_ptr<shm::Attached> oldest);
  // Until nothing more is committed, two writes at a time; what the dead hold open is completed.
  std::string everything();
  // As the flusher of a full, a better and a failed disk says it.
  void set_state(shm::LogState state, int error) { cursor_->set_state(state, error); }
  void close() { cursor_.reset(); }
  // The station was removed, and all of it is on disk.
  bool is_over() const { return is_over_; }
  const shm::FlushCursor& cursor() const { return *cursor_; }

 private:
  std::string write(const shm::FlushRun& run);
  std::string go_on();

  Platter& platter_;
  std::optional<shm::FlushCursor> cursor_;
  bool is_over_ = false;
};

}  // namespace loopline::crash
