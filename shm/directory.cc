// Directory: which ring files there are, and the races between those who attach, make and remove
// them.
//
// A partition's rings, by generation:   [older, sealed] ... [current] [unborn successor]
// The current one is the newest that is born. A current ring sealed as removed means that there is
// no station: whoever comes by and may write finishes the removal, unborn first, then the old, the
// current one last, so that a death in between leaves the removal to be found again.
#include "directory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <filesystem>
#include <optional>

#include "base/units.h"
#include "bell_file.h"
#include "instance.h"
#include "group_file.h"
#include "ledger.h"
#include "ring_header.h"

namespace loopline::shm {
namespace {

constexpr std::string_view ring_suffix = ".ring";
// Each try ends with an answer, or another process made or removed the ring meanwhile.
constexpr int tries_max = 100;

// What `text` holds as a whole, in the one way we would write it ourselves.
std::optional<uint32_t> parse_number(std::string_view text) {
  uint32_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  if (std::to_string(value) != text) return {};
  return value;
}

// The text before the next `@`, which is taken off `rest`.
std::string_view next_part(std::string_view& rest) {
  const size_t length = std::min(rest.find('@'), rest.size());
  const std::string_view part = rest.substr(0, length);
  rest.remove_prefix(std::min(length + 1, rest.size()));
  return part;
}

std::string ring_file_name(const StationName& name, uint32_t partition, uint32_t generation) {
  return name.factory + "@" + name.station + "@" + std::to_string(partition) + "@" +
         std::to_string(generation) + std::string(ring_suffix);
}

std::optional<Directory::Listed> parse_ring_file_name(std::string_view file) {
  if (!file.ends_with(ring_suffix)) return {};
  std::string_view rest = file.substr(0, file.size() - ring_suffix.size());
  Directory::Listed listed;
  listed.name.factory = next_part(rest);
  listed.name.station = next_part(rest);
  const auto partition = parse_number(next_part(rest));
  const auto generation = parse_number(next_part(rest));
  if (!is_name(listed.name.factory) || !is_name(listed.name.station)) return {};
  if (!partition || !generation || !rest.empty()) return {};
  listed.partition = *partition;
  listed.generation = *generation;
  if (ring_file_name(listed.name, *partition, *generation) != file) return {};
  return listed;
}

std::string file_name_of(const RingHeader& header) {
  return ring_file_name({header.factory, header.station}, header.partition, header.generation);
}

// Whether a ring carries the name it was made for. Who goes from one generation to the next relies
// on it: a copy under an older name would be its own predecessor, without end.
bool is_at_home(const RingHeader& header, std::string_view path) {
  return path.ends_with("/" + file_name_of(header));
}

// The names in a folder.
Result<std::vector<std::string>> names_in(const std::string& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    names.push_back(at->path().filename().string());
  }
  if (error) return fault_from_errno(error.value(), "cannot list folder " + folder);
  return names;
}

// How a ring file stands, told by a few bytes of it.
enum class Standing { absent, unreadable, no_ring, unborn, in_use, removed };

Standing standing_of(const std::string& path) {
  const auto file = open_file("ring", path, false);
  if (!file) {
    switch (file.fault().code()) {
      case FaultCode::not_found:
        return Standing::absent;
      case FaultCode::corrupted:
        return Standing::no_ring;
      default:
        return Standing::unreadable;
    }
  }
  if (!read_ring_header(*file, path)) return Standing::no_ring;
  const RingMarks marks = read_ring_marks(*file);
  if (!marks.is_born) return Standing::unborn;
  return marks.seal_state == seal_removed ? Standing::removed : Standing::in_use;
}

struct Ranked {
  uint32_t generation = 0;
  Standing standing = Standing::absent;
};

std::string place_of(const StationName& name, uint32_t partition) {
  const std::string station = "station \"" + name.text() + "\"";
  return partition == 0 ? station : "partition " + std::to_string(partition) + " of " + station;
}

std::string evict_text(uint64_t evict_after_ns) {
  return evict_after_ns == 0 ? "off" : format_duration(evict_after_ns);
}

// Collects what differs, in the words of the command line.
struct Differences {
  std::string text;
  void add(bool asked, const char* key, const std::string& is, const std::string& wanted) {
    if (!asked || is == wanted) return;
    text += (text.empty() ? "" : ", ") + std::string(key) + " is " + is + ", not " + wanted;
  }
};

Status compare(const RingHeader& header, const RingOptions& options,
               const Directory::Asked& asked) {
  const uint64_t message_max =
      options.message_max == 0 ? body_max_of(header.capacity) : options.message_max;
  const auto yes_no = [](bool on) { return std::string(on ? "on" : "off"); };
  Differences differences;
  differences.add(asked.capacity, "ring", format_size(header.capacity),
                  format_size(options.capacity));
  differences.add(asked.message_max, "max-message", format_size(header.message_max),
                  format_size(message_max));
  differences.add(asked.exclusive, "exclusive", yes_no(header.exclusive != 0),
                  yes_no(options.exclusive));
  differences.add(asked.when_full, "when-full", word_of(header.when_full),
                  word_of(options.when_full));
  differences.add(asked.evict_after, "evict-after", evict_text(header.evict_after_ns),
                  evict_text(options.evict_after_ns));
  differences.add(asked.timestamp, "timestamp", word_of(header.timestamp),
                  word_of(options.timestamp));
  differences.add(asked.dedup_window, "dedup-window", evict_text(header.dedup_window_ns),
                  evict_text(options.dedup_window_ns));
  differences.add(asked.dedup_entries, "dedup-entries", std::to_string(header.dedup_entries),
                  std::to_string(options.dedup_entries));
  differences.add(asked.storage, "storage", word_of(header.storage), word_of(options.storage));
  differences.add(asked.partitions, "partitions", std::to_string(header.partitions),
                  std::to_string(options.partitions));
  if (differences.text.empty()) return ok();
  return Fault(FaultCode::already_exists,
               place_of({header.factory, header.station}, header.partition) +
                   " exists with other parameters: " + differences.text +
                   "; open it without them, or remove it first");
}

}  // namespace

