// Station: options checked, rings found through the directory, handles made.
#include "loopline/station.h"

#include <algorithm>
#include <mutex>
#include <vector>

#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "shm/attached.h"
#include "shm/directory.h"
#include "shm/edit.h"
#include "shm/flush_cursor.h"
#include "shm/owner.h"
#include "shm/ring_header.h"
#include "state.h"
#include "station_options.h"

namespace loopline {

// Producers map the ring read-write, consumers read-only: two attachments, each made when needed.
struct Station::State {
  State(shm::Directory where, std::string log_data, const shm::StationName& which,
        const shm::RingHeader& header)
      : directory(std::move(where)),
        data(std::move(log_data)),
        station(which),
        text(which.text()),
        first(header),
        partitions(header.partitions),
        for_producers(header.partitions),
        for_consumers(header.partitions) {}

  const shm::Directory directory;
  const std::string data;  // folder of its logs
  const shm::StationName station;
  const std::string text;
  const shm::RingHeader first;  // of the ring that was found
  const uint32_t partitions;
  std::mutex mutex;
  std::vector<std::shared_ptr<shm::Attached>> for_producers;  // by partition
  std::vector<std::shared_ptr<shm::Attached>> for_consumers;

  Result<std::shared_ptr<shm::Attached>> attach(shm::Access access, uint32_t partition);
  shm::RingHeader newest() const;
  Result<std::shared_ptr<shm::Attached>> first_to_read(
      From from, const std::shared_ptr<shm::Attached>& newest) const;
  std::unique_ptr<CatchUp> log_of(uint32_t partition) const;
};

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

Result<uint64_t> nanoseconds(const char* key, std::chrono::nanoseconds time) {
  if (time.count() >= 0) return static_cast<uint64_t>(time.count());
  return Fault(FaultCode::invalid_argument, std::string(key) + " cannot be negative");
}

// What `asked` says of a log, into `conf`.
Status set_log_options(const StationOptions& asked, io::StationConf& conf) {
  if (asked.segment) conf.segment_bytes = *asked.segment;
  if (asked.retention_messages) conf.retention.messages = *asked.retention_messages;
  if (asked.retention_bytes) conf.retention.bytes = *asked.retention_bytes;
  if (asked.retention_age) {
    LL_TRY(age, nanoseconds("retention.age", *asked.retention_age));
    conf.retention.age_ns = age;
  }
  if (asked.flush) {
    LL_TRY(interval, nanoseconds("flush", *asked.flush));
    conf.flush_interval_ns = interval;
  }
  return ok();
}

bool has_log_options(const StationOptions& asked) {
  return asked.segment || asked.retention_age || asked.retention_messages ||
         asked.retention_bytes || asked.flush;
}

// What a station's rings are made from, as its conf says it.
void set_ring_options(const shm::RingOptions& ring, const StationOptions& asked,
                      io::StationConf& conf) {
  conf.ring.ring = ring.capacity;
  conf.ring.partitions = ring.partitions;
  if (ring.message_max != 0) conf.ring.max_message = ring.message_max;
  conf.ring.exclusive = ring.exclusive;
  conf.ring.when_full = ring.when_full;
  conf.ring.timestamp = ring.timestamp;
  conf.ring.dedup_window_ns = ring.dedup_window_ns;
  conf.ring.dedup_entries = ring.dedup_entries;
  conf.ring.mode = ring.mode;
  if (asked.owner) conf.ring.owner = *asked.owner;
  // As large as a ring allows is too large for a segment that is smaller than an eighth of it.
  const uint64_t most =
      io::is_segment_size(conf.segment_bytes) ? io::body_bytes_max(conf.segment_bytes) : ~0ull;
  if (ring.message_max == 0 && shm::body_max_of(ring.capacity) > most) conf.ring.max_message = most;
}

Status create_on_disk(const shm::Directory& directory, const std::string& data,
                      const shm::RingOptions& ring, const StationOptions& asked) {
  LL_TRY(whole, directory.with_defaults(ring, asked_of(asked)));
  const auto wrong = shm::wrong_in(whole);
  if (wrong) return Fault(FaultCode::invalid_argument, *wrong);
  io::StationConf conf;
  LL_TRY_STATUS(set_log_options(asked, conf));
  set_ring_options(whole, asked, conf);
  return io::create_file_station(directory, data, {ring.factory, ring.station}, conf);
}

// That what is asked of its log is so.
Status compare_log(const std::string& data, const shm::StationName& name,
                   const shm::RingHeader& ring, const StationOptions& asked) {
  if (!has_log_options(asked)) return ok();
  LL_TRY(found, io::read_station_conf(data, name));
  if (!found && ring.storage == shm::Storage::file) return io::conf_missing(data, name, &ring);
  io::StationConf wanted = found.value_or(io::StationConf{});
  LL_TRY_STATUS(set_log_options(asked, wanted));
  if (found && wanted == *found) return ok();
  return Fault(FaultCode::already_exists, "station \"" + name.text() +
                                              "\" exists with other parameters of its log; see: " +
                                              "loopline station info " + name.text());
}

Result<shm::Mapping> attach_first(const shm::Directory& directory, const shm::StationName& name) {
  auto mapping = directory.attach(name, 0, shm::Access::consume);
  if (mapping || mapping.fault().code() != FaultCode::no_permission) return mapping;
  return directory.attach(name, 0, shm::Access::look);
}

Result<shm::Mapping> find_ring(const shm::Directory& directory, const std::string& data,
                               const shm::RingOptions& ring, const StationOptions& options,
                               Opening opening) {
  const shm::StationName name{ring.factory, ring.station};
  auto there = attach_first(directory, name);
  if (!there && there.fault().code() == FaultCode::not_found) {
    if (io::has_lost_conf(data, name)) return io::conf_missing(data, name, nullptr);
    LL_TRY(revived, io::revive_station(directory, data, name));
    if (revived) there = attach_first(directory, name);
  }
  if (opening == Opening::open) return there;
  if (!there && there.fault().code() != FaultCode::not_found) return there;
  const bool is_new = !there;
  shm::RingOptions whole = ring;  // with what its factory says
  if (is_new) {
    LL_TRY(completed, directory.with_defaults(ring, asked_of(options)));
    whole = completed;
  }
  if (is_new && whole.storage == shm::Storage::file) {
    const Status made = create_on_disk(directory, data, ring, options);
    if (made) return attach_first(directory, name);
    const bool was_made = made.fault().code() == FaultCode::already_exists;  // meanwhile
    if (!was_made || opening == Opening::create) return made.fault();
  }
  if (is_new && has_log_options(options) && whole.storage == shm::Storage::memory) {
    return Fault(FaultCode::invalid_argument,
                 "segment, retention and flush are for stations on disk: add storage file");
  }
  if (opening == Opening::create) return directory.create(whole);
  auto opened = directory.open_or_create(ring, asked_of(options), shm::Access::consume);
  if (opened) LL_TRY_STATUS(compare_log(data, name, opened->header(), options));
  return opened;
}

}  // namespace

