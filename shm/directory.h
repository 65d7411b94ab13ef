// Directory: station names to ring files, with create-or-open races settled by link(2).
//
// An instance is a folder (LOOPLINE_DIR, /run/loopline, or $XDG_RUNTIME_DIR/loopline) and its rings
// under /dev/shm/loopline/INSTANCE/, where INSTANCE is derived from the folder's real path, so that
// two instances never meet. Ring files are flat there: `factory@station@partition@generation.ring`;
// `@` cannot occur in a name. Beside them lies `roster`.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "mapping.h"
#include "name.h"
#include "roster.h"

namespace loopline::shm {

struct InstancePaths {
  std::string folder;  // configuration, sockets
  std::string shm;     // rings and roster
};
// From `--dir`, or the environment as PRODUCT.md says. Makes nothing.
Result<InstancePaths> find_instance(std::string_view explicit_folder = {});

class FolderLock;
class Ledger;

class Directory {
 public:
  // Makes the folders when they are missing (0770 under the user's umask for the instance's own).
  static Result<Directory> open_or_create(const InstancePaths& paths);
  // Only looks: not_found when there is no such instance.
  static Result<Directory> open(const InstancePaths& paths);

  // The newest generation of a station's partition that is born (an unborn one is reached through
  // its predecessor's seal). not_found names the station and the folder; a ring that was sealed as
  // removed is not found either, and what was left of it is unlinked.
  Result<Mapping> attach(const StationName& name, uint32_t partition, Access access) const;
  Result<Mapping> attach_generation(const StationName& name, uint32_t partition,
                                    uint32_t generation, Access access) const;
  // Makes the ring, and with partition 0 all others of its station; already_exists when it, or a
  // later generation, is there (whatever its parameters); not_found when it is a later generation
  // itself and the one before is gone, or another partition than 0 and the station is gone.
  Result<Mapping> create(const RingOptions& options) const;
  // Opens, or creates with `options`, completed by the factory; when it exists with others, the
  // fault names each difference. `asked` says which of them the caller really asked for.
  struct Asked {
    bool capacity = false, message_max = false, exclusive = false, when_full = false,
         evict_after = false, timestamp = false, partitions = false, mode = false, owner = false,
         storage = false, dedup_window = false, dedup_entries = false;
  };
  // `options` with what their factory says where the caller asked for nothing. Faults: corrupted
  // (the factory's file), invalid_argument (the two do not go together, no such owner).
  Result<RingOptions> with_defaults(RingOptions options, const Asked& asked) const;
  Result<Mapping> open_or_create(const RingOptions& options, const Asked& asked,
                                 Access access) const;

  // A partition of a station that is there, made if its maker died before it came to it; see
  // partitions.cc. Faults: as attach.
  Result<Mapping> attach_partition(const StationName& name, uint32_t partition,
                                   Access access) const;
  // Ends a station: all its partitions are sealed, then unlinked. Goes on with what a dead remover
  // began. Faults: not_found, unsupported (an exclusive producer lives), timed_out (somebody else
  // is removing or editing it and does not go on).
  Status remove_station(const StationName& name) const;
  // Ends what dead removers began on the factory's stations, so that it no longer counts.
  Status finish_removals(const std::string& factory) const;

  struct Listed {
    StationName name;
    uint32_t partition = 0;
    uint32_t generation = 0;
    std::string path;
    uint64_t bytes = 0;  // of memory
  };
  // All ring files, sorted by name; files that are neither rings nor bells of their readers
  // (bell_file.h) are listed by list_strangers().
  Result<std::vector<Listed>> list() const;
  std::vector<std::string> list_strangers() const;
  // Bell files whose ring is gone: left by readers that died after it was removed.
  std::vector<std::string> list_stale_bells() const;
  // The generations of a station's partition, ascending; empty when there is none.
  Result<std::vector<uint32_t>> generations(const StationName& name, uint32_t partition) const;
  // Unlinks every generation of the station's partition, and with partition 0 of all; the caller
  // has sealed it first. Does nothing but say already_exists when the newest is in use: made anew
  // since, or never sealed.
  Status unlink(const StationName& name, uint32_t partition) const;
  std::string ring_path(const StationName& name, uint32_t partition, uint32_t generation) const;

  // The instance's roster; made on first use.
  Result<std::shared_ptr<Roster>> roster() const;
  Result<std::shared_ptr<Roster>> roster_to_look() const;
  const InstancePaths& paths() const { return paths_; }

  // Where the first ring of a partition begins: behind what its log on disk holds, or with the
  // sequence it had elsewhere; nothing: at the beginning. Whoever makes such stations sets it.
  using StartOf =
      std::function<Result<std::optional<Pair>>(const StationName&, uint32_t partition)>;
  void set_start_of(StartOf start_of) { start_of_ = std::move(start_of); }
  // What a new ledger must know of before it was made, for the holder of its lock; likewise.
  using FillLedger = std::function<Status(const Directory&, const RingHeader&, Ledger&)>;
  void set_fill_ledger(FillLedger fill) { fill_ledger_ = std::move(fill); }
  Status fill_ledger(const RingHeader& ring, Ledger& ledger) const {
    return fill_ledger_ ? fill_ledger_(*this, ring, ledger) : ok();
  }

 private:
  explicit Directory(InstancePaths paths) : paths_(std::move(paths)) {}
  Fault missing(const StationName& name, uint32_t partition) const;
  Result<RingOptions> with_start(const RingOptions& options) const;
  Status check_vacant(const RingOptions& options) const;
  Result<bool> publish(Mapping& mapping, const RingOptions& options, bool is_locked) const;
  Result<FolderLock> lock_to_name(const RingOptions& options) const;
  Status check_room(const RingOptions& options) const;
  Status check_station(const StationName& name) const;
  Result<Mapping> attach_or_make(const Mapping& first, uint32_t partition, Access access) const;
  Status make_others(const RingOptions& options) const;
  Status remove_station_locked(const StationName& name) const;
  Status unlink_others(const StationName& name) const;
  Result<bool> remove_if_sealed(const Result<FolderLock>& lock, const StationName& name,
                                uint32_t partition) const;
  Status finish_removal(const StationName& name, uint32_t partition) const;
  InstancePaths paths_;
  StartOf start_of_;
  FillLedger fill_ledger_;
};

// The last ring of an instance is gone and nobody is seated: removes roster and folder. Used by the
// demo, tests and `loopline down`; refuses (false) while rings, strangers or living threads other
// than the calling one remain.
bool remove_instance_shm(const InstancePaths& paths);

}  // namespace loopline::shm
