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

Result<shm::RingSnapshot> Viewer::newest(const shm::StationName& name, uint32_t partition,
                                         const shm::InspectOptions& options) const {
  LL_TRY(generations, directory_.generations(name, partition));
  for (auto at = generations.rbegin(); at != generations.rend(); ++at) {
    auto snapshot =
        shm::inspect(directory_.ring_path(name, partition, *at), roster_.get(), options);
    if (!snapshot && snapshot.fault().code() == FaultCode::not_found) continue;
    if (snapshot && snapshot->start.first == 0) continue;  // a successor, not born yet
    if (snapshot && snapshot->seal_state == shm::seal_removed) break;
    return snapshot;
  }
  if (partition != 0) {
    return Fault(FaultCode::not_found, "there is no partition " + std::to_string(partition) +
                                           " of station \"" + name.text() +
                                           "\"; see: loopline station info " + name.text());
  }
  return Fault(FaultCode::not_found, "there is no station \"" + name.text() + "\" in " +
                                         paths().folder + "; see: loopline station ls");
}

Result<shm::RingSnapshot> Viewer::station(const std::string& name,
                                          const shm::InspectOptions& options,
                                          uint32_t partition) const {
  LL_TRY(parsed, shm::parse_station_name(name));
  return newest(parsed, partition, options);
}

Result<std::vector<shm::RingSnapshot>> Viewer::partitions(
    const std::string& name, const shm::InspectOptions& options) const {
  LL_TRY(parsed, shm::parse_station_name(name));
  LL_TRY(first, newest(parsed, 0, options));
  const uint32_t count = first.header.partitions;
  std::vector<shm::RingSnapshot> rings;
  rings.push_back(std::move(first));
  for (uint32_t partition = 1; partition < count; ++partition) {
    auto other = newest(parsed, partition, options);
    if (other) rings.push_back(std::move(*other));
  }
  return rings;
}

Result<shm::RingSnapshot> Viewer::generation(const shm::RingSnapshot& of,
                                             uint32_t generation) const {
  const shm::StationName name{of.header.factory, of.header.station};
  return shm::inspect(directory_.ring_path(name, of.header.partition, generation), roster_.get());
}

Result<std::optional<shm::RingSnapshot>> Viewer::on_its_way_to_disk(const shm::StationName& name,
                                                                    uint32_t partition) const {
  LL_TRY(generations, directory_.generations(name, partition));
  std::optional<shm::RingSnapshot> last;
  for (const uint32_t generation : generations) {
    auto snapshot = shm::inspect(directory_.ring_path(name, partition, generation), roster_.get());
    if (!snapshot && snapshot.fault().code() == FaultCode::not_found) continue;
    if (!snapshot) return snapshot.fault();
    if (snapshot->start.first == 0) continue;  // a successor, not born yet
    const bool is_done = !snapshot->log || snapshot->log->is_done;
    last = std::move(*snapshot);
    if (!is_done) break;
  }
  return last;
}

Result<shm::FramesEnd> Viewer::frames(
    const shm::RingSnapshot& of, const shm::FramesOptions& options,
    const std::function<bool(const shm::FrameFacts&)>& each) const {
  return shm::read_frames(of.path, roster_.get(), options, each);
}

Result<std::vector<Viewer::PartitionProducer>> Viewer::known_producers(
    std::span<const shm::RingSnapshot> rings) const {
  std::vector<PartitionProducer> all;
  for (const shm::RingSnapshot& ring : rings) {
    LL_TRY(known, shm::look_at_ledger(directory_.paths().shm, ring.header));
    for (const shm::KnownProducer& one : known) all.push_back({ring.header.partition, one});
  }
  return all;
}

Result<Viewer::Survey> Viewer::survey() const {
  Survey survey;
  LL_TRY(rings, directory_.list());
  survey.strangers = directory_.list_strangers();
  std::string last;
  for (const auto& ring : rings) {
    const std::string which = ring.name.text() + "@" + std::to_string(ring.partition);
    if (which == last) continue;  // another generation
    last = which;
    shm::InspectOptions options;
    options.walk = false;
    auto snapshot = newest(ring.name, ring.partition, options);
    if (snapshot) {
      survey.rings.push_back(std::move(*snapshot));
    } else if (snapshot.fault().code() != FaultCode::not_found) {
      const bool is_told = std::count(survey.strangers.begin(), survey.strangers.end(), ring.path);
      if (!is_told) survey.strangers.push_back(ring.path);
    }
  }
  return survey;
}

std::vector<StationRings> by_station(const std::vector<shm::RingSnapshot>& rings) {
  std::vector<StationRings> stations;
  for (size_t begin = 0, end = 0; begin < rings.size(); begin = end) {
    while (end < rings.size() && name_of(rings[end]) == name_of(rings[begin])) ++end;
    stations.push_back(std::span(rings).subspan(begin, end - begin));
  }
  return stations;
}

namespace {

template <class Facts>
size_t count_dead(const std::vector<Facts>& facts) {
  return static_cast<size_t>(std::count_if(facts.begin(), facts.end(), [](const Facts& one) {
    return one.occupant.life == shm::Life::dead;
  }));
}

}  // namespace

StationSums sums_of(StationRings rings) {
  StationSums sums;
  for (const auto& ring : rings) {
    sums.messages += ring.frontier.second == 0 ? 0 : ring.frontier.second - 1;
    sums.kept += ring.frontier.second - ring.oldest.second;
    sums.kept_bytes += ring.frontier.first - ring.oldest.first;
    sums.producers = std::max(sums.producers, ring.producers.size());
    sums.consumers = std::max(sums.consumers, ring.cursors.size());
    sums.dead_producers = std::max(sums.dead_producers, count_dead(ring.producers));
    sums.dead_consumers = std::max(sums.dead_consumers, count_dead(ring.cursors));
    for (const auto& cursor : ring.cursors) {
      sums.lag_max = std::max(sums.lag_max, cursor.lag_messages);
    }
  }
  return sums;
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
  switch (when_full) {
    case shm::WhenFull::block:
      return "block";
    case shm::WhenFull::reject:
      return "reject";
    case shm::WhenFull::drop_oldest:
      return "drop-oldest";
  }
  return "unknown";
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

const char* text_of(shm::LogState state) {
  switch (state) {
    case shm::LogState::idle:
      break;
    case shm::LogState::flushing:
      return "flushing";
    case shm::LogState::disk_full:
      return "disk-full";
    case shm::LogState::failed:
      return "failed";
  }
  return "idle";
}

std::string name_of(const shm::RingSnapshot& snapshot) {
  return std::string(snapshot.header.factory) + "/" + snapshot.header.station;
}

}  // namespace loopline::cli
