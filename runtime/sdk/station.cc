// Station: options checked, rings found through the directory, handles made.
#include "loopline/station.h"

#include <mutex>
#include <vector>

#include "shm/attached.h"
#include "shm/directory.h"
#include "shm/edit.h"
#include "shm/owner.h"
#include "shm/ring_header.h"
#include "state.h"

namespace loopline {

// Producers map the ring read-write, consumers read-only: two attachments, each made when needed.
struct Station::State {
  State(shm::Directory where, const shm::StationName& which, const shm::RingHeader& header)
      : directory(std::move(where)),
        station(which),
        text(which.text()),
        first(header),
        partitions(header.partitions),
        for_producers(header.partitions),
        for_consumers(header.partitions) {}

  const shm::Directory directory;
  const shm::StationName station;
  const std::string text;
  const shm::RingHeader first;  // of the ring that was found
  const uint32_t partitions;
  std::mutex mutex;
  std::vector<std::shared_ptr<shm::Attached>> for_producers;  // by partition
  std::vector<std::shared_ptr<shm::Attached>> for_consumers;

  Result<std::shared_ptr<shm::Attached>> attach(shm::Access access, uint32_t partition);
  shm::RingHeader newest() const;
};

namespace {

Result<shm::RingOptions> ring_options(const shm::StationName& name, const StationOptions& asked) {
  shm::RingOptions options;
  options.factory = name.factory;
  options.station = name.station;
  if (asked.ring) options.capacity = *asked.ring;
  if (asked.partitions) options.partitions = *asked.partitions;
  if (asked.max_message) {
    if (*asked.max_message == 0) {
      return Fault(FaultCode::invalid_argument, "max-message must be at least 1 byte");
    }
    options.message_max = *asked.max_message;
  }
  if (asked.exclusive) options.exclusive = *asked.exclusive;
  if (asked.when_full) {
    options.when_full = static_cast<shm::WhenFull>(*asked.when_full);
  }
  if (asked.evict_after) {
    if (asked.evict_after->count() < 0) {
      return Fault(FaultCode::invalid_argument, "evict-after cannot be negative");
    }
    options.evict_after_ns = static_cast<uint64_t>(asked.evict_after->count());
  }
  if (asked.timestamp) options.timestamp = static_cast<shm::TimestampKind>(*asked.timestamp);
  if (asked.mode) {
    if (*asked.mode > 0777) {
      return Fault(FaultCode::invalid_argument, "mode must be permission bits such as 0660");
    }
    options.mode = *asked.mode;
  }
  if (asked.owner) {
    LL_TRY(owner, shm::find_owner(*asked.owner));
    options.owner = owner;
  }
  return options;
}

shm::Directory::Asked asked_of(const StationOptions& options) {
  return {options.ring.has_value(),        options.max_message.has_value(),
          options.exclusive.has_value(),   options.when_full.has_value(),
          options.evict_after.has_value(), options.timestamp.has_value(),
          options.partitions.has_value(),  options.mode.has_value(),
          options.owner.has_value()};
}

}  // namespace

// The newest ring is asked for again when the one we have was sealed.
Result<std::shared_ptr<shm::Attached>> Station::State::attach(shm::Access access,
                                                              uint32_t partition) {
  const std::lock_guard guard(mutex);
  auto& attached = (access == shm::Access::produce ? for_producers : for_consumers)[partition];
  if (attached && attached->is_open()) return attached;
  auto mapping = directory.attach_partition(station, partition, access);
  if (!mapping && access == shm::Access::consume &&
      mapping.fault().code() == FaultCode::no_permission) {
    mapping = directory.attach_partition(station, partition, shm::Access::look);
  }
  if (!mapping) return mapping.fault();
  if (mapping->header().partitions != partitions) {  // keys would go elsewhere
    return Fault(FaultCode::closed, "station \"" + text + "\" was made anew with " +
                                        std::to_string(mapping->header().partitions) +
                                        " partitions; open it again");
  }
  const bool only_look = mapping->access() == shm::Access::look;
  LL_TRY(roster, only_look ? directory.roster_to_look() : directory.roster());
  attached = shm::Attached::make(std::move(*mapping), roster, directory);
  return attached;
}

namespace {

enum class Opening { open, create, open_or_create };

Result<shm::Mapping> find_ring(const shm::Directory& directory, const shm::RingOptions& ring,
                               const StationOptions& options, Opening opening) {
  const shm::StationName name{ring.factory, ring.station};
  switch (opening) {
    case Opening::open: {
      auto mapping = directory.attach(name, 0, shm::Access::consume);
      if (mapping || mapping.fault().code() != FaultCode::no_permission) return mapping;
      return directory.attach(name, 0, shm::Access::look);
    }
    case Opening::create: {
      LL_TRY(whole, directory.with_defaults(ring, asked_of(options)));
      return directory.create(whole);
    }
    case Opening::open_or_create:
      return directory.open_or_create(ring, asked_of(options), shm::Access::consume);
  }
  return Fault(FaultCode::invalid_argument, "no such way to open a station");
}

}  // namespace

Result<Station> Station::open_with(std::string_view text, const StationOptions& options,
                                   std::string_view dir, int opening) {
  LL_TRY(name, shm::parse_station_name(text));
  LL_TRY(ring, ring_options(name, options));
  LL_TRY(paths, shm::find_instance(dir));
  const auto how = static_cast<Opening>(opening);
  LL_TRY(directory, how == Opening::open ? shm::Directory::open(paths)
                                         : shm::Directory::open_or_create(paths));
  LL_TRY(mapping, find_ring(directory, ring, options, how));
  return Station(std::make_shared<State>(directory, name, mapping.header()));
}

Result<Station> Station::open_or_create(std::string_view name, const StationOptions& options,
                                        std::string_view dir) {
  return open_with(name, options, dir, static_cast<int>(Opening::open_or_create));
}

Result<Station> Station::open(std::string_view name, std::string_view dir) {
  return open_with(name, {}, dir, static_cast<int>(Opening::open));
}

Result<Station> Station::create(std::string_view name, const StationOptions& options,
                                std::string_view dir) {
  return open_with(name, options, dir, static_cast<int>(Opening::create));
}

Status Station::remove(std::string_view text, std::string_view dir) {
  LL_TRY(name, shm::parse_station_name(text));
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(directory, shm::Directory::open(paths));
  return directory.remove_station(name);
}

namespace {

StationChange change_of(const shm::StationChange& change) {
  return {change.is_changed, change.messages, change.bytes, change.readers,
          change.unreturned_bytes};
}

}  // namespace

Result<StationChange> Station::edit(std::string_view text, const StationOptions& options,
                                    std::string_view dir) {
  LL_TRY(name, shm::parse_station_name(text));
  LL_TRY(ring, ring_options(name, options));  // each value read and checked as for a new one
  shm::StationEdit edit;
  if (options.ring) edit.capacity = ring.capacity;
  if (options.max_message) edit.message_max = ring.message_max;
  if (options.when_full) edit.when_full = ring.when_full;
  if (options.evict_after) edit.evict_after_ns = ring.evict_after_ns;
  if (options.timestamp) edit.timestamp = ring.timestamp;
  if (options.mode) edit.mode = ring.mode;
  if (options.owner) edit.owner = ring.owner;
  edit.partitions = options.partitions;
  edit.exclusive = options.exclusive;
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(directory, shm::Directory::open(paths));
  LL_TRY(change, shm::edit_station(directory, name, edit));
  return change_of(change);
}

Result<StationChange> Station::purge(std::string_view text, std::string_view dir) {
  LL_TRY(name, shm::parse_station_name(text));
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(directory, shm::Directory::open(paths));
  LL_TRY(change, shm::purge_station(directory, name));
  return change_of(change);
}

Result<Producer> Station::producer(const ProducerOptions& options) const {
  auto state = std::make_unique<ProducerState>();
  for (uint32_t partition = 0; partition < state_->partitions; ++partition) {
    LL_TRY(attached, state_->attach(shm::Access::produce, partition));
    LL_TRY(ring, shm::Producer::open(attached));
    state->rings.push_back(std::move(ring));
  }
  state->identified = options.identified;
  state->id = options.id != 0 ? options.id : state->rings[0].identity();
  state->epoch = options.epoch;
  state->next_sequence = options.first_sequence;
  return Producer(std::move(state));
}

Result<Consumer> Station::consumer(const ConsumerOptions& options) const {
  if (options.partition && *options.partition >= state_->partitions) {
    return Fault(FaultCode::not_found, "station \"" + state_->text + "\" has no partition " +
                                           std::to_string(*options.partition) + "; it has " +
                                           std::to_string(state_->partitions) + ", counted from 0");
  }
  const bool needs_one = options.from.kind() == From::Kind::sequence;
  if (needs_one && !options.partition && state_->partitions > 1) {
    return Fault(FaultCode::invalid_argument, "sequences are counted in each of the " +
                                                  std::to_string(state_->partitions) +
                                                  " partitions of station \"" + state_->text +
                                                  "\": name the partition that is meant");
  }
  shm::ConsumerOptions wanted;
  wanted.lossy = options.lossy;
  wanted.from = options.from;
  wanted.wait = static_cast<shm::WaitKind>(options.wait);
  const uint32_t begin = options.partition.value_or(0);
  const uint32_t end = options.partition ? begin + 1 : state_->partitions;
  std::vector<ConsumerState::Source> sources;
  for (uint32_t partition = begin; partition < end; ++partition) {
    LL_TRY(attached, state_->attach(shm::Access::consume, partition));
    LL_TRY(ring, shm::Consumer::open(attached, wanted));
    sources.push_back({std::move(ring), partition});
  }
  return Consumer(std::make_unique<ConsumerState>(std::move(sources)));
}

const std::string& Station::name() const { return state_->text; }

// The header of the newest ring that is born. Not mapped: a station that nobody publishes to or
// reads holds no memory.
shm::RingHeader Station::State::newest() const {
  auto generations = directory.generations(station, 0);
  if (!generations) return first;
  for (auto at = generations->rbegin(); at != generations->rend(); ++at) {
    const std::string path = directory.ring_path(station, 0, *at);
    const auto file = shm::open_file("ring", path, false);
    if (!file || !shm::read_ring_marks(*file).is_born) continue;
    const auto header = shm::read_ring_header(*file, path);
    if (header) return *header;
  }
  return first;
}

uint64_t Station::ring_bytes() const { return state_->newest().capacity; }
uint64_t Station::max_message() const { return state_->newest().message_max; }
uint32_t Station::partitions() const { return state_->partitions; }
uint32_t Station::partition_of(std::string_view key) const {
  return partition_of_key(key, state_->partitions);
}

}  // namespace loopline
