// Viewer: finds stations of an instance and takes pictures of them, without attaching to anything.
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "shm/directory.h"
#include "shm/frames.h"
#include "shm/inspect.h"
#include "shm/ledger_look.h"
#include "shm/roster.h"

namespace loopline::cli {

class Viewer {
 public:
  // Faults: not_found when there is no such instance.
  static Result<Viewer> open(const std::string& dir);

  // The current ring of a station's partition. Faults: invalid_argument (name), not_found, and
  // those of inspect().
  Result<shm::RingSnapshot> station(const std::string& name,
                                    const shm::InspectOptions& options = {},
                                    uint32_t partition = 0) const;
  // The current rings of all its partitions; one whose maker died before it is left out.
  Result<std::vector<shm::RingSnapshot>> partitions(const std::string& name,
                                                    const shm::InspectOptions& options = {}) const;
  // Another generation of the same partition. Faults: not_found, and those of inspect().
  Result<shm::RingSnapshot> generation(const shm::RingSnapshot& of, uint32_t generation) const;
  // Of a file station: the oldest ring of the partition that is not wholly on disk; none: there is
  // no ring. Faults: those of inspect().
  Result<std::optional<shm::RingSnapshot>> on_its_way_to_disk(const shm::StationName& name,
                                                              uint32_t partition) const;
  // Every frame of a ring that was looked at: see shm/frames.h.
  Result<shm::FramesEnd> frames(const shm::RingSnapshot& of, const shm::FramesOptions& options,
                                const std::function<bool(const shm::FrameFacts&)>& each) const;
  // The producers with an identity that each of these rings' partitions knows. Faults: those of
  // look_at_ledger().
  struct PartitionProducer {
    uint32_t partition = 0;
    shm::KnownProducer known;
  };
  Result<std::vector<PartitionProducer>> known_producers(
      std::span<const shm::RingSnapshot> rings) const;
  struct Survey {
    std::vector<shm::RingSnapshot> rings;  // by station and partition, looked at without a walk
    std::vector<std::string> strangers;    // files that are no rings
  };
  Result<Survey> survey() const;
  const shm::InstancePaths& paths() const { return directory_.paths(); }

 private:
  Viewer(shm::Directory directory, std::shared_ptr<shm::Roster> roster)
      : directory_(std::move(directory)), roster_(std::move(roster)) {}
  Result<shm::RingSnapshot> newest(const shm::StationName& name, uint32_t partition,
                                   const shm::InspectOptions& options) const;

  shm::Directory directory_;
  std::shared_ptr<shm::Roster> roster_;  // null: there is none, or it cannot be read
};

// The rings of one station, and what they hold together.
using StationRings = std::span<const shm::RingSnapshot>;
std::vector<StationRings> by_station(const std::vector<shm::RingSnapshot>& rings);
struct StationSums {
  uint64_t messages = 0;    // ever, those without a message counted
  uint64_t kept = 0;        // that can still be read
  uint64_t kept_bytes = 0;  // with their headers
  uint64_t lag_max = 0;     // of the consumer furthest behind in its partition, in messages
  // Of the partition that has most: a handle is in all of them.
  size_t producers = 0, consumers = 0, dead_producers = 0, dead_consumers = 0;
};
StationSums sums_of(StationRings rings);

// "open", "sealed", "removed", "damaged", "unborn".
const char* state_of(const shm::RingSnapshot& snapshot);
const char* text_of(shm::Life life);
const char* text_of(shm::WhenFull when_full);
const char* text_of(shm::TimestampKind kind);
const char* text_of(shm::CursorKind kind);
const char* text_of(shm::LogState state);
std::string name_of(const shm::RingSnapshot& snapshot);

}  // namespace loopline::cli
