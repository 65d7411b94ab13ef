// Quota: what a factory gives those who make rings in it, and what it refuses them.
//
// Where a quota is, rings get their names one at a time: check and name under the folder's
// exclusive lock, so that two makers cannot both take what is left. A maker that dies has named
// its ring, and it counts, or has not, and nothing is left of it.
#include <algorithm>
#include <map>

#include "base/bits.h"
#include "base/units.h"
#include "factory.h"
#include "instance.h"
#include "owner.h"
#include "ring_header.h"

namespace loopline::shm {
namespace {

constexpr uint64_t raise_step = 1_MiB;

bool is_limited(const FactorySettings& settings) {
  return settings.quota_memory || settings.quota_stations;
}

// Partitions made late were counted with their station's first ring.
bool counts(const RingOptions& options) { return options.generation > 1 || options.partition == 0; }
bool is_station(const RingOptions& options) {
  return options.generation == 1 && options.partition == 0;
}

std::string shown(uint64_t bytes) { return format_size_rounded(static_cast<double>(bytes)); }
std::string stations_text(uint64_t count) {
  return format_count(count) + (count == 1 ? " station" : " stations");
}

// One station's files, as the folder lists them: by partition, then generation.
struct StationFiles {
  uint64_t bytes = 0;
  uint64_t partitions = 0;  // that have a file
  uint32_t last = ~0u;
  std::string first_ring;  // the newest of partition 0

