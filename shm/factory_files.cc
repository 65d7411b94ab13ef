// Factory: its files, read whole and written whole or not at all.
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <set>

#include "factory.h"
#include "instance.h"
#include "name.h"

namespace loopline::shm {
namespace {

constexpr std::string_view file_suffix = ".conf";
constexpr int remove_tries_max = 100;

std::string folder_of(const InstancePaths& paths) { return paths.folder + "/factories"; }
std::string path_of(const InstancePaths& paths, const std::string& name) {
  return folder_of(paths) + "/" + name + std::string(file_suffix);
}
// One for all: writers hold the exclusive lock.
std::string new_path_of(const InstancePaths& paths) { return folder_of(paths) + "/.new"; }

Status check_name(const std::string& name) {
  if (is_name(name)) return ok();
  // The sentence of a station's bad name, which says what is wrong with which character.
  const auto parsed = parse_station_name(name + "/x");
  return Fault(FaultCode::invalid_argument,
               parsed ? "a factory has a name" : parsed.fault().message());
}

Fault never_added(const InstancePaths& paths, const std::string& name) {
  return {FaultCode::not_found, "factory \"" + name + "\" was never added in " + paths.folder +
                                    ", so it has the built-in defaults and no quota; say what it "
                                    "shall have: loopline factory add " +
                                    name};
}

Result<std::string> read_whole(const std::string& path) {
  LL_TRY(file, open_file("factory", path, false));
  std::array<char, factory_file_bytes_max + 1> bytes;
  size_t size = 0;
  while (size < bytes.size()) {
    const ssize_t got =
        ::pread(file.fd(), bytes.data() + size, bytes.size() - size, static_cast<off_t>(size));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fault_from_errno(errno, "cannot read factory " + path);
    if (got == 0) return std::string(bytes.data(), size);
    size += static_cast<size_t>(got);
  }
  return Fault(FaultCode::corrupted,
               "factory file " + path + " is larger than the " +
                   std::to_string(factory_file_bytes_max) +
                   " bytes that one may have: no Loopline wrote it; look at it, and remove it");
}

Status write_whole(int fd, std::string_view text, const std::string& path) {
  while (!text.empty()) {
    const ssize_t wrote = ::write(fd, text.data(), text.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return fault_from_errno(wrote < 0 ? errno : ENOSPC, "cannot write " + path);
    text.remove_prefix(static_cast<size_t>(wrote));
  }
  return ok();
}

// For the holder of the exclusive lock. If we die before the rename, `.new` is left, which the next
// writer replaces and nobody reads.
Status write_factory(const InstancePaths& paths, const std::string& name,
                     const FactorySettings& settings) {
  LL_TRY_STATUS(check_factory(settings));
  LL_TRY(mode, file_mode_of(paths));
  const std::string folder = folder_of(paths), temporary = new_path_of(paths);
  struct stat status;
  if (::stat(paths.folder.c_str(), &status) != 0) {
    return fault_from_errno(errno, "cannot examine folder " + paths.folder);
  }
  if (::mkdir(folder.c_str(), status.st_mode & 07777) != 0 && errno != EEXIST) {
    return fault_from_errno(errno, "cannot make folder " + folder);
  }
  ::unlink(temporary.c_str());
  const File file(
      ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot write to folder " + folder);
  LL_TRY_STATUS(write_whole(file.fd(), text_of(settings), temporary));
  LL_TRY_STATUS(set_file_mode("factory", file.fd(), temporary, mode));
  const std::string path = path_of(paths, name);
  if (::rename(temporary.c_str(), path.c_str()) == 0) return ok();
  const int error = errno;
  ::unlink(temporary.c_str());
  return fault_from_errno(error, "cannot give factory its name " + path);
}

// The names of the factory's stations.
Result<std::set<std::string>> stations_of(const Directory& directory, const std::string& name) {
  LL_TRY(rings, directory.list());
  std::set<std::string> stations;
  for (const auto& ring : rings) {
    if (ring.name.factory == name) stations.insert(ring.name.station);
  }
  return stations;
}

// A ring that no program of this version can attach to goes as a file: nobody hears of it.
Status remove_whatever_it_is(const Directory& directory, const StationName& station) {
  const Status removed = directory.remove_station(station);
  if (removed || removed.fault().code() == FaultCode::not_found) return ok();
  const FaultCode code = removed.fault().code();
  const bool is_useless = code == FaultCode::corrupted || code == FaultCode::version_mismatch;
  if (is_useless && directory.unlink(station, 0)) return ok();
  return removed.fault();
}

// Under the lock nobody makes a station, so that one who finds none leaves none behind. False: it
// has some.
Result<bool> drop_definition(const Directory& directory, const std::string& name, bool& was_there) {
  const auto lock = FolderLock::take(directory.paths(), FolderLock::Kind::exclusive);
  if (!lock) return lock.fault();
  LL_TRY(stations, stations_of(directory, name));
  if (!stations.empty()) return false;
  const std::string path = path_of(directory.paths(), name);
  was_there = ::unlink(path.c_str()) == 0;
  if (was_there || errno == ENOENT || errno == ENOTDIR) return true;
  return fault_from_errno(errno, "cannot remove factory " + path);
}

}  // namespace

Result<std::optional<FactorySettings>> read_factory(const InstancePaths& paths,
                                                    const std::string& name) {
  LL_TRY_STATUS(check_name(name));
  const std::string path = path_of(paths, name);
  const auto text = read_whole(path);
  const bool is_absent = !text && text.fault().code() == FaultCode::not_found;
  if (is_absent) return std::optional<FactorySettings>();
  if (!text) return text.fault();
  LL_TRY(settings, parse_factory(*text, "factory \"" + name + "\" cannot be read: " + path));
  return std::optional(settings);
}

Status add_factory(const InstancePaths& paths, const std::string& name,
                   const FactorySettings& settings) {
  LL_TRY_STATUS(check_name(name));
  LL_TRY_STATUS(make_folders(paths));
  const auto lock = FolderLock::take(paths, FolderLock::Kind::exclusive);
  if (!lock) return lock.fault();
  struct stat status;
  if (::lstat(path_of(paths, name).c_str(), &status) == 0) {
    return Fault(FaultCode::already_exists, "factory \"" + name + "\" exists already in " +
                                                paths.folder + "; see: loopline factory info " +
                                                name + ", or change it: loopline factory edit " +
                                                name);
  }
  return write_factory(paths, name, settings);
}

Status edit_factory(const InstancePaths& paths, const std::string& name,
                    const std::function<Status(FactorySettings&)>& change) {
  LL_TRY_STATUS(check_name(name));
  LL_TRY(before, read_factory(paths, name));
  if (!before) return never_added(paths, name);
  LL_TRY_STATUS(make_folders(paths));
  const auto lock = FolderLock::take(paths, FolderLock::Kind::exclusive);
  if (!lock) return lock.fault();
  LL_TRY(settings, read_factory(paths, name));
  if (!settings) return never_added(paths, name);
  LL_TRY_STATUS(change(*settings));
  return write_factory(paths, name, *settings);
}

Result<std::vector<std::string>> added_factories(const InstancePaths& paths) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder_of(paths), error), end; !error && at != end;
       at.increment(error)) {
    std::string file = at->path().filename().string();
    if (!file.ends_with(file_suffix)) continue;
    file.resize(file.size() - file_suffix.size());
    if (is_name(file)) names.push_back(std::move(file));
  }
  const bool is_absent = error == std::errc::no_such_file_or_directory;
  if (error && !is_absent) {
    return fault_from_errno(error.value(), "cannot list folder " + folder_of(paths));
  }
  std::sort(names.begin(), names.end());
  return names;
}

