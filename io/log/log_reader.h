// LogReader: a log read forward, batch by batch, beside whoever writes it and drops from it.
//
//   LL_TRY(reader, LogReader::open(posix_disk(), folder));
//   LL_TRY_STATUS(reader.seek(sequence));
//   for (;;) {
//     LL_TRY(step, reader.next(durable));         never further than what is known to be durable
//     batch: read_frame() over step.frames        gap: [gap.from, gap.to) cannot be read, and why
//     end:   all before `durable` was handed out  later: files are moved too fast to see them all
//   }
//
// Files are renamed, dropped and used again meanwhile: what a batch does not prove of itself does
// not count, and then the folder is looked at again. One thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "examine.h"
#include "segment.h"

namespace loopline::io {

class LogReader {
 public:
  // Which log it is, unless it is said, is told by its manifest, else by the first segment that is
  // read. Faults: not_found (no such log).
  static Result<LogReader> open(Disk& disk, const std::string& log_folder,
                                std::optional<LogId> id = {});

  // To the message with this number, or the oldest behind it that is kept.
  Status seek(uint64_t sequence);
  // To a batch at or before the first message that is as new as this (UTC ns).
  Status seek_time(uint64_t time_ns);
  // To a place that is known: the end of what was read elsewhere.
  void seek_place(LogPlace place);

  struct Step {
    enum class Kind { batch, gap, end, later };
    Kind kind = Kind::end;
    BatchRecord record{};
    std::span<const std::byte> frames;  // of a batch; valid until the next call
    LogGap gap;
  };
  // What comes next, as long as it ends at `upto` or before. Faults: those of reading.
  Result<Step> next(LogPlace upto);

  // Where next() goes on.
  LogPlace at() const { return at_; }
  // The oldest place that is kept, as of the last look.
  LogPlace begin() const { return begin_; }

 private:
  struct Known {
    std::string file;
    uint64_t number = 0;
    LogPlace start;
  };
  LogReader(Disk& disk, std::string folder) : disk_(&disk), folder_(std::move(folder)) {}
  Result<bool> look();
  Result<bool> is_as_listed() const;
  Result<bool> look_at(const std::string& file, std::vector<Known>& found,
                       uint64_t first_number) const;
  Result<bool> open_segment(size_t index);
  Result<bool> enter();
  Status skip_in_segment(uint64_t sequence);
  Result<std::optional<Step>> read(LogPlace upto);
  Result<Step> explain(LogPlace upto);
  Step gap_to(LogPlace to, std::string why);
  std::optional<LogPlace> bound() const;
  bool is_at_its_end() const { return sealed_end_ && at_.position >= sealed_end_->position; }
  void leave();

  bool is_ours(const SegmentHeader& header) const { return !id_ || header.log == *id_; }

  Disk* disk_;
  std::string folder_;
  std::optional<LogId> id_;
  std::vector<std::string> listed_;  // the files that the last look saw
  std::vector<Known> segments_;      // oldest first
  LogPlace begin_;
  Cut cut_;
  LogPlace at_;
  size_t current_ = 0;
  std::unique_ptr<SegmentReader> segment_;  // where at_ is; null: to be looked for
  std::optional<BatchScan> scan_;
  std::optional<LogPlace> sealed_end_;  // behind it stands what a killed writer left there
};

}  // namespace loopline::io