Result<Directory> Directory::open_or_create(const InstancePaths& paths) {
  LL_TRY_STATUS(make_folders(paths));
  return Directory(paths);
}

Result<Directory> Directory::open(const InstancePaths& paths) {
  LL_TRY_STATUS(check_folders(paths));
  return Directory(paths);
}

std::string Directory::ring_path(const StationName& name, uint32_t partition,
                                 uint32_t generation) const {
  return paths_.shm + "/" + ring_file_name(name, partition, generation);
}

Result<std::vector<uint32_t>> Directory::generations(const StationName& name,
                                                     uint32_t partition) const {
  std::vector<uint32_t> found;
  const auto names = names_in(paths_.shm);
  if (!names && names.fault().code() == FaultCode::not_found) return found;  // instance removed
  if (!names) return names.fault();
  for (const std::string& file : *names) {
    const auto listed = parse_ring_file_name(file);
    if (!listed || listed->partition != partition) continue;
    if (listed->name.factory != name.factory || listed->name.station != name.station) continue;
    found.push_back(listed->generation);
  }
  std::sort(found.begin(), found.end());
  return found;
}

Fault Directory::missing(const StationName& name, uint32_t partition) const {
  return {FaultCode::not_found, "there is no " + place_of(name, partition) + " in " +
                                    paths_.folder + "; see: loopline station ls"};
}

