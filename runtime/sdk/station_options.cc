// StationOptions: each one that was named, taken over.
#include "station_options.h"

#include "shm/owner.h"

namespace loopline {

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
  if (asked.dedup_window) {
    if (asked.dedup_window->count() < 0) {
      return Fault(FaultCode::invalid_argument, "dedup-window cannot be negative");
    }
    options.dedup_window_ns = static_cast<uint64_t>(asked.dedup_window->count());
  }
  if (asked.dedup_entries) options.dedup_entries = *asked.dedup_entries;
  if (asked.storage) options.storage = static_cast<shm::Storage>(*asked.storage);
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
  return {options.ring.has_value(),         options.max_message.has_value(),
          options.exclusive.has_value(),    options.when_full.has_value(),
          options.evict_after.has_value(),  options.timestamp.has_value(),
          options.partitions.has_value(),   options.mode.has_value(),
          options.owner.has_value(),        options.storage.has_value(),
          options.dedup_window.has_value(), options.dedup_entries.has_value()};
}

}  // namespace loopline
