// StationsWatch: a watch on the folder of stations, and one on each station's.
#include "stations_watch.h"

#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

namespace loopline::broker {
namespace {

constexpr uint32_t name_changes = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE;
constexpr uint32_t root_mask = name_changes | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr uint32_t folder_mask = name_changes | IN_ATTRIB | IN_ONLYDIR;  // a purge touches a conf
constexpr const char* conf_name = "station.conf";

}  // namespace

Result<StationsWatch> StationsWatch::start(const std::string& stations) {
  shm::File inotify(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
  if (inotify.fd() < 0) return fault_from_errno(errno, "cannot watch folder " + stations);
  StationsWatch watch(std::move(inotify), stations);
  watch.catch_up();
  return watch;
}

void StationsWatch::watch_folder(const std::string& name) {
  const std::string path = stations_ + "/" + name;
  const int watch = ::inotify_add_watch(inotify_.fd(), path.c_str(), folder_mask);
  if (watch >= 0) folders_[watch] = name;
  const bool is_short = watch < 0 && (errno == ENOSPC || errno == ENOMEM);
  if (is_short && trouble_.empty()) {
    trouble_ =
        "the kernel gives no more watches on folders (fs.inotify.max_user_watches): some "
        "stations are noticed only at the next look";
  }
}

void StationsWatch::catch_up() {
  trouble_.clear();
  root_ = ::inotify_add_watch(inotify_.fd(), stations_.c_str(), root_mask);
  if (root_ < 0) return;  // not there yet
  std::error_code error;
  std::filesystem::directory_iterator at(stations_, error);
  for (; !error && at != std::filesystem::directory_iterator(); at.increment(error)) {
    watch_folder(at->path().filename().string());
  }
}

StationsWatch::Changes StationsWatch::take() {
  Changes changes;
  alignas(inotify_event) char bytes[4096];
  for (;;) {
    const ssize_t size = ::read(inotify_.fd(), bytes, sizeof bytes);
    if (size <= 0) return changes;
    for (ssize_t offset = 0; offset < size;) {
      inotify_event event;
      std::memcpy(&event, bytes + offset, sizeof event);
      const std::string name(event.len == 0 ? "" : bytes + offset + sizeof event);
      offset += static_cast<ssize_t>(sizeof event + event.len);
      const bool is_root = event.wd == root_;
      if ((event.mask & (IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) changes.all = true;
      if ((event.mask & IN_IGNORED) != 0) {
        folders_.erase(event.wd);
        if (is_root) root_ = -1;
      } else if (is_root && !name.empty()) {
        if ((event.mask & (IN_CREATE | IN_MOVED_TO)) != 0) watch_folder(name);
        changes.folders.insert(name);
      } else if (const auto found = folders_.find(event.wd);
                 found != folders_.end() && name.starts_with(conf_name)) {
        changes.folders.insert(found->second);
      }
    }
  }
}

}  // namespace loopline::broker