Result<Mapping> Directory::attach(const StationName& name, uint32_t partition,
                                  Access access) const {
  for (int count = 0; count < tries_max; ++count) {
    LL_TRY(found, generations(name, partition));
    while (!found.empty() &&
           standing_of(ring_path(name, partition, found.back())) == Standing::unborn) {
      found.pop_back();
    }
    if (found.empty()) return missing(name, partition);
    auto mapping = attach_generation(name, partition, found.back(), access);
    if (!mapping && mapping.fault().code() == FaultCode::not_found) continue;  // looks again
    if (!mapping) return mapping;
    const uint64_t state =
        mapping->control().seal.state.load(std::memory_order_acquire);  // acquire [seal]
    if (state != seal_removed) return mapping;
    if (partition !=
        0) {  // its remover died before it came to partition 0: attach_partition ends it
      return Fault(FaultCode::closed, place_of(name, partition) + " was removed");
    }
    // The remover died before the end, or is about to finish; either way the station is gone.
    // Not waited for: whoever holds the folder, creates here or attaches next comes by again.
    if (access != Access::look) {
      static_cast<void>(remove_if_sealed(FolderLock::try_take(paths_, FolderLock::Kind::exclusive),
                                         name, partition));
    }
    return missing(name, partition);
  }
  return Fault(FaultCode::timed_out,
               place_of(name, partition) + " comes and goes faster than it can be attached to");
}

Result<Mapping> Directory::attach_generation(const StationName& name, uint32_t partition,
                                             uint32_t generation, Access access) const {
  const std::string path = ring_path(name, partition, generation);
  auto mapping = Mapping::attach(path, access);
  if (!mapping && mapping.fault().code() == FaultCode::not_found) return missing(name, partition);
  if (mapping && !is_at_home(mapping->header(), path)) {
    return Fault(FaultCode::corrupted, "ring " + path + " was made for another name, " +
                                           file_name_of(mapping->header()) +
                                           ": it was moved or copied; remove it");
  }
  return mapping;
}

// Whether a ring of this generation may get its name now. Under the lock the answer stays true.
Status Directory::check_vacant(const RingOptions& options) const {
  const StationName name{options.factory, options.station};
  LL_TRY(found, generations(name, options.partition));
  if (!found.empty() && found.back() >= options.generation) {
    return Fault(FaultCode::already_exists,
                 place_of(name, options.partition) + " exists already in " + paths_.folder);
  }
  if (options.partition != 0 && options.generation == 1) return check_station(name);
  // A successor of a ring that was removed meanwhile would never be born.
  if (options.generation > 1 && (found.empty() || found.back() != options.generation - 1)) {
    return missing(name, options.partition);
  }
  return ok();
}

// That a partition is there to belong to: partition 0 is the station.
Status Directory::check_station(const StationName& name) const {
  LL_TRY(found, generations(name, 0));
  for (; !found.empty(); found.pop_back()) {
    const Standing standing = standing_of(ring_path(name, 0, found.back()));
    if (standing == Standing::in_use) return ok();
    if (standing != Standing::unborn) break;
  }
  return missing(name, 0);
}

// Gives the prepared ring its name, if its roster still is the instance's; true when it has it.
Result<bool> Directory::publish(Mapping& mapping, const RingOptions& options,
                                bool is_locked) const {
  std::optional<Result<FolderLock>> lock;
  if (!is_locked) lock.emplace(lock_to_name(options));
  if (lock && !*lock) return lock->fault();
  LL_TRY(roster, this->roster());
  if (!std::equal(roster->uuid(), roster->uuid() + 2, mapping.header().roster_uuid)) return false;
  LL_TRY_STATUS(check_vacant(options));
  LL_TRY_STATUS(check_room(options));
  LL_TRY_STATUS(mapping.publish(
      ring_path({options.factory, options.station}, options.partition, options.generation)));
  return true;
}

// A successor begins where its predecessor ends.
Result<RingOptions> Directory::with_start(const RingOptions& options) const {
  RingOptions whole = options;
  const bool is_asked = options.born && !options.start;
  if (!is_asked || !start_of_) return whole;
  LL_TRY(start, start_of_({options.factory, options.station}, options.partition));
  whole.start = start;
  return whole;
}

