// FileStation: conf and rings made, revived and removed in an order that a death may interrupt.
#include "file_station.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <sstream>

#include "examine.h"
#include "ledger_fill.h"
#include "log_reader.h"
#include "manifest.h"
#include "paths.h"
#include "posix_disk.h"
#include "purge_mark.h"
#include "shm/base/clock.h"
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
  directory.set_fill_ledger(
      [data](const shm::Directory& where, const shm::RingHeader& ring, shm::Ledger& ledger) {
        return fill_ledger(where, data, ring, ledger);
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
  if (has_lost_conf(data, name)) return conf_missing(data, name, nullptr);
  // What a death left of a station that was being removed, or made.
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
  // Nothing is made of one that lives, and nobody's lock is waited for.
  if (directory.attach(name, 0, shm::Access::look)) return true;
  LL_TRY_STATUS(directory.roster());
  const auto lock = shm::StationLock::take(directory, name);
  if (!lock) return lock.fault();
  LL_TRY(conf, read_station_conf(data, name));
  if (!conf) return false;
  LL_TRY_STATUS(make_rings(directory, *conf, name));
  return true;
}

namespace {

// The lines that a conf cannot do without; what is not said has its default, and nothing is dropped
// before somebody says what may be.
std::string lines_wanted(const LogId& id, const shm::RingHeader* ring, uint32_t partitions) {
  StationConf conf;
  conf.id = id;
  conf.retention.age_ns = 0;
  conf.ring.partitions = partitions;
  if (ring != nullptr) conf.ring.ring = ring->capacity;
  std::string wanted;
  std::istringstream lines(text_of(conf));
  for (std::string line; std::getline(lines, line);) {
    const bool is_needed = line.starts_with("uuid") || line.starts_with("ring") ||
                           line.starts_with("partitions") || line.starts_with("retention.age");
    if (is_needed) wanted += (wanted.empty() ? "\"" : ", \"") + line + "\"";
  }
  return wanted;
}

// Which log it is, as its own manifest says; none: nobody knows.
std::optional<LogId> id_on_disk(const std::string& log) {
  const auto found = load_manifest(posix_disk(), log);
  if (!found || !found->manifest) return {};
  return found->manifest->log;
}

}  // namespace

bool has_lost_conf(const std::string& data, const shm::StationName& name) {
  std::error_code error;
  return !std::filesystem::exists(station_file(data, name), error) &&
         !std::filesystem::exists(being_removed(data, name), error) &&
         std::filesystem::exists(log_folder(data, name, 0), error);
}

Fault conf_missing(const std::string& data, const shm::StationName& name,
                   const shm::RingHeader* ring) {
  uint32_t partitions = ring != nullptr ? ring->partitions : 0;
  std::error_code error;
  while (ring == nullptr && partitions < shm::partitions_max &&
         std::filesystem::exists(log_folder(data, name, partitions), error)) {
    ++partitions;
  }
  std::optional<LogId> id = id_on_disk(log_folder(data, name, 0));
  if (ring != nullptr) id = LogId{{ring->log_uuid[0], ring->log_uuid[1]}};
  const std::string text = "station \"" + name.text() +
                           "\" is kept on disk, but the file with its parameters is missing: " +
                           station_file(data, name) + "; put it back from a backup";
  if (!id) return {FaultCode::corrupted, text};
  return {FaultCode::corrupted, text + ", or write it with these lines: " +
                                    lines_wanted(*id, ring, std::max(partitions, 1u)) +
                                    "; or, if nobody wants its messages: loopline station rm " +
                                    name.text()};
}

// The conf goes first, so that nobody revives what is being removed; if the rings refuse, it comes
// back.
Status remove_station_everywhere(const shm::Directory& directory, const std::string& data,
                                 const shm::StationName& name) {
  const std::string path = station_file(data, name);
  const std::string aside = being_removed(data, name);
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

namespace {

// From where on a log counts, before it is purged.
Result<LogPlace> beginning_of(const std::string& log, const LogId& id) {
  auto reader = LogReader::open(posix_disk(), log, id);
  if (reader) return reader->begin();
  if (is_absent(reader.fault())) return LogPlace{shm::unit_size, 1};  // nothing was written yet
  return reader.fault();
}

// Purges the logs of a station as its rings are sealed.
class LogPurger {
 public:
  LogPurger(std::string data, const shm::StationName& name, const LogId& station)
      : data_(std::move(data)), name_(name), station_(station) {}

  Status purge(uint32_t partition, Pair from) {
    const std::string log = log_folder(data_, name_, partition);
    PurgeMark mark{};
    mark.log = log_of_partition(station_, partition);
    mark.place = {from.first, from.second};
    mark.purged_ns = utc_ns();
    LL_TRY(begin, beginning_of(log, mark.log));
    if (begin.sequence >= from.second) return ok();
    LL_TRY_STATUS(store_purge_mark(posix_disk(), log, mark));
    messages_ += from.second - begin.sequence;
    bytes_ += from.first - begin.position;
    return ok();
  }

  // Seal frames are no messages.
  void tell(shm::StationChange& change) const {
    change.messages = messages_ - std::min<uint64_t>(messages_, change.rings);
    change.bytes = bytes_ - std::min<uint64_t>(bytes_, change.rings * shm::unit_size);
    change.is_changed = change.messages != 0 || change.rings != 0;
  }

 private:
  std::string data_;
  const shm::StationName& name_;
  LogId station_;
  uint64_t messages_ = 0, bytes_ = 0;
};

}  // namespace

Result<shm::StationChange> purge_file_station(const shm::Directory& directory,
                                              const std::string& data,
                                              const shm::StationName& name) {
  LL_TRY_STATUS(revive_station(directory, data, name));
  LL_TRY(conf, read_station_conf(data, name));
  if (!conf) return Fault(FaultCode::not_found, "station \"" + name.text() + "\" was removed");
  LogPurger purger(data, name, conf->id);
  LL_TRY(change, shm::purge_station(directory, name, [&](const shm::RingHeader& ring, Pair from) {
           return purger.purge(ring.partition, from);
         }));
  // Whoever flushes it sees by the conf's time that there is something to look at; if we die before
  // it, or may not, it finds the marks when it is started next.
  (void)::utimensat(AT_FDCWD, station_file(data, name).c_str(), nullptr, 0);
  purger.tell(change);
  return std::move(change);
}

}  // namespace loopline::io
