// StationDisk: the conf, then each partition as an opening would find it.
#include "station_disk.h"

#include <sys/stat.h>

#include <algorithm>
#include <filesystem>

#include "io/log/file_station.h"
#include "io/log/manifest.h"
#include "io/log/paths.h"
#include "io/log/posix_disk.h"
#include "shm/instance.h"

namespace loopline::cli {
namespace {

constexpr uint64_t stat_block_bytes = 512;
constexpr int looks_max = 4;

// The first one's footer, where it was not looked at.
uint64_t oldest_time(const std::string& folder, const io::LogFacts& facts) {
  if (facts.segments.empty()) return 0;
  const io::SegmentFacts& first = facts.segments.front();
  if (first.is_scanned) return first.timestamp_min;
  auto segment = io::SegmentReader::open(io::posix_disk(), folder + "/" + first.file);
  std::string why;
  auto index = segment ? segment->read_index(why)
                       : Result<std::optional<io::Index>>(std::optional<io::Index>());
  return index && *index ? (*index)->footer.timestamp_min : 0;
}

uint32_t partitions_of(const StationOnDisk& station, const std::string& data,
                       const shm::RingHeader* ring) {
  if (ring != nullptr) return ring->partitions;
  if (station.conf) return station.conf->ring.partitions.value_or(1);
  uint32_t count = 0;
  std::error_code error;
  while (count < shm::partitions_max &&
         std::filesystem::exists(io::log_folder(data, station.name, count), error)) {
    ++count;
  }
  return count;
}

LogOnDisk look_at_log(const std::string& folder, uint32_t partition) {
  LogOnDisk log;
  log.partition = partition;
  log.folder = folder;
  auto facts = io::examine(io::posix_disk(), folder, {});
  bool is_absent = !facts && facts.fault().code() == FaultCode::not_found;
  // One of its segments may have been dropped below us.
  for (int count = 0; count < looks_max && is_absent; ++count) {
    if (!io::load_manifest(io::posix_disk(), folder)) break;
    facts = io::examine(io::posix_disk(), folder, {});
    is_absent = !facts && facts.fault().code() == FaultCode::not_found;
  }
  if (!facts && !is_absent) log.damage = facts.fault().message();
  if (!facts) return log;
  log.facts = std::move(*facts);
  log.is_there = log.facts.end != io::LogPlace{};
  log.disk_bytes = bytes_on_disk(folder, log.facts);
  log.oldest_ns = oldest_time(folder, log.facts);
  log.newest_ns = log.facts.time_mark;
  return log;
}

}  // namespace

// What retention drops while we look, and batches that are on their way behind what is durable,
// leave holes that are none.
void LogOnDisk::put_ring(std::optional<shm::RingSnapshot> seen) {
  ring = std::move(seen);
  if (!ring || !ring->log || ring->log->state == shm::LogState::idle) return;
  const uint64_t durable = ring->log->durable.first;
  const auto manifest = io::load_manifest(io::posix_disk(), folder);
  const bool is_known = manifest && manifest->manifest;
  const uint64_t first = is_known ? manifest->manifest->first.position : 0;
  facts.gaps.erase(std::remove_if(facts.gaps.begin(), facts.gaps.end(),
                                  [&](const io::LogGap& gap) {
                                    return gap.from.position >= durable || gap.to.position <= first;
                                  }),
                   facts.gaps.end());
}

// While somebody writes, what the ring says is durable counts.
uint64_t LogOnDisk::end_sequence() const {
  if (ring && ring->log && ring->log->state != shm::LogState::idle) {
    return ring->log->durable.second;
  }
  return std::max<uint64_t>(facts.end.sequence, 1);
}

uint64_t StationOnDisk::messages() const {
  uint64_t count = 0;
  for (const LogOnDisk& log : logs) count += log.end_sequence() - 1;
  return count;
}

uint64_t StationOnDisk::kept() const {
  uint64_t count = 0;
  for (const LogOnDisk& log : logs) {
    if (log.is_there)
      count += log.end_sequence() - std::min(log.first_sequence(), log.end_sequence());
  }
  return count;
}

uint64_t bytes_on_disk(const std::string& folder, const io::LogFacts& facts) {
  uint64_t bytes = 0;
  for (const io::SegmentFacts& segment : facts.segments) {
    struct stat status;
    if (::stat((folder + "/" + segment.file).c_str(), &status) != 0) continue;
    bytes += static_cast<uint64_t>(status.st_blocks) * stat_block_bytes;
  }
  return bytes;
}

StationOnDisk find_on_disk(const std::string& data, const shm::StationName& name,
                           const shm::RingHeader* ring) {
  StationOnDisk station;
  station.name = name;
  station.folder = io::station_folder(data, name);
  auto conf = io::read_station_conf(data, name);
  const bool has_log = io::has_lost_conf(data, name);
  const bool has_conf = !conf || conf->has_value();
  station.is_there = has_conf || has_log;
  if (!conf) station.damage = conf.fault().message();
  if (conf) station.conf = std::move(*conf);
  station.partitions = partitions_of(station, data, ring);
  const bool is_of_ring = ring != nullptr && ring->storage == shm::Storage::file;
  if (!has_conf && (is_of_ring || (has_log && ring == nullptr))) {
    station.damage = io::conf_missing(data, name, is_of_ring ? ring : nullptr).message();
  }
  return station;
}

StationOnDisk look_at_disk(const std::string& data, const shm::StationName& name,
                           const shm::RingHeader* ring) {
  StationOnDisk station = find_on_disk(data, name, ring);
  for (uint32_t partition = 0; partition < station.partitions; ++partition) {
    station.logs.push_back(look_at_log(io::log_folder(data, name, partition), partition));
  }
  return station;
}

Result<std::string> find_data(const std::string& dir) {
  LL_TRY(paths, shm::find_instance(dir));
  return io::data_folder_of(paths);
}

std::vector<shm::StationName> names_on_disk(const std::string& data) {
  std::vector<shm::StationName> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(io::stations_folder(data), error), end;
       !error && at != end; at.increment(error)) {
    const auto name = io::parse_station_folder(at->path().filename().string());
    if (name && find_on_disk(data, *name, nullptr).is_there) names.push_back(*name);
  }
  std::sort(names.begin(), names.end(),
            [](const auto& left, const auto& right) { return left.text() < right.text(); });
  return names;
}

}  // namespace loopline::cli
