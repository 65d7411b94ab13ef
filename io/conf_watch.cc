// ConfWatch: a stat of each conf, and sources read anew for those that changed.
#include "conf_watch.h"

#include <sys/stat.h>

#include <algorithm>

#include "flush_sources.h"
#include "log/paths.h"

namespace loopline::io {

ConfWatch::FileMark ConfWatch::look_at(const shm::StationName& name) const {
  struct stat status;
  if (::stat(station_file(data_, name).c_str(), &status) != 0) return {};
  constexpr uint64_t second_ns = 1'000'000'000;
  return {status.st_ino,
          static_cast<uint64_t>(status.st_mtim.tv_sec) * second_ns +
              static_cast<uint64_t>(status.st_mtim.tv_nsec),
          static_cast<uint64_t>(status.st_size)};
}

void ConfWatch::add(const shm::StationName& name) {
  remove(name);
  watched_.push_back({name, look_at(name)});
}

void ConfWatch::remove(const shm::StationName& name) {
  std::erase_if(watched_,
                [&](const Watched& watched) { return watched.name.text() == name.text(); });
}

std::optional<ConfWatch::Change> ConfWatch::reload(Flusher& flusher,
                                                   const shm::StationName& name) const {
  const auto conf = read_station_conf(data_, name);
  if (!conf) return Change{name, conf.fault()};
  if (!*conf) return {};
  Change change{name, {}};
  bool any = false;
  for (const FlushSource& source : sources_of(directory_, data_, name, **conf)) {
    const Status done = flusher.reload(source);
    any |= static_cast<bool>(done);
    if (!done && done.fault().code() != FaultCode::not_found) change.fault = done.fault();
  }
  if (!any && !change.fault) return {};
  return change;
}

std::vector<ConfWatch::Change> ConfWatch::poll(Flusher& flusher) {
  std::vector<Change> changes;
  for (Watched& watched : watched_) {
    const FileMark now = look_at(watched.name);
    if (now == watched.mark) continue;
    watched.mark = now;
    auto change = reload(flusher, watched.name);
    if (change) changes.push_back(std::move(*change));
  }
  return changes;
}

}  // namespace loopline::io
