// Segment: one file of the log, read batch by batch, with nothing in it believed unchecked.
//
//   LL_TRY(segment, SegmentReader::open(disk, path));
//   BatchScan scan(segment, BatchScan::beginning(segment.header()));
//   while (LL_TRY... scan.next() ...)
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "disk.h"
#include "format.h"

namespace loopline::io {

class SegmentReader {
 public:
  // Faults: not_found, corrupted (neither copy of the header is whole, and why), version_mismatch,
  // those of reading.
  static Result<SegmentReader> open(Disk& disk, const std::string& path);

  // One whose header cannot be used, read as if it were segment `number` of `log`: its records say
  // themselves whether they are. None: it has not the size of a segment.
  static Result<std::optional<SegmentReader>> open_headless(Disk& disk, const std::string& path,
                                                            LogId log, uint64_t number);

  const SegmentHeader& header() const { return header_; }
  const std::string& path() const { return file_->path(); }
  // One of the two copies of the header is damaged.
  bool is_header_damaged() const { return header_damaged_; }
  // The footer and its index; none: not sealed, or `why` it cannot be used.
  Result<std::optional<Index>> read_index(std::string& why);

  // For one who reads beside commits: not more than 192 KiB at a time. A disk without queues of its
  // own lets a commit wait for whatever it is at (perf/durable).
  void read_in_small_pieces() { piece_bytes_ = 192u << 10; }

  // The bytes at [offset, offset + size), fewer at the end of the file. Valid until the next call.
  // `fresh`: what was read ahead before does not count.
  Result<std::span<const std::byte>> bytes(uint64_t offset, uint64_t size, bool fresh = false);

 private:
  explicit SegmentReader(std::unique_ptr<DiskFile> file) : file_(std::move(file)) {}
  Status fill_window(uint64_t offset, uint64_t end, bool fresh);

  std::unique_ptr<DiskFile> file_;
  SegmentHeader header_{};
  bool header_damaged_ = false;
  AlignedBytes window_;  // what was read ahead
  uint64_t window_offset_ = 0;
  uint64_t window_bytes_ = 0;
  uint64_t ahead_bytes_ = 0;      // how much is read at a time,
  uint64_t piece_bytes_ = ~0ull;  // in pieces of so many
};

// What the next batch must go on from; its chain only when it is known.
struct Expected {
  LogPlace at;
  std::optional<uint64_t> chain;
  uint64_t epoch = 0;  // of the one before: epochs never fall
  uint64_t time_mark = 0;
};

// What a manifest says of killed writers: the one of `epoch` began at `from` or before, so that
// what earlier ones wrote there or behind never was acknowledged, and does not count.
struct Cut {
  uint64_t epoch = 0;
  LogPlace from;
  bool is_stale(const BatchRecord& record) const {
    return record.epoch < epoch && record.start.position >= from.position;
  }
};

// Walks the batches of a segment.
class BatchScan {
 public:
  BatchScan(SegmentReader& segment, uint64_t offset, Expected expected, Cut cut = {})
      : segment_(&segment), offset_(offset), expected_(expected), cut_(cut) {}
  static Expected beginning(const SegmentHeader& header) {
    return {header.start, header.chain, header.epoch, header.time_mark};
  }

  struct Batch {
    BatchRecord record{};
    std::span<const std::byte> frames;  // valid until the next call
  };
  // The batch at offset(), when it is whole and the one expected there, and goes behind it. None:
  // why() says what is wrong with what is there; the scan stays.
  Result<std::optional<Batch>> next();
  // The same, but the frames are neither read nor checked.
  Result<std::optional<BatchRecord>> next_record();
  // Goes to the first whole batch behind offset() that begins at `position_min` or later: true, and
  // next() finds it. `durable` becomes the furthest place that any record on the way was issued
  // behind. Looks no further than offset `upto`.
  Result<bool> leap(uint64_t position_min, LogPlace& durable, uint64_t upto = ~0ull);

  uint64_t offset() const { return offset_; }
  const Expected& expected() const { return expected_; }
  const std::string& why() const { return why_; }

 private:
  Result<std::optional<BatchRecord>> record_here(bool fresh);
  Result<bool> is_next(const BatchRecord& record);
  void pass(const BatchRecord& record);

  SegmentReader* segment_;
  uint64_t offset_;
  Expected expected_;
  Cut cut_;
  std::string why_;
};

}  // namespace loopline::io