Result<Mapping> Directory::create(const RingOptions& asked) const {
  LL_TRY(options, with_start(asked));
  const StationName name{options.factory, options.station};
  for (int count = 0; count < tries_max; ++count) {
    if (options.partition == 0) LL_TRY_STATUS(finish_removal(name, 0));
    LL_TRY_STATUS(make_folders(paths_));
    // Refused before memory is taken; what counts is said under the lock, by publish().
    if (count == 0 && !check_room(options)) LL_TRY_STATUS(finish_removals(options.factory));
    // A remover came between: it is held off while we prepare. Not at first, since pre-faulting a
    // large ring takes long, and removers should not wait for it.
    std::optional<Result<FolderLock>> held;
    if (count != 0) held.emplace(lock_to_name(options));
    const Status room = check_room(options);
    const Status vacant = check_vacant(options);  // after it: what is there is not also refused
    if (!vacant) return vacant.fault();
    if (!room) return room.fault();
    auto roster = this->roster();
    if (!roster && roster.fault().code() == FaultCode::not_found) continue;  // folder removed
    if (!roster) return roster.fault();
    auto mapping = Mapping::prepare(paths_.shm, options, (*roster)->uuid());
    if (!mapping && mapping.fault().code() == FaultCode::not_found) continue;  // likewise
    if (!mapping) return mapping;
    auto published = publish(*mapping, options, held && *held);
    held.reset();
    if (published && *published) {
      const bool is_station = options.partition == 0 && options.generation == 1;
      if (is_station && options.partitions > 1) LL_TRY_STATUS(make_others(asked));
      return mapping;
    }
    if (!published && published.fault().code() != FaultCode::not_found) return published.fault();
  }
  return Fault(FaultCode::timed_out, "folder " + paths_.shm +
                                         " comes and goes: another program "
                                         "makes and removes the instance again and again");
}

Result<Mapping> Directory::open_or_create(const RingOptions& options, const Asked& asked,
                                          Access access) const {
  const StationName name{options.factory, options.station};
  for (int count = 0; count < tries_max; ++count) {
    auto mapping = attach(name, options.partition, access);
    if (mapping) {
      LL_TRY_STATUS(compare(mapping->header(), options, asked));
      return mapping;
    }
    if (mapping.fault().code() != FaultCode::not_found) return mapping;
    LL_TRY(whole, with_defaults(options, asked));
    auto made = create(whole);
    if (made && access == Access::produce) return made;
    if (made) continue;
    // Made by another meanwhile, or removed before all its partitions were made: we look again.
    const FaultCode code = made.fault().code();
    if (code != FaultCode::already_exists && code != FaultCode::not_found) return made;
  }
  return Fault(FaultCode::timed_out, place_of(name, options.partition) +
                                         " comes and goes: another program makes and "
                                         "removes it again and again");
}

Result<std::vector<Directory::Listed>> Directory::list() const {
  std::vector<Listed> rings;
  LL_TRY(names, names_in(paths_.shm));
  for (const std::string& file : names) {
    auto listed = parse_ring_file_name(file);
    if (!listed) continue;
    listed->path = paths_.shm + "/" + file;
    struct stat status;
    if (::lstat(listed->path.c_str(), &status) != 0) continue;  // removed meanwhile
    listed->bytes = static_cast<uint64_t>(status.st_blocks) * 512;
    rings.push_back(std::move(*listed));
  }
  std::sort(rings.begin(), rings.end(), [](const Listed& left, const Listed& right) {
    return std::tie(left.name.factory, left.name.station, left.partition, left.generation) <
           std::tie(right.name.factory, right.name.station, right.partition, right.generation);
  });
  return rings;
}

std::vector<std::string> Directory::list_strangers() const {
  std::vector<std::string> strangers;
  auto names = names_in(paths_.shm);
  if (!names) return strangers;
  for (const std::string& file : *names) {
    if (file == roster_file_name) continue;
    const std::string path = paths_.shm + "/" + file;
    const bool is_ring = parse_ring_file_name(file) && standing_of(path) != Standing::no_ring;
    const bool is_known = is_bell_file(path) || is_ledger_file(path) || is_group_file(path);
    if (!is_ring && !is_known) strangers.push_back(path);
  }
  std::sort(strangers.begin(), strangers.end());
  return strangers;
}

