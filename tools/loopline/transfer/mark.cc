// ImportMark: a small file of lines under an open-file lock.
#include "mark.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <string_view>

#include "shm/base/clock.h"
#include "tools/loopline/output.h"

namespace loopline::cli {
namespace {

constexpr size_t mark_bytes_max = 8192;
constexpr int mark_tries_max = 16;

std::string imports_folder(const shm::InstancePaths& paths) { return paths.folder + "/imports"; }

std::string mark_path(const shm::InstancePaths& paths, const shm::StationName& name) {
  return imports_folder(paths) + "/" + name.factory + "@" + name.station;
}

bool try_lock_mark(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  return ::fcntl(fd, F_OFD_SETLK, &lock) == 0;
}

// Without a lock of its own: asking takes none.
bool is_locked(int fd) {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

uint64_t number_of(std::string_view text, int base) {
  uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

// A path that somebody else wrote, fit for a terminal.
std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& letter : shown) {
    if (static_cast<unsigned char>(letter) < ' ' || letter == 0x7f) letter = '?';
  }
  return shown;
}

// Nothing: it is empty, so that nothing was made yet.
std::optional<ImportFacts> read_mark(int fd) {
  char bytes[mark_bytes_max];
  const ssize_t got = ::pread(fd, bytes, sizeof bytes, 0);
  if (got <= 0) return {};
  ImportFacts facts;
  std::string_view text(bytes, static_cast<size_t>(got));
  while (!text.empty()) {
    const size_t length = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, length);
    text.remove_prefix(std::min(length + 1, text.size()));
    const size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = line.substr(0, equals), value = line.substr(equals + 1);
    if (key == "pid") facts.pid = static_cast<uint32_t>(number_of(value, 10));
    if (key == "started_ns") facts.started_ns = number_of(value, 10);
    if (key == "source") facts.source = printable(value);
    if (key == "station" && value.size() == 32) {
      facts.id = {number_of(value.substr(0, 16), 16), number_of(value.substr(16), 16)};
    }
  }
  return facts;
}

}  // namespace

StationId station_id_of(const shm::RingHeader& ring) {
  const bool is_file = ring.storage == shm::Storage::file;
  return is_file ? StationId{ring.log_uuid[0], ring.log_uuid[1]}
                 : StationId{ring.lineage[0], ring.lineage[1]};
}

Result<ImportMark> ImportMark::take(const shm::InstancePaths& paths, const shm::StationName& name) {
  const std::string folder = imports_folder(paths);
  if (::mkdir(folder.c_str(), 0770) != 0 && errno != EEXIST) {
    return fault_from_errno(errno, "cannot make folder " + folder);
  }
  const std::string path = mark_path(paths, name);
  for (int count = 0; count < mark_tries_max; ++count) {
    shm::File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660));
    if (file.fd() < 0) return fault_from_errno(errno, "cannot write " + path);
    if (!try_lock_mark(file.fd())) {
      auto facts = read_mark(file.fd());
      if (!facts) facts.emplace();
      facts->is_alive = true;
      return Fault(FaultCode::already_exists, import_text(name, facts));
    }
    // Its last holder may have taken it away before we had the lock.
    struct stat held;
    if (::fstat(file.fd(), &held) != 0 || held.st_nlink == 0) continue;
    ImportMark mark(std::move(file), path);
    mark.left_ = read_mark(mark.file_.fd());
    mark.started_ns_ = utc_ns();
    return mark;
  }
  return Fault(FaultCode::timed_out, path + " comes and goes: try again");
}

Status ImportMark::write(const std::string& source, const std::optional<StationId>& id) {
  std::string text = fmt::format("pid={}\nstarted_ns={}\nsource={}\n", ::getpid(), started_ns_,
                                 printable(source).substr(0, mark_bytes_max / 2));
  if (id) text += fmt::format("station={:016x}{:016x}\n", (*id)[0], (*id)[1]);
  // It only grows: what is read of it meanwhile is what it was, or is.
  const ssize_t put = ::pwrite(file_.fd(), text.data(), text.size(), 0);
  if (put == static_cast<ssize_t>(text.size()) &&
      ::ftruncate(file_.fd(), static_cast<off_t>(text.size())) == 0 && ::fsync(file_.fd()) == 0) {
    return ok();
  }
  return fault_from_errno(put < 0 ? errno : EIO, "cannot write " + path_);
}

void ImportMark::remove() { ::unlink(path_.c_str()); }

std::optional<ImportFacts> import_of(const shm::InstancePaths& paths, const shm::StationName& name,
                                     const std::optional<StationId>& id) {
  const std::string path = mark_path(paths, name);
  const shm::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.fd() < 0) return {};
  auto facts = read_mark(file.fd());
  if (!facts) return {};
  facts->is_alive = is_locked(file.fd());
  // Without an id it died while it made the station, which then is the one that is there.
  if (facts->id && id && *facts->id != *id) return {};
  return facts;
}

std::string import_text(const shm::StationName& name, const std::optional<ImportFacts>& facts) {
  if (!facts) return "";
  const std::string since = facts->started_ns == 0 ? "" : " since " + utc_text(facts->started_ns);
  const std::string source = facts->source.empty() ? "" : " out of " + facts->source;
  if (facts->is_alive) {
    return fmt::format("station \"{}\" is being imported{} by process {}{}: wait for it",
                       name.text(), source, facts->pid, since);
  }
  return fmt::format(
      "station \"{}\" holds a part only: its import{}, begun{}, was killed; remove it, then import "
      "it again: loopline station rm {}",
      name.text(), source, since.empty() ? " earlier" : since.substr(6), name.text());
}

void forget_import(const shm::InstancePaths& paths, const shm::StationName& name) {
  const std::string path = mark_path(paths, name);
  const shm::File file(::open(path.c_str(), O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.fd() >= 0 && try_lock_mark(file.fd())) ::unlink(path.c_str());
}

}  // namespace loopline::cli