  void add(const Directory::Listed& ring) {
    bytes += ring.bytes;
    if (ring.partition != last) ++partitions;
    last = ring.partition;
    if (ring.partition == 0) first_ring = ring.path;
  }
  // What its missing partitions will take when they are made.
  uint64_t missing_bytes() const {
    const auto file = open_file("ring", first_ring, false);
    if (!file) return 0;  // removed meanwhile, or nothing we may look at
    const auto header = read_ring_header(*file, first_ring);
    if (!header || header->partitions <= partitions) return 0;
    return (header->partitions - partitions) * memory_of(options_of(*header));
  }
};

Status check_stations(const FactorySettings& settings, const RingOptions& options,
                      const FactoryUse& use) {
  if (!is_station(options) || !settings.quota_stations || use.stations < *settings.quota_stations) {
    return ok();
  }
  return Fault(FaultCode::no_space,
               "station \"" + options.factory + "/" + options.station + "\" finds no place: " +
                   "factory \"" + options.factory + "\" has " + stations_text(use.stations) +
                   ", and its quota.stations is " + std::to_string(*settings.quota_stations) +
                   "; remove some, or raise it: loopline factory edit " + options.factory +
                   " --quota-stations " + std::to_string(use.stations + 1));
}

Status check_memory(const FactorySettings& settings, const RingOptions& options,
                    const FactoryUse& use) {
  if (!settings.quota_memory) return ok();
  const uint64_t quota = *settings.quota_memory;
  const uint64_t needed = memory_of(options) * (is_station(options) ? options.partitions : 1);
  const uint64_t left = quota - std::min(quota, use.bytes);
  if (needed <= left) return ok();
  const std::string what = is_station(options) ? "station \"" : "another ring of station \"";
  return Fault(FaultCode::no_space,
               what + options.factory + "/" + options.station + "\" needs " + shown(needed) +
                   ", and factory \"" + options.factory + "\" has " + shown(left) +
                   " left of its quota.memory of " + format_size(quota) + " (" +
                   stations_text(use.stations) + (use.stations == 1 ? " uses " : " use ") +
                   shown(use.bytes) + "); remove stations, or raise it: loopline factory edit " +
                   options.factory + " --quota-memory " +
                   format_size(round_up(use.bytes + needed, raise_step)));
}

}  // namespace

Result<FactoryUse> use_of_factory(const Directory& directory, const std::string& name) {
  LL_TRY(rings, directory.list());
  std::map<std::string, StationFiles> stations;
  for (const auto& ring : rings) {
    if (ring.name.factory == name) stations[ring.name.station].add(ring);
  }
  FactoryUse use;
  for (const auto& [station, files] : stations) {
    ++use.stations;
    use.bytes += files.bytes + files.missing_bytes();
  }
  return use;
}

Status check_quota(const Directory& directory, const FactorySettings& settings,
                   const RingOptions& options) {
  if (!counts(options) || !is_limited(settings)) return ok();
  LL_TRY(use, use_of_factory(directory, options.factory));
  LL_TRY_STATUS(check_stations(settings, options, use));
  return check_memory(settings, options, use);
}

// ---- Directory -------------------------------------------------------------

// Exclusive where a quota is. Asked again under the lock: factories change under it.
Result<FolderLock> Directory::lock_to_name(const RingOptions& options) const {
  using Kind = FolderLock::Kind;
  if (!counts(options)) return FolderLock::take(paths_, Kind::shared);
  for (Kind kind = Kind::shared;; kind = Kind::exclusive) {
    auto lock = FolderLock::take(paths_, kind);
    if (!lock) return lock.fault();
    LL_TRY(settings, read_factory(paths_, options.factory));
    if (kind == Kind::exclusive || !settings || !is_limited(*settings)) return lock;
  }
}

// Under lock_to_name() the answer stays true.
Status Directory::check_room(const RingOptions& options) const {
  if (!counts(options)) return ok();
  LL_TRY(settings, read_factory(paths_, options.factory));
  return settings ? check_quota(*this, *settings, options) : ok();
}

namespace {

template <class Value>
void fill_in(bool asked, const std::optional<Value>& said, Value& value) {
  if (!asked && said) value = *said;
}

}  // namespace

Result<RingOptions> Directory::with_defaults(RingOptions options, const Asked& asked) const {
  LL_TRY(found, read_factory(paths_, options.factory));
  if (!found) return options;
  const FactorySettings& settings = *found;
  fill_in(asked.storage, settings.storage, options.storage);
  fill_in(asked.capacity, settings.ring, options.capacity);
  fill_in(asked.partitions, settings.partitions, options.partitions);
  fill_in(asked.message_max, settings.max_message, options.message_max);
  fill_in(asked.exclusive, settings.exclusive, options.exclusive);
  // Where no consumer holds the ring, nobody is evicted, and what waits for its disk drops nothing:
  // a default that says so is not meant.
  const bool is_file = options.storage == Storage::file;
  const bool drops = settings.when_full == WhenFull::drop_oldest;
  if (!is_file || !drops) fill_in(asked.when_full, settings.when_full, options.when_full);
  const bool may_evict = !is_file && options.when_full != WhenFull::drop_oldest;
  if (may_evict) fill_in(asked.evict_after, settings.evict_after_ns, options.evict_after_ns);
  fill_in(asked.timestamp, settings.timestamp, options.timestamp);
  fill_in(asked.dedup_window, settings.dedup_window_ns, options.dedup_window_ns);
  fill_in(asked.dedup_entries, settings.dedup_entries, options.dedup_entries);
  fill_in(asked.mode, settings.mode, options.mode);
  if (settings.owner && !asked.owner) {
    LL_TRY(owner, find_owner(*settings.owner));
    options.owner = owner;
  }
  const bool is_theirs = !asked.message_max && settings.max_message;
  if (!is_theirs || options.message_max <= body_max_of(options.capacity)) return options;
  return Fault(FaultCode::invalid_argument,
               "station \"" + options.factory + "/" + options.station + "\": a ring of " +
                   format_size(options.capacity) + " takes messages of up to " +
                   format_size(body_max_of(options.capacity)) + ", and factory \"" +
                   options.factory + "\" says max-message " + format_size(options.message_max) +
                   "; name a max-message too, or a larger ring");
}

}  // namespace loopline::shm
