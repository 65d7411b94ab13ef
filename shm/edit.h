// Edit: a living station gets other parameters, or loses its messages, without anybody stopping.
//
//   edit_station(directory, name, {.capacity = 16_MiB});
//   purge_station(directory, name);
//
// Both seal rings in favour of successors (seal.h): handles follow by themselves, sequences go on,
// and who reads a ring now reads it to its end first. Who comes later begins with the successor, so
// what stands in the ring left behind is not for them. Its memory is given back when the last of
// its readers has left it.
//
// An edit first makes the successors of all partitions, then sets mode and owner, then seals, from
// the last partition to the first, which is the one that others are made like. If it fails before
// the first seal, nothing has changed. If we die in between, some partitions have the new
// parameters and some the old, and each works; the same edit done again goes on where it was, since
// what has the parameters already is left alone, and a successor nobody went to is replaced.
// A purge goes partition by partition, and done again begins anew.
//
// StationLock keeps editors and removers of one station apart.
#pragma once

#include <functional>
#include <optional>

#include "base/result.h"
#include "directory.h"

namespace loopline::shm {

// What is to be different; a parameter that is not named stays.
struct StationEdit {
  std::optional<uint64_t> capacity;
  std::optional<uint64_t> message_max;
  std::optional<WhenFull> when_full;
  std::optional<uint64_t> evict_after_ns;
  std::optional<uint64_t> dedup_window_ns;
  std::optional<TimestampKind> timestamp;
  std::optional<uint32_t> mode;
  std::optional<FileOwner> owner;
  std::optional<uint32_t> partitions;     // refused unless it is what it is
  std::optional<bool> exclusive;          // likewise
  std::optional<uint32_t> dedup_entries;  // likewise
};

// What became of the rings that were left behind.
struct StationChange {
  bool is_changed = false;  // false: all was so already, or there was nothing to purge
  uint32_t rings = 0;       // left behind
  uint64_t messages = 0;    // in them, those without a message counted
  uint64_t bytes = 0;       // of these, with their headers
  uint64_t readers = 0;     // that hold one of them: its memory comes back when they are through
  uint64_t unreturned_bytes = 0;  // of memory, until then, and until all of it is on disk
};

// Faults: not_found, invalid_argument, unsupported (what cannot change while a station lives; a
// living exclusive producer), no_space, no_permission, timed_out, closed (removed meanwhile).
Result<StationChange> edit_station(const Directory& directory, const StationName& name,
                                   const StationEdit& edit);
// `on_purged` is told of each partition, under the lock, once its ring is sealed: from where on it
// counts. Its fault ends the purge.
using OnPurged = std::function<Status(const RingHeader& ring, Pair from)>;
Result<StationChange> purge_station(const Directory& directory, const StationName& name,
                                    const OnPurged& on_purged = {});

// What an edit or a purge would leave behind now: is_changed says whether it seals rings at all.
Result<StationChange> preview_edit(const Directory& directory, const StationName& name,
                                   const StationEdit& edit);

}  // namespace loopline::shm
