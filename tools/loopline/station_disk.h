// StationDisk: what lies on disk of a station: parameters, segments, where its logs begin and end,
// found by reading alone, whether its rings live or not.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "io/log/examine.h"
#include "io/log/station_conf.h"
#include "shm/inspect.h"

namespace loopline::cli {

// One partition's.
struct LogOnDisk {
  uint32_t partition = 0;
  std::string folder;
  bool is_there = false;  // something was written once
  std::string damage;     // why it cannot be read; empty: it can, as far as was looked
  io::LogFacts facts;     // as the next opening finds it: gaps of its end only
  uint64_t disk_bytes = 0;
  uint64_t oldest_ns = 0, newest_ns = 0;  // UTC, of its messages; 0: not known
  std::optional<shm::RingSnapshot> ring;  // that goes to disk now; none: no ring lives

  // One that was looked at before the disk was.
  void put_ring(std::optional<shm::RingSnapshot> seen);
  // The messages that are kept: [first, end).
  uint64_t first_sequence() const { return facts.begin.sequence; }
  uint64_t end_sequence() const;
};

struct StationOnDisk {
  shm::StationName name;
  std::string folder;
  bool is_there = false;  // it has a conf, or a folder of logs
  std::optional<io::StationConf> conf;
  std::string damage;       // of the conf: missing or what is wrong with it; empty: it is whole
  uint32_t partitions = 0;  // as the ring or the conf says, else folders that are there
  std::vector<LogOnDisk> logs;

  // Once they were looked at.
  uint64_t messages() const;  // ever
  uint64_t kept() const;
};

// Its conf only. `ring`: the header of a ring that lives, whose parameters count where there is no
// conf.
StationOnDisk find_on_disk(const std::string& data, const shm::StationName& name,
                           const shm::RingHeader* ring);
// Its logs too, at the cost of an opening: what is behind the last sealed segment is read.
StationOnDisk look_at_disk(const std::string& data, const shm::StationName& name,
                           const shm::RingHeader* ring);
// That its segments take on disk.
uint64_t bytes_on_disk(const std::string& folder, const io::LogFacts& facts);

// The folder of all logs of the instance.
Result<std::string> find_data(const std::string& dir);
// Stations that have a conf or a folder of logs, by name.
std::vector<shm::StationName> names_on_disk(const std::string& data);

}  // namespace loopline::cli
