// LogVerdict: what a check of every byte of a station's logs found, a partition at a time.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "io/log/examine.h"
#include "shm/inspect.h"

namespace loopline::cli {

// Messages that cannot be read, and the file that should have them; empty: it is not there.
struct MissingRange {
  io::LogGap gap;
  std::string file;
};

struct LogVerdict {
  uint32_t partition = 0;
  std::string folder;
  std::string trouble;  // why it could not be checked, or will not be opened; empty: neither
  uint64_t first = 0;   // the oldest message that should be there
  uint64_t last = 0;    // and the newest that is durable; less than `first`: none is
  uint64_t readable = 0;
  uint64_t batches = 0;
  uint64_t segments = 0;
  uint64_t disk_bytes = 0;
  std::vector<MissingRange> missing;
  std::vector<std::string> notes;        // damage that cost nothing
  std::vector<std::string> strangers;    // files that are none of the log's
  std::optional<shm::Occupant> flusher;  // who writes it now
  std::string next_opening;              // what the next one to write it will do

  bool is_well() const { return trouble.empty() && missing.empty() && notes.empty(); }
  uint64_t missing_count() const;
};

struct StationVerdict {
  std::string station;
  std::string folder;
  std::string conf_damage;  // empty: it is whole
  std::vector<LogVerdict> logs;

  bool is_well() const;
};

// What is needed to check a log.
struct LogToVerify {
  uint32_t partition = 0;
  std::string folder;
  std::optional<io::LogId> id;               // as the station's conf says
  std::optional<shm::RingSnapshot> ring;     // the one that goes to disk now, if one lives
  std::function<bool(double part)> goes_on;  // 0 to 1; false: stop
};

// Reads all of it, twice: as an opening would, and as consumers do. Faults: closed (goes_on said
// so). Damage is no fault.
Result<LogVerdict> verify_log(const LogToVerify& log);

}  // namespace loopline::cli
