// CatchUp: the messages of a partition that its ring does not hold any more, read from its log.
//
// Consumers of file stations copy out of the ring and hold nobody back; one that falls out of it,
// or begins before it, reads segments until the ring has the next message again, and goes on there
// without a gap or a repetition. What the log cannot give (dropped by retention, damaged) is a gap.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>

#include "io/log/log_reader.h"
#include "shm/consumer.h"

namespace loopline {

class CatchUp {
 public:
  // `id`: of the partition's log.
  CatchUp(shm::Directory directory, shm::StationName name, uint32_t partition, std::string data,
          io::LogId id)
      : directory_(std::move(directory)),
        name_(std::move(name)),
        partition_(partition),
        data_(std::move(data)),
        id_(id) {}

  // Whether messages come from the log now.
  bool is_active() const { return active_; }
  // Where the log begins: what was before it was dropped, or purged; none: there is no log yet.
  Result<std::optional<io::LogPlace>> kept_from();
  // Decides where a new consumer, whose ring stands at its oldest message, begins; `from` is not
  // `last`. Faults: those of reading the log.
  Status begin(From from, shm::Consumer& ring);
  // The ring has lost messages, told as `gap`: true when the log is read for them. False: there is
  // no log, so that they are missing.
  Result<bool> begin_behind(const shm::Gap& gap);
  // The next messages; 0: none now. Goes back to the ring when it can (then it is not active).
  Result<size_t> read(std::span<shm::FrameView> views, shm::Consumer& ring);
  // What was missed before the run that read() returned last.
  shm::Gap take_gap() { return std::exchange(gap_, {}); }
  // Of the next message, while it is active.
  uint64_t next_sequence() const { return frame_at_.sequence; }

 private:
  Result<bool> open_log();
  Result<io::LogPlace> durable();
  size_t take_frames(std::span<shm::FrameView> views);
  bool passes_over(const shm::FrameView& view);
  Result<bool> go_back(shm::Consumer& ring, io::LogPlace durable);

  shm::Directory directory_;
  shm::StationName name_;
  uint32_t partition_;
  std::string data_;
  io::LogId id_;
  bool active_ = false;
  std::optional<io::LogReader> log_;
  std::shared_ptr<shm::Attached> flushing_;  // the ring whose watermark counts
  std::span<const std::byte> frames_;        // of the batch at hand, not handed out yet
  io::LogPlace frame_at_;                    // their first
  uint64_t sequence_min_ = 0;                // messages before it are passed over
  uint64_t time_min_ = 0;                    // and those older, until the first that is not
  shm::Gap gap_;
};

// `last`, counted from the end of the newest ring, for who begins in an older one or in the log.
From sequence_for_last(From from, const shm::Attached& newest);
// A ring that was purged may still be on its way to disk: what is in it is not for who comes now.
Result<std::shared_ptr<shm::Attached>> first_not_purged(
    std::shared_ptr<shm::Attached> ring, const std::shared_ptr<shm::Attached>& newest,
    const std::optional<io::LogPlace>& kept_from);

}  // namespace loopline