Status remove_factory(const Directory& directory, const std::string& name, bool with_stations) {
  LL_TRY_STATUS(check_name(name));
  size_t removed = 0;
  for (int count = 0; count < remove_tries_max; ++count) {
    LL_TRY_STATUS(directory.finish_removals(name));
    LL_TRY(stations, stations_of(directory, name));
    for (const std::string& station : stations) {
      if (!with_stations) break;
      LL_TRY_STATUS(remove_whatever_it_is(directory, {name, station}));
      ++removed;
    }
    bool was_there = false;
    LL_TRY(done, drop_definition(directory, name, was_there));
    if (done && (was_there || removed != 0)) return ok();
    if (done) {
      return Fault(FaultCode::not_found, "there is no factory \"" + name + "\" in " +
                                             directory.paths().folder +
                                             "; see: loopline factory ls");
    }
    if (!with_stations) {
      const std::string many =
          std::to_string(stations.size()) + (stations.size() == 1 ? " station" : " stations");
      return Fault(FaultCode::already_exists,
                   "factory \"" + name + "\" has " + many +
                       ", so it stays; remove them first, or with it: loopline factory rm " + name +
                       " --force");
    }
  }
  return Fault(FaultCode::timed_out, "stations of factory \"" + name +
                                         "\" are made faster than they can be removed: another "
                                         "program makes them again and again");
}

}  // namespace loopline::shm
