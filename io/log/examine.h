// Examine: what a log on disk holds, where it ends, and what is missing, found by reading alone.
//
//   LL_TRY(log, examine(posix_disk(), folder, {}));
//   log.end          here the next message goes
//   log.gaps         what was once there and cannot be read
//
// The log ends at the first place X where no whole batch stands, unless something proves that more
// was durable: a later record, header, footer or manifest whose `durable` lies behind X. Then what
// is missing is a gap, and what follows it is kept. Without such proof, what stands behind X was
// never acknowledged, and is cut off (by whoever writes next; nothing is changed here).
//
// Anybody may do this, beside a writer too; the end is then a moment's.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "manifest.h"
#include "segment.h"

namespace loopline::io {

// Messages that were durable and cannot be read: [from, to).
struct LogGap {
  LogPlace from;
  LogPlace to;
  std::string why;  // "segment 12, offset 40960: the checksum of its frames is wrong"
};

struct SegmentFacts {
  std::string file;  // its name
  uint64_t number = 0;
  LogPlace start;
  bool is_scanned = false;  // what follows is known
  bool is_sealed = false;
  uint64_t epoch = 0;
  uint64_t time_mark_before = 0;
  LogPlace end;
  uint64_t end_offset = 0;
  uint64_t chain = 0;  // of its last batch
  uint64_t time_mark = 0;
  uint64_t timestamp_min = 0, timestamp_max = 0;
  uint32_t batch_count = 0;
  std::vector<IndexEntry> index;  // of one that is not sealed
  uint64_t last_ring = 0;         // of its last batch
};

struct LogFacts {
  std::optional<Manifest> manifest;
  std::optional<LogId> log;            // as the manifest says, else the first segment read
  std::vector<SegmentFacts> segments;  // those that count, oldest first
  LogPlace begin;                      // the oldest message that is kept
  // The station was purged up to here, and the manifest does not say so yet; segments with a
  // smaller number do not count then.
  std::optional<LogPlace> purged;
  uint64_t purged_number = 0;
  LogPlace end;
  uint64_t chain = 0;
  uint64_t time_mark = 0;
  uint64_t epoch = 0;        // the highest that was seen
  uint64_t number = 0;       // likewise, of segments that do not count too
  bool is_closed = false;    // the writer closed it: the last segment goes on at its end_offset
  bool is_cut = false;       // something stands behind the end that was never acknowledged
  std::vector<LogGap> gaps;  // with `everything` all of them, else those that opening met
  std::vector<std::string> dropped;    // files whose segments do not count any more
  std::vector<std::string> unbegun;    // files made ready for segments to come
  std::vector<std::string> strangers;  // files that are none of the log's
  std::vector<std::string> notes;      // damage that cost nothing
};

struct ExamineOptions {
  bool everything = false;  // every batch of every segment; else only what opening needs
  std::function<void(uint64_t done, uint64_t all)> progress;  // in segments
  // What is known from elsewhere to have been durable: it proves as much as a record does. And a
  // ring goes on to disk from there: a purge that lies behind it does not count yet.
  LogPlace durable = {};
};

// Faults: not_found (no such folder), version_mismatch, those of reading. Damage is no fault.
Result<LogFacts> examine(Disk& disk, const std::string& log_folder, const ExamineOptions& options);

}  // namespace loopline::io