Result<Station> Station::open_with(std::string_view text, const StationOptions& options,
                                   std::string_view dir, int opening) {
  LL_TRY(name, shm::parse_station_name(text));
  LL_TRY(ring, ring_options(name, options));
  LL_TRY(paths, shm::find_instance(dir));
  const auto how = static_cast<Opening>(opening);
  const std::string data = io::data_folder_of(paths);
  // After a reboot the instance is not there before a station on disk is opened.
  LL_TRY(on_disk, io::read_station_conf(data, name));
  const bool only_look = how == Opening::open && !on_disk;
  LL_TRY(directory,
         only_look ? shm::Directory::open(paths) : shm::Directory::open_or_create(paths));
  io::keep_on_disk(directory, data);
  LL_TRY(mapping, find_ring(directory, data, ring, options, how));
  return Station(std::make_shared<State>(directory, data, name, mapping.header()));
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
  const std::string data = io::data_folder_of(paths);
  const auto conf = io::read_station_conf(data, name);
  const bool is_spoilt = !conf && conf.fault().code() == FaultCode::corrupted;
  if (!conf && !is_spoilt) return conf.fault();
  const bool on_disk = is_spoilt || *conf || io::has_lost_conf(data, name);
  LL_TRY(directory, on_disk ? shm::Directory::open_or_create(paths) : shm::Directory::open(paths));
  io::keep_on_disk(directory, data);
  return io::remove_station_everywhere(directory, data, name);
}