// The bells first: a ring that is gone by the second look never comes back, nor does its uuid.
std::vector<std::string> Directory::list_stale_bells() const {
  std::vector<std::string> bells;
  const auto names = names_in(paths_.shm);
  for (const std::string& file : names ? *names : std::vector<std::string>()) {
    if (is_bell_file(paths_.shm + "/" + file)) bells.push_back(paths_.shm + "/" + file);
  }
  const auto rings = list();
  if (!rings) return {};
  for (const Listed& ring : *rings) {
    const auto file = open_file("ring", ring.path, false);
    const auto header =
        file ? read_ring_header(*file, ring.path) : Result<RingHeader>(file.fault());
    const std::string any = ring.path.substr(0, ring.path.size() - ring_suffix.size()) + "@";
    const std::string start = header ? bell_files_of(paths_.shm, *header) : any;
    std::erase_if(bells, [&](const std::string& bell) { return bell.starts_with(start); });
  }
  std::sort(bells.begin(), bells.end());
  return bells;
}

// Unlinks the partition's rings unless the current one is in use: false. Under the exclusive lock,
// so that no ring which took the place of a removed one is ever meant.
Result<bool> Directory::remove_if_sealed(const Result<FolderLock>& lock, const StationName& name,
                                         uint32_t partition) const {
  if (!lock) return lock.fault();
  LL_TRY(found, generations(name, partition));
  size_t current = found.size();  // counts down to one past the current ring
  const auto path_at = [&](size_t index) { return ring_path(name, partition, found[index]); };
  while (current > 0 && standing_of(path_at(current - 1)) == Standing::unborn) --current;
  if (current > 0) {
    const Standing standing = standing_of(path_at(current - 1));
    if (standing == Standing::in_use || standing == Standing::unreadable) return false;
    // If we die between two of these: the current one still says removed, or is still no ring.
    std::rotate(found.begin(), found.begin() + static_cast<ptrdiff_t>(current), found.end());
  }
  const std::string station = name.factory + "@" + name.station + "@";
  const std::string start = partition == 0 ? station : station + std::to_string(partition) + "@";
  remove_bell_files(paths_.shm, start);
  remove_ledger_files(paths_.shm, start);
  remove_group_files(paths_.shm, start);
  if (partition == 0) LL_TRY_STATUS(unlink_others(name));
  for (const uint32_t generation : found) {
    const std::string path = ring_path(name, partition, generation);
    if (::unlink(path.c_str()) != 0 && errno != ENOENT) {
      return fault_from_errno(errno, "cannot remove ring " + path);
    }
  }
  return true;
}

Status Directory::finish_removal(const StationName& name, uint32_t partition) const {
  LL_TRY(found, generations(name, partition));
  while (!found.empty()) {
    const Standing standing = standing_of(ring_path(name, partition, found.back()));
    if (standing == Standing::removed) break;
    if (standing != Standing::unborn) return ok();
    found.pop_back();
  }
  if (found.empty()) return ok();
  const auto removed =
      remove_if_sealed(FolderLock::take(paths_, FolderLock::Kind::exclusive), name, partition);
  if (!removed && removed.fault().code() != FaultCode::not_found) return removed.fault();
  return ok();  // whether by us, or by another who may have made it anew since
}

Status Directory::finish_removals(const std::string& factory) const {
  LL_TRY(rings, list());
  for (const Listed& ring : rings) {
    const bool is_first = ring.name.factory == factory && ring.partition == 0;
    if (is_first) LL_TRY_STATUS(finish_removal(ring.name, 0));
  }
  return ok();
}

Status Directory::unlink(const StationName& name, uint32_t partition) const {
  LL_TRY(removed,
         remove_if_sealed(FolderLock::take(paths_, FolderLock::Kind::exclusive), name, partition));
  if (removed) return ok();
  return Fault(FaultCode::already_exists,
               place_of(name, partition) + " is in use and not sealed: it was made anew meanwhile");
}

Result<std::shared_ptr<Roster>> Directory::roster() const {
  LL_TRY(mode, file_mode_of(paths_));
  return Roster::open_or_create(paths_.shm + "/" + roster_file_name, mode);
}

Result<std::shared_ptr<Roster>> Directory::roster_to_look() const {
  return Roster::open_to_look(paths_.shm + "/" + roster_file_name);
}

}  // namespace loopline::shm
