// Factory: the public options as what shm keeps in a factory's file, and back.
#include "loopline/factory.h"

#include <algorithm>
#include <chrono>

#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "shm/directory.h"
#include "shm/factory.h"
#include "shm/name.h"

namespace loopline {
namespace {

Result<shm::FactorySettings> settings_of(const FactoryOptions& options) {
  const StationOptions& stations = options.stations;
  if (stations.segment || stations.retention_age || stations.retention_messages ||
      stations.retention_bytes || stations.flush) {
    return Fault(FaultCode::invalid_argument,
                 "a factory has no defaults for segment, retention and flush: name them with each "
                 "station");
  }
  shm::FactorySettings settings;
  if (stations.storage) settings.storage = static_cast<shm::Storage>(*stations.storage);
  settings.ring = stations.ring;
  settings.partitions = stations.partitions;
  settings.max_message = stations.max_message;
  settings.exclusive = stations.exclusive;
  if (stations.when_full) settings.when_full = static_cast<shm::WhenFull>(*stations.when_full);
  if (stations.evict_after) {
    settings.evict_after_ns = static_cast<uint64_t>(std::max(0L, stations.evict_after->count()));
  }
  if (stations.timestamp) {
    settings.timestamp = static_cast<shm::TimestampKind>(*stations.timestamp);
  }
  if (stations.dedup_window) {
    settings.dedup_window_ns = static_cast<uint64_t>(std::max(0L, stations.dedup_window->count()));
  }
  settings.dedup_entries = stations.dedup_entries;
  settings.mode = stations.mode;
  settings.owner = stations.owner;
  settings.quota_memory = options.quota_memory;
  settings.quota_stations = options.quota_stations;
  return settings;
}

FactoryOptions options_of(const shm::FactorySettings& settings) {
  FactoryOptions options;
  StationOptions& stations = options.stations;
  if (settings.storage) stations.storage = static_cast<Storage>(*settings.storage);
  stations.ring = settings.ring;
  stations.partitions = settings.partitions;
  stations.max_message = settings.max_message;
  stations.exclusive = settings.exclusive;
  if (settings.when_full) stations.when_full = static_cast<WhenFull>(*settings.when_full);
  if (settings.evict_after_ns) {
    stations.evict_after = std::chrono::nanoseconds(*settings.evict_after_ns);
  }
  if (settings.timestamp) stations.timestamp = static_cast<Timestamp>(*settings.timestamp);
  if (settings.dedup_window_ns) {
    stations.dedup_window = std::chrono::nanoseconds(*settings.dedup_window_ns);
  }
  stations.dedup_entries = settings.dedup_entries;
  stations.mode = settings.mode;
  stations.owner = settings.owner;
  options.quota_memory = settings.quota_memory;
  options.quota_stations = settings.quota_stations;
  return options;
}

// The factory's stations that are on disk: removed, or in the way.
Status leave_disk(const shm::Directory& directory, const std::string& data,
                  std::string_view factory, bool with_stations) {
  LL_TRY(stations, io::stations_on_disk(data));
  for (const shm::StationName& station : stations) {
    if (station.factory != factory) continue;
    if (!with_stations) {
      return Fault(FaultCode::already_exists,
                   "factory \"" + station.factory + "\" has station \"" + station.text() +
                       "\" on disk, so it stays; remove its stations first, or with it: loopline "
                       "factory rm " +
                       station.factory + " --force");
    }
    LL_TRY_STATUS(io::remove_station_everywhere(directory, data, station));
  }
  return ok();
}

}  // namespace

Result<Factory> Factory::create(std::string_view name, const FactoryOptions& options,
                                std::string_view dir) {
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(settings, settings_of(options));
  LL_TRY_STATUS(shm::add_factory(paths, std::string(name), settings));
  return Factory(std::string(name), std::string(dir));
}

Result<Factory> Factory::open(std::string_view name, std::string_view dir) {
  Factory factory{std::string(name), std::string(dir)};
  LL_TRY(options, factory.options());
  static_cast<void>(options);
  return factory;
}

Result<std::vector<std::string>> Factory::list(std::string_view dir) {
  LL_TRY(paths, shm::find_instance(dir));
  return shm::added_factories(paths);
}

Status Factory::remove(std::string_view name, bool with_stations, std::string_view dir) {
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(directory, shm::Directory::open_or_create(paths));
  LL_TRY_STATUS(leave_disk(directory, io::data_folder_of(paths), name, with_stations));
  return shm::remove_factory(directory, std::string(name), with_stations);
}

Result<FactoryOptions> Factory::options() const {
  LL_TRY(paths, shm::find_instance(dir_));
  LL_TRY(settings, shm::read_factory(paths, name_));
  if (settings) return options_of(*settings);
  return Fault(FaultCode::not_found, "factory \"" + name_ + "\" was never created in " +
                                         paths.folder +
                                         ", so it has the built-in defaults and no quota");
}

Status Factory::edit(const FactoryOptions& options) {
  LL_TRY(paths, shm::find_instance(dir_));
  LL_TRY(wanted, settings_of(options));
  return shm::edit_factory(paths, name_, [&](shm::FactorySettings& settings) -> Status {
    settings = wanted;
    return ok();
  });
}

Result<FactoryUse> Factory::use() const {
  LL_TRY(paths, shm::find_instance(dir_));
  LL_TRY(directory, shm::Directory::open_or_create(paths));
  LL_TRY(used, shm::use_of_factory(directory, name_));
  return FactoryUse{used.stations, used.bytes};
}

}  // namespace loopline
