// Parameters: a ring's header or a conf to text, text and options to a conf.
#include "parameters.h"

#include <sys/stat.h>

#include "io/log/file_station.h"
#include "shm/factory.h"
#include "shm/layout.h"

namespace loopline::cli {
namespace {

shm::FactorySettings settings_of(const shm::RingSnapshot& ring) {
  const shm::RingHeader& header = ring.header;
  shm::FactorySettings settings;
  settings.storage = shm::Storage::memory;
  settings.ring = header.capacity;
  settings.partitions = header.partitions;
  // As large as its ring allows: so it is with another ring.
  if (header.message_max != shm::body_max_of(header.capacity)) {
    settings.max_message = header.message_max;
  }
  settings.exclusive = header.exclusive != 0;
  settings.when_full = header.when_full;
  settings.evict_after_ns = header.evict_after_ns;
  settings.timestamp = header.timestamp;
  settings.dedup_window_ns = header.dedup_window_ns;
  settings.dedup_entries = header.dedup_entries;
  struct stat status;
  if (::stat(ring.path.c_str(), &status) == 0) settings.mode = status.st_mode & 0777;
  return settings;
}

Result<uint64_t> nanoseconds_of(const char* key, std::chrono::nanoseconds time) {
  if (time.count() >= 0) return static_cast<uint64_t>(time.count());
  return Fault(FaultCode::invalid_argument, std::string(key) + " cannot be negative");
}

void set_ring(const StationOptions& options, shm::FactorySettings& ring) {
  if (options.ring) ring.ring = options.ring;
  if (options.partitions) ring.partitions = options.partitions;
  if (options.max_message) ring.max_message = options.max_message;
  if (options.exclusive) ring.exclusive = options.exclusive;
  if (options.when_full) ring.when_full = static_cast<shm::WhenFull>(*options.when_full);
  if (options.timestamp) ring.timestamp = static_cast<shm::TimestampKind>(*options.timestamp);
  if (options.dedup_entries) ring.dedup_entries = options.dedup_entries;
  if (options.mode) ring.mode = options.mode;
  if (options.owner) ring.owner = options.owner;
}

Status set_times(const StationOptions& options, io::StationConf& conf) {
  if (options.evict_after) {
    LL_TRY(time, nanoseconds_of("evict-after", *options.evict_after));
    conf.ring.evict_after_ns = time;
  }
  if (options.dedup_window) {
    LL_TRY(time, nanoseconds_of("dedup-window", *options.dedup_window));
    conf.ring.dedup_window_ns = time;
  }
  if (options.retention_age) {
    LL_TRY(time, nanoseconds_of("retention.age", *options.retention_age));
    conf.retention.age_ns = time;
  }
  if (options.flush) {
    LL_TRY(time, nanoseconds_of("flush", *options.flush));
    conf.flush_interval_ns = time;
  }
  return ok();
}

bool has_log_options(const StationOptions& options) {
  return options.segment || options.retention_age || options.retention_messages ||
         options.retention_bytes || options.flush;
}

}  // namespace

Result<std::string> parameters_text(const std::string& data, const shm::RingSnapshot& ring) {
  if (ring.header.storage == shm::Storage::memory) return shm::text_of(settings_of(ring));
  const shm::StationName name{ring.header.factory, ring.header.station};
  LL_TRY(conf, io::read_station_conf(data, name));
  if (!conf) return io::conf_missing(data, name, &ring.header);
  return io::text_of(*conf);
}

Result<NewStation> new_station_of(const TransferBegin& begin, const shm::StationName& name,
                                  const StationOptions& options) {
  const std::string where = "the parameters in the stream";
  NewStation station{name, begin.is_file, {}, {}};
  if (begin.is_file) {
    LL_TRY(conf, io::parse_station_conf(begin.parameters, where));
    station.conf = std::move(conf);
  } else {
    LL_TRY(ring, shm::parse_factory(begin.parameters, where));
    station.conf.ring = std::move(ring);
  }
  if (station.conf.ring.partitions.value_or(1) != begin.partitions.size()) {
    return Fault(FaultCode::corrupted, where + " count other partitions than it has");
  }
  station.owner_left_out = std::exchange(station.conf.ring.owner, std::nullopt);
  station.conf.ring.storage = std::nullopt;
  station.conf.ring.quota_memory = std::nullopt;
  station.conf.ring.quota_stations = std::nullopt;
  if (options.partitions && *options.partitions != begin.partitions.size()) {
    return Fault(FaultCode::invalid_argument,
                 "--partitions cannot differ from the " + std::to_string(begin.partitions.size()) +
                     " of the station that was exported: keys would lead elsewhere");
  }
  if (options.storage) station.is_file = *options.storage == Storage::file;
  if (!station.is_file && has_log_options(options)) {
    return Fault(FaultCode::invalid_argument,
                 "segment, retention and flush are for stations on disk: add --storage file");
  }
  set_ring(options, station.conf.ring);
  LL_TRY_STATUS(set_times(options, station.conf));
  if (options.segment) station.conf.segment_bytes = *options.segment;
  if (options.retention_messages) station.conf.retention.messages = *options.retention_messages;
  if (options.retention_bytes) station.conf.retention.bytes = *options.retention_bytes;
  LL_TRY_STATUS(station.is_file ? io::check_station_conf(station.conf)
                                : shm::check_factory(station.conf.ring));
  return station;
}

}  // namespace loopline::cli
