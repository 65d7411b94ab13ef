// StationConf: the parameters of a station on disk, where they survive the machine: station.conf.
//
//   # A station of Loopline; change it with: loopline station edit
//   uuid = 5d0c2b9e11aa43f08e5fb9b1c70d2a44
//   storage = file
//   ring = 8MiB
//   segment = 64MiB
//   retention.age = 7d
//   flush = group-commit
//
// Written beside its place, synced and renamed: it is there whole or not at all. A file station is
// there when this file is; its rings are made anew from it after a reboot. Foreign to whoever reads
// it: anything but these lines is a fault that names the line.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "format.h"
#include "shm/factory.h"
#include "shm/mapping.h"

namespace loopline::io {

// What may be dropped, in whole segments, never the last one; 0: no such bound.
struct Retention {
  uint64_t age_ns = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  bool operator==(const Retention&) const = default;
};
constexpr uint64_t retention_age_default_ns = 7ull * 24 * 3600 * 1'000'000'000;
constexpr uint64_t segment_bytes_default = 64u << 20;

struct StationConf {
  LogId id;
  shm::FactorySettings ring;  // what a factory can say too; no quotas
  uint64_t segment_bytes = segment_bytes_default;
  Retention retention{retention_age_default_ns, 0, 0};
  uint64_t flush_interval_ns = 0;  // 0: group-commit
  bool operator==(const StationConf&) const = default;
};

constexpr size_t station_file_bytes_max = 8192;

// Faults: corrupted; `where` stands in front of what is wrong.
Result<StationConf> parse_station_conf(std::string_view text, const std::string& where);
std::string text_of(const StationConf& conf);
// Whether its values are in their ranges and go together.
Status check_station_conf(const StationConf& conf);

// Nothing when there is no such station on disk.
Result<std::optional<StationConf>> read_station_conf(const std::string& data,
                                                     const shm::StationName& name);
// Makes the station's folders. `is_new`: already_exists when there is one, else it replaces it.
Status write_station_conf(const std::string& data, const shm::StationName& name,
                          const StationConf& conf, bool is_new);
// The stations that are on disk, by name.
Result<std::vector<shm::StationName>> stations_on_disk(const std::string& data);
// Ends a station's life on disk, its conf first and last of all the mark that says so
// (being_removed): what a death leaves behind is removed with the next station of that name.
std::string being_removed(const std::string& data, const shm::StationName& name);
Status remove_station_files(const std::string& data, const shm::StationName& name);

// What its rings are made from.
Result<shm::RingOptions> ring_options_of(const StationConf& conf, const shm::StationName& name);

}  // namespace loopline::io
