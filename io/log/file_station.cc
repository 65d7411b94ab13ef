// FileStation: conf and rings made, revived and removed in an order that a death may interrupt.
#include "file_station.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "examine.h"
#include "paths.h"
#include "posix_disk.h"
#include "shm/file.h"
#include "shm/station_lock.h"

namespace loopline::io {
namespace {

bool is_absent(const Fault& fault) { return fault.code() == FaultCode::not_found; }

Result<std::optional<Pair>> end_on_disk(const std::string& data, const shm::StationName& name,
                                        uint32_t partition) {
  auto log = examine(posix_disk(), log_folder(data, name, partition), {});
  if (!log && is_absent(log.fault())) return std::optional<Pair>();
  if (!log) return log.fault();
  if (log->end == LogPlace{}) return std::optional<Pair>();
  return std::optional<Pair>(Pair{log->end.position, log->end.sequence});
}

Status make_rings(const shm::Directory& directory, const StationConf& conf,
                  const shm::StationName& name) {
  // Asked first, because making one reads the log to its end.
  if (directory.attach(name, 0, shm::Access::look)) return ok();
  LL_TRY(options, ring_options_of(conf, name));
  const auto made = directory.create(options);
  if (made || made.fault().code() == FaultCode::already_exists) return ok();
  return made.fault();
}

}  // namespace

void keep_on_disk(shm::Directory& directory, const std::string& data) {
  directory.set_start_of([data](const shm::StationName& name, uint32_t partition) {
    return end_on_disk(data, name, partition);
  });
}

Status create_file_station(const shm::Directory& directory, const std::string& data,
                           const shm::StationName& name, StationConf conf) {
  LL_TRY_STATUS(directory.roster());  // its file holds the lock
  const auto lock = shm::StationLock::take(directory, name);
  if (!lock) return lock.fault();
  LL_TRY(before, read_station_conf(data, name));
  const auto ring = directory.attach(name, 0, shm::Access::look);
  if (before || ring) {
    return Fault(FaultCode::already_exists, "station \"" + name.text() + "\" exists already");
  }
  // What a death left of a station of that name, which is nobody's.
  LL_TRY_STATUS(remove_station_files(data, name));
  LL_TRY(uuid, shm::make_uuid());
  conf.id = {{uuid.words[0], uuid.words[1]}};
  LL_TRY_STATUS(write_station_conf(data, name, conf, true));
  const Status made = make_rings(directory, conf, name);
  if (!made) (void)remove_station_files(data, name);
  if (!made) return made.fault();
  return ok();
}

Result<bool> revive_station(const shm::Directory& directory, const std::string& data,
                            const shm::StationName& name) {
  LL_TRY(seen, read_station_conf(data, name));
  if (!seen) return false;
  LL_TRY_STATUS(directory.roster());
  const auto lock = shm::StationLock::take(directory, name);
  if (!lock) return lock.fault();
  LL_TRY(conf, read_station_conf(data, name));
  if (!conf) return false;
  LL_TRY_STATUS(make_rings(directory, *conf, name));
  return true;
}

// The conf goes first, so that nobody revives what is being removed; if the rings refuse, it comes
// back.
Status remove_station_everywhere(const shm::Directory& directory, const std::string& data,
                                 const shm::StationName& name) {
  const std::string path = station_file(data, name);
  const std::string aside = path + ".removing";
  const bool was_on_disk = ::rename(path.c_str(), aside.c_str()) == 0;
  if (!was_on_disk && errno != ENOENT && errno != ENOTDIR) {
    return fault_from_errno(errno, "cannot remove station " + path);
  }
  const Status removed = directory.remove_station(name);
  const bool is_gone = removed || is_absent(removed.fault());
  if (!is_gone) {
    if (was_on_disk) ::rename(aside.c_str(), path.c_str());
    return removed.fault();
  }
  std::error_code error;
  const bool has_files = std::filesystem::exists(station_folder(data, name), error);
  if (has_files) LL_TRY_STATUS(remove_station_files(data, name));
  if (!removed && !was_on_disk && !has_files) return removed.fault();
  return ok();
}

}  // namespace loopline::io