namespace {

StationChange change_of(const shm::StationChange& change) {
  return {change.is_changed, change.messages,         change.bytes,
          change.readers,    change.unreturned_bytes, change.rings};
}

// The parameters on disk, as an edit makes them.
Result<std::optional<io::StationConf>> edited_conf(const std::string& data,
                                                   const shm::StationName& name,
                                                   const StationOptions& asked) {
  LL_TRY(before, io::read_station_conf(data, name));
  const auto is = before ? Storage::file : Storage::memory;
  if (asked.storage && *asked.storage != is) {
    return Fault(FaultCode::unsupported,
                 "storage of station \"" + name.text() + "\" cannot change; make another station");
  }
  if (!before && has_log_options(asked)) {
    return Fault(
        FaultCode::unsupported,
        "station \"" + name.text() + "\" is in memory: it has no segments, retention or flush");
  }
  if (!before) return before;
  io::StationConf conf = *before;
  LL_TRY_STATUS(set_log_options(asked, conf));
  if (asked.ring) conf.ring.ring = *asked.ring;
  if (asked.max_message) conf.ring.max_message = *asked.max_message;
  if (asked.when_full) conf.ring.when_full = static_cast<shm::WhenFull>(*asked.when_full);
  if (asked.timestamp) conf.ring.timestamp = static_cast<shm::TimestampKind>(*asked.timestamp);
  if (asked.dedup_window) {
    conf.ring.dedup_window_ns = static_cast<uint64_t>(std::max(0L, asked.dedup_window->count()));
  }
  if (asked.mode) conf.ring.mode = *asked.mode;
  if (asked.owner) conf.ring.owner = *asked.owner;
  return std::optional<io::StationConf>(std::move(conf));
}

// That one on disk has a conf, which an edit could change.
Status check_conf(const shm::Directory& directory, const std::string& data,
                  const shm::StationName& name) {
  LL_TRY(conf, io::read_station_conf(data, name));
  if (conf) return ok();
  const auto ring = directory.attach(name, 0, shm::Access::look);
  const bool is_file = ring && ring->header().storage == shm::Storage::file;
  return is_file ? Status(io::conf_missing(data, name, &ring->header())) : ok();
}

Status check_edit(const std::string& data, const shm::StationName& name,
                  const StationOptions& asked) {
  LL_TRY(conf, edited_conf(data, name, asked));
  return conf ? io::check_station_conf(*conf) : ok();
}

// After the rings: what a reboot makes them from. Whoever flushes it reads its part when it begins.
Result<bool> edit_on_disk(const std::string& data, const shm::StationName& name,
                          const StationOptions& asked) {
  LL_TRY(conf, edited_conf(data, name, asked));
  if (!conf) return false;
  LL_TRY(before, io::read_station_conf(data, name));
  if (before == conf) return false;
  LL_TRY_STATUS(io::write_station_conf(data, name, *conf, false));
  return true;
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
  if (options.dedup_window) edit.dedup_window_ns = ring.dedup_window_ns;
  edit.dedup_entries = options.dedup_entries;
  if (options.timestamp) edit.timestamp = ring.timestamp;
  if (options.mode) edit.mode = ring.mode;
  if (options.owner) edit.owner = ring.owner;
  edit.partitions = options.partitions;
  edit.exclusive = options.exclusive;
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(directory, shm::Directory::open(paths));
  io::keep_on_disk(directory, io::data_folder_of(paths));
  LL_TRY_STATUS(check_conf(directory, io::data_folder_of(paths), name));
  LL_TRY_STATUS(check_edit(io::data_folder_of(paths), name, options));
  LL_TRY(change, shm::edit_station(directory, name, edit));
  LL_TRY(log_changed, edit_on_disk(io::data_folder_of(paths), name, options));
  change.is_changed |= log_changed;
  return change_of(change);
}

Result<StationChange> Station::purge(std::string_view text, std::string_view dir) {
  LL_TRY(name, shm::parse_station_name(text));
  LL_TRY(paths, shm::find_instance(dir));
  const std::string data = io::data_folder_of(paths);
  LL_TRY(on_disk, io::read_station_conf(data, name));
  LL_TRY(directory, on_disk ? shm::Directory::open_or_create(paths) : shm::Directory::open(paths));
  io::keep_on_disk(directory, data);
  LL_TRY_STATUS(check_conf(directory, data, name));
  if (on_disk) {
    LL_TRY(purged, io::purge_file_station(directory, data, name));
    return change_of(purged);
  }
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
  state->is_on_disk = state_->first.storage == shm::Storage::file;
  state->identified = options.identified;
  state->id = options.id != 0 ? options.id : state->rings[0].identity();
  state->next_sequence = std::max<uint64_t>(options.first_sequence, 1);
  state->is_checked = options.identified && options.id != 0;
  if (state->is_checked) LL_TRY_STATUS(state->take_over(options.first_sequence));
  return Producer(std::move(state));
}

namespace {

// Who asks for as many as there are misses nothing that is not there.
void forget_gap(CatchUp& log, shm::Consumer& ring) {
  (void)log.take_gap();
  (void)ring.take_gap();
}

}  // namespace

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
    auto log = state_->log_of(partition);
    if (log) {
      wanted.from = sequence_for_last(options.from, *attached);
      LL_TRY(oldest, state_->first_to_read(wanted.from, attached));
      LL_TRY(kept_from, log->kept_from());
      LL_TRY(first, first_not_purged(oldest, attached, kept_from));
      attached = first;
    }
    LL_TRY(ring, shm::Consumer::open(attached, wanted));
    if (log) LL_TRY_STATUS(log->begin(wanted.from, ring));
    if (log && options.from.kind() == From::Kind::last) forget_gap(*log, ring);
    sources.push_back({std::move(ring), partition, false, std::move(log)});
  }
  return Consumer(std::make_unique<ConsumerState>(std::move(sources)));
}

