// Station: a named stream of messages that processes of a host attach to.
//
//   auto station = loopline::Station::open_or_create("billing/orders", {.ring = 8_MiB});
//   if (!station) { std::cerr << station.fault().message(); return 1; }
//
// A Station is cheap to copy; copies share what is mapped. Thread-safe. A process that dies without
// closing anything leaves nothing to clean up.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "loopline/consumer.h"
#include "loopline/producer.h"
#include "shm/base/result.h"
#include "shm/base/units.h"
#include "shm/base/visibility.h"

namespace loopline {

enum class Timestamp { precise, coarse, off };
// What a producer meets when consumers hold a full ring: it waits; it is told; or no consumer may
// hold the ring, and all of them read as lossy ones do.
enum class WhenFull { block, reject, drop_oldest };
// memory: gone with the machine. file: kept in segments on disk by whoever flushes it (looplined or
// `loopline flush`); consumers read what the ring has lost from there.
enum class Storage { memory, file };

// Only what is named is asked for: an existing station that differs in it is refused. Defaults are
// those of the station's factory (factory.h), and what is given here where it says nothing.
struct StationOptions {
  std::optional<uint64_t> ring = {};  // of each partition, 2^n bytes in 64KiB..64GiB; default 8MiB
  std::optional<uint32_t> partitions = {};   // 1..256, default 1; order is total within a partition
  std::optional<uint64_t> max_message = {};  // bytes of one message; default and most: ring/8 - 32
  std::optional<bool> exclusive = {};        // one producer at a time, a little faster; default no
  std::optional<WhenFull> when_full = {};    // default block
  // A lossless consumer that held a full ring for so long, with messages to read, is detached and
  // told (fenced); default 0 (never), else from 1 ms.
  std::optional<std::chrono::nanoseconds> evict_after = {};
  // For how long an id that was published is not published again: 0 (off)..24 h, default 2 min; and
  // how many ids are known at once, 2^n in 1024..4194304, default 65536: who comes with more waits.
  std::optional<std::chrono::nanoseconds> dedup_window = {};
  std::optional<uint32_t> dedup_entries = {};
  std::optional<Timestamp> timestamp = {};  // default precise; off saves 10-30 ns a message
  std::optional<uint32_t> mode = {};        // permissions of the ring's file; default 0660
  std::optional<std::string> owner = {};    // user, user:group or :group; default: its maker
  std::optional<Storage> storage = {};      // default memory
  // Of a file station. Segments are 64KiB..1GiB, default 64MiB, and hold a largest message; what
  // is older than an age, or more than so many messages or bytes, is dropped in whole segments (0:
  // no such bound; default 7 days); flush: how long messages gather (0, the default: group commit).
  std::optional<uint64_t> segment = {};
  std::optional<std::chrono::nanoseconds> retention_age = {};
  std::optional<uint64_t> retention_messages = {};
  std::optional<uint64_t> retention_bytes = {};
  std::optional<std::chrono::nanoseconds> flush = {};
};

// What an edit or a purge left behind.
struct StationChange {
  bool is_changed = false;        // false: all was so already, or there was nothing to purge
  uint64_t messages = 0;          // for those who read them now; whoever comes later begins anew
  uint64_t bytes = 0;             // of these, with their headers
  uint64_t readers = 0;           // that still hold what was left behind
  uint64_t unreturned_bytes = 0;  // of memory, which comes back when they are through
  uint32_t rings = 0;             // that were left behind
};

class LL_EXPORT Station {
 public:
  // `name` is "station" (of factory main) or "factory/station". `dir` chooses the instance; empty
  // means LOOPLINE_DIR, /run/loopline, or $XDG_RUNTIME_DIR/loopline.
  // Faults: invalid_argument (name, sizes), already_exists (with other parameters; says which),
  // no_space (says what is needed and what there is), no_permission, version_mismatch, corrupted.
  static Result<Station> open_or_create(std::string_view name, const StationOptions& options = {},
                                        std::string_view dir = {});
  // Faults: not_found and the above.
  static Result<Station> open(std::string_view name, std::string_view dir = {});
  // Faults: already_exists and the above.
  static Result<Station> create(std::string_view name, const StationOptions& options = {},
                                std::string_view dir = {});
  // Ends the station: producers and waiting consumers are told at once (closed), consumers that are
  // behind read what is there first. Faults: not_found, unsupported (a living exclusive producer).
  static Status remove(std::string_view name, std::string_view dir = {});
  // Gives a living station what `options` names. Producers and consumers that are attached go on
  // and lose nothing; whoever comes later begins with the new ring. When it was interrupted, the
  // same edit completes it. Faults: not_found, unsupported (partitions, exclusive, to or from
  // drop_oldest; a living exclusive producer), invalid_argument, no_space, no_permission.
  static Result<StationChange> edit(std::string_view name, const StationOptions& options,
                                    std::string_view dir = {});
  // Drops what is in it, on disk too, for whoever comes later; sequences go on. Consumers that are
  // attached may read on to where it was purged. Interrupted, by a power cut too, it drops all or
  // nothing of a partition. Faults: not_found, unsupported (as above), no_space, no_permission.
  static Result<StationChange> purge(std::string_view name, std::string_view dir = {});

  // A handle to publish; one per thread. Faults: too_many, no_permission, closed, timed_out (the
  // dead hold all places, and whoever cleans up after them has stopped).
  Result<Producer> producer(const ProducerOptions& options = {}) const;
  // A handle to read. Faults: as above, and unsupported (from a time, where none are kept).
  Result<Consumer> consumer(const ConsumerOptions& options = {}) const;

  // "factory/station".
  const std::string& name() const;
  Storage storage() const;
  // Looked up, since an edit changes them; when the station is gone, as they were.
  uint64_t ring_bytes() const;
  uint64_t max_message() const;
  uint32_t partitions() const;
  // Where messages with this key go: XXH3 of its bytes, 64 bits, modulo the number of partitions.
  uint32_t partition_of(std::string_view key) const;

 private:
  struct State;
  static Result<Station> open_with(std::string_view name, const StationOptions& options,
                                   std::string_view dir, int opening);
  explicit Station(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace loopline
