// Paths: where the files of a log lie, and what their names say.
//
//   DATA/stations/FACTORY@STATION/station.conf          its parameters
//   DATA/stations/FACTORY@STATION/0/manifest, lock       one folder a partition
//   DATA/stations/FACTORY@STATION/0/purged               from where it counts; purge_mark.h
//   DATA/stations/FACTORY@STATION/0/12@1056768@4711.segment   number, first position and sequence
//   DATA/stations/FACTORY@STATION/0/13.segment           ready to be begun, or begun a moment ago
//   DATA/spares/67108864@5be12f.spare                    dropped segments, to be used again
//
// A name is a hint that spares opening a thousand segments; what is in the file decides.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "format.h"
#include "shm/directory.h"

namespace loopline::io {

// The data folder of an instance: FOLDER/data, but for /run/loopline it is /var/lib/loopline, and
// for $XDG_RUNTIME_DIR/loopline it is $XDG_DATA_HOME/loopline or ~/.local/share/loopline.
std::string data_folder_of(const shm::InstancePaths& instance);

std::string stations_folder(const std::string& data);
std::string station_folder(const std::string& data, const shm::StationName& name);
std::string station_file(const std::string& data, const shm::StationName& name);
std::string log_folder(const std::string& data, const shm::StationName& name, uint32_t partition);
std::string spares_folder(const std::string& data);
std::string manifest_path(const std::string& log);
std::string lock_path(const std::string& log);
std::string purge_path(const std::string& log);

// What a segment file's name says.
struct SegmentName {
  uint64_t number = 0;
  std::optional<LogPlace> start;  // none: not said
};
std::string segment_file_name(const SegmentName& name);
std::optional<SegmentName> parse_segment_name(std::string_view file);
std::optional<shm::StationName> parse_station_folder(std::string_view folder);
// `token` makes it one of its own.
std::string spare_file_name(uint64_t segment_bytes, uint64_t token);
std::optional<uint64_t> parse_spare_name(std::string_view file);  // its bytes

}  // namespace loopline::io