// What an older ring still keeps from the disk is nowhere else.
Result<std::shared_ptr<shm::Attached>> Station::State::first_to_read(
    From from, const std::shared_ptr<shm::Attached>& newest) const {
  const uint64_t newest_begin = newest->ring().window_start().second;
  const bool is_late = from.kind() == From::Kind::latest ||
                       (from.kind() == From::Kind::sequence && from.value() >= newest_begin);
  if (is_late) return newest;
  const uint32_t partition = newest->header().partition;
  auto oldest = shm::oldest_not_on_disk(directory, station, partition, newest->mapping().access());
  if (!oldest && oldest.fault().code() != FaultCode::not_found) return oldest.fault();
  const bool is_older = oldest && (*oldest)->header().generation < newest->header().generation;
  return is_older ? *oldest : newest;
}

std::unique_ptr<CatchUp> Station::State::log_of(uint32_t partition) const {
  if (first.storage != shm::Storage::file) return nullptr;
  const io::LogId id{{first.log_uuid[0], first.log_uuid[1]}};
  return std::make_unique<CatchUp>(directory, station, partition, data,
                                   io::log_of_partition(id, partition));
}

const std::string& Station::name() const { return state_->text; }

Storage Station::storage() const { return static_cast<Storage>(state_->first.storage); }

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
