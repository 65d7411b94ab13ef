// Viewer: which generation of a ring is the station now, and its picture.
#include "viewer.h"

#include <algorithm>

#include "shm/instance.h"

namespace loopline::cli {

Result<Viewer> Viewer::open(const std::string& dir) {
  LL_TRY(paths, shm::find_instance(dir));
  auto directory = shm::Directory::open(paths);
  if (!directory) {
    return Fault(directory.fault().code(),
                 directory.fault().message() +
                     (directory.fault().code() == FaultCode::not_found
                          ? "; the first station makes it: loopline station add NAME"
                          : ""));
  }
  auto roster = shm::Roster::open_to_inspect(paths.shm + "/" + shm::roster_file_name);
  return Viewer(std::move(*directory), roster ? *roster : nullptr);
}

Result<shm::RingSnapshot> Viewer::newest(const shm::StationName& name,
                                         const shm::InspectOptions& options) const {
  LL_TRY(generations, directory_.generations(name, 0));
  for (auto at = generations.rbegin(); at != generations.rend(); ++at) {
    auto snapshot = shm::inspect(directory_.ring_path(name, 0, *at), roster_.get(), options);
    if (!snapshot && snapshot.fault().code() == FaultCode::not_found) continue;
    if (snapshot && snapshot->start.first == 0) continue;  // a successor, not born yet
    if (snapshot && snapshot->seal_state == shm::seal_removed) break;
    return snapshot;
  }
  return Fault(FaultCode::not_found, "there is no station \"" + name.text() + "\" in " +
                                         paths().folder + "; see: loopline station ls");
}

Result<shm::RingSnapshot> Viewer::station(const std::string& name,
                                          const shm::InspectOptions& options) const {
  LL_TRY(parsed, shm::parse_station_name(name));
  return newest(parsed, options);
}

Result<shm::RingSnapshot> Viewer::generation(const shm::RingSnapshot& of,
                                             uint32_t generation) const {
  const shm::StationName name{of.header.factory, of.header.station};
  return shm::inspect(directory_.ring_path(name, of.header.partition, generation), roster_.get());
}

Result<shm::FramesEnd> Viewer::frames(
    const shm::RingSnapshot& of, const shm::FramesOptions& options,
    const std::function<bool(const shm::FrameFacts&)>& each) const {
  return shm::read_frames(of.path, roster_.get(), options, each);
}

Result<Viewer::Survey> Viewer::survey() const {
  Survey survey;
  LL_TRY(rings, directory_.list());
  survey.strangers = directory_.list_strangers();
  std::string last;
  for (const auto& ring : rings) {
    if (ring.partition != 0 || ring.name.text() == last) continue;
    last = ring.name.text();
    shm::InspectOptions options;
    options.walk = false;
    auto snapshot = newest(ring.name, options);
    if (snapshot) {
      survey.stations.push_back(std::move(*snapshot));
    } else if (snapshot.fault().code() != FaultCode::not_found) {
      const bool is_told = std::count(survey.strangers.begin(), survey.strangers.end(), ring.path);
      if (!is_told) survey.strangers.push_back(ring.path);
    }
  }
  return survey;
}

const char* state_of(const shm::RingSnapshot& snapshot) {
  if (!snapshot.damage.empty()) return "damaged";
  if (snapshot.start.first == 0) return "unborn";
  if (snapshot.seal_state == shm::seal_open) return "open";
  return snapshot.seal_state == shm::seal_removed ? "removed" : "sealed";
}

const char* text_of(shm::Life life) {
  switch (life) {
    case shm::Life::alive:
      return "alive";
    case shm::Life::dead:
      return "dead";
    case shm::Life::unknown:
      return "unknown";
  }
  return "unknown";
}

const char* text_of(shm::WhenFull when_full) {
  return when_full == shm::WhenFull::reject ? "reject" : "block";
}

const char* text_of(shm::TimestampKind kind) {
  switch (kind) {
    case shm::TimestampKind::precise:
      return "precise";
    case shm::TimestampKind::coarse:
      return "coarse";
    case shm::TimestampKind::off:
      return "off";
  }
  return "unknown";
}

const char* text_of(shm::CursorKind kind) {
  return kind == shm::CursorKind::lossy ? "lossy" : "lossless";
}

std::string name_of(const shm::RingSnapshot& snapshot) {
  return std::string(snapshot.header.factory) + "/" + snapshot.header.station;
}

}  // namespace loopline::cli
