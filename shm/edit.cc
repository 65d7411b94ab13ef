// Edit: partitions loaded with what was begun on them finished, then given successors.
#include "edit.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

#include "attached.h"
#include "base/units.h"
#include "group_file.h"
#include "instance.h"
#include "ledger.h"
#include "ring_header.h"
#include "seal.h"
#include "station_lock.h"
#include "window.h"

namespace loopline::shm {
namespace {

using RingRef = std::shared_ptr<Attached>;

uint64_t message_max_of(const RingOptions& options) {
  return options.message_max == 0 ? body_max_of(options.capacity) : options.message_max;
}

bool are_alike(const RingOptions& left, const RingOptions& right) {
  return left.capacity == right.capacity && message_max_of(left) == message_max_of(right) &&
         left.when_full == right.when_full && left.timestamp == right.timestamp &&
         left.evict_after_ns == right.evict_after_ns &&
         left.dedup_window_ns == right.dedup_window_ns;
}

// The editor of one station, at work under its lock.
class Editor {
 public:
  Editor(const Directory& directory, const StationName& name)
      : directory_(directory), name_(name) {}

  Status load_all();
  Result<StationChange> edit(const StationEdit& edit);
  Result<StationChange> purge(const OnPurged& on_purged);
  Status purge_ring(const RingRef& ring, const OnPurged& on_purged, StationChange& change);
  Result<StationChange> preview(const StationEdit& edit);

 private:
  std::string station() const { return "station \"" + name_.text() + "\""; }
  Fault gone() const { return {FaultCode::closed, station() + " was removed meanwhile"}; }
  Result<RingRef> load_ring(uint32_t partition) const;
  Result<RingOptions> target_of(const StationEdit& edit) const;
  Status check_fixed(const StationEdit& edit) const;
  std::vector<RingRef> unlike(const RingOptions& target) const;
  Status prepare(const RingRef& ring, RingOptions target);
  Status make_ready(const RingRef& ring, const RingOptions& target);
  void drop_unborn(const RingRef& ring) const;
  void drop_all_unborn() const;
  Result<bool> share_files(const StationEdit& edit) const;
  Status seal(const RingRef& ring, const RingOptions& target, StationChange& change);
  void count_left(const RingRef& ring, StationChange& change) const;
  void give_back(const RingRef& ring, StationChange& change) const;

  const Directory& directory_;
  const StationName& name_;
  std::shared_ptr<Roster> roster_;
  std::vector<RingRef> rings_;  // by partition
};

// The current ring; a seal that somebody began is finished, and followed.
Result<RingRef> Editor::load_ring(uint32_t partition) const {
  auto mapping = directory_.attach(name_, partition, Access::produce);
  if (!mapping && mapping.fault().code() == FaultCode::not_found) {
    mapping = directory_.attach_partition(name_, partition, Access::produce);
  }
  if (!mapping) return mapping.fault();
  RingRef ring = Attached::make(std::move(*mapping), roster_, directory_);
  while (!ring->is_open()) {
    LL_TRY(next, ring->successor());
    ring = next;
  }
  return ring;
}

Status Editor::load_all() {
  LL_TRY(first, directory_.attach(name_, 0, Access::produce));
  const uint32_t partitions = first.header().partitions;
  LL_TRY(roster, directory_.roster());
  roster_ = roster;
  for (uint32_t partition = 0; partition < partitions; ++partition) {
    LL_TRY(ring, load_ring(partition));
    rings_.push_back(ring);
  }
  return ok();
}

// ---- what is asked ---------------------------------------------------------

Status Editor::check_fixed(const StationEdit& edit) const {
  const RingHeader& header = rings_.front()->header();
  const std::string remedy = "; make another station, or remove this one and make it anew";
  const auto fixed = [&](const std::string& what, const std::string& why) {
    return Fault(FaultCode::unsupported,
                 what + " of " + station() + " cannot change: " + why + remedy);
  };
  if (edit.partitions && *edit.partitions != header.partitions) {
    return fixed("the number of partitions", "keys would go to other ones, out of their order");
  }
  if (edit.exclusive && *edit.exclusive != (header.exclusive != 0)) {
    return fixed("exclusive", "producers that are attached claim in the one way or the other");
  }
  if (edit.dedup_entries && *edit.dedup_entries != header.dedup_entries) {
    return fixed("dedup-entries", "the table of ids that its producers share is made once");
  }
  if (!edit.when_full || *edit.when_full == header.when_full) return ok();
  if (header.when_full == WhenFull::drop_oldest) {
    return fixed("when-full", "its consumers read as lossy ones, and drop-oldest is why");
  }
  if (*edit.when_full == WhenFull::drop_oldest) {
    return fixed("when-full", "consumers that hold it back could not be told that they lose now");
  }
  return ok();
}

// The parameters of partition 0 with what is asked. A max-message that was as large as the ring
// allowed stays so.
Result<RingOptions> Editor::target_of(const StationEdit& edit) const {
  LL_TRY_STATUS(check_fixed(edit));
  RingOptions target = options_of(rings_.front()->header());
  const bool is_largest = target.message_max == body_max_of(target.capacity);
  if (edit.capacity) target.capacity = *edit.capacity;
  if (edit.message_max) target.message_max = *edit.message_max;
  if (!edit.message_max && is_largest) target.message_max = 0;
  if (edit.when_full) target.when_full = *edit.when_full;
  if (edit.dedup_window_ns) target.dedup_window_ns = *edit.dedup_window_ns;
  if (edit.evict_after_ns) target.evict_after_ns = *edit.evict_after_ns;
  if (edit.timestamp) target.timestamp = *edit.timestamp;
  if (edit.mode) target.mode = *edit.mode;
  const auto wrong = wrong_in(target);
  if (!wrong) return target;
  const bool is_kept = !edit.message_max && target.message_max > body_max_of(target.capacity);
  return Fault(FaultCode::invalid_argument,
               station() + ": " + *wrong + (is_kept ? "; name a smaller max-message too" : ""));
}

std::vector<RingRef> Editor::unlike(const RingOptions& target) const {
  std::vector<RingRef> rings;
  for (const RingRef& ring : rings_) {
    if (!are_alike(options_of(ring->header()), target)) rings.push_back(ring);
  }
  return rings;
}

// ---- successors ------------------------------------------------------------

// A successor that somebody made and did not come to seal to. We hold the station's lock, so nobody
// is about to; the ring's own seal says whether anyone did.
void Editor::drop_unborn(const RingRef& ring) const {
  const auto lock = FolderLock::take(directory_.paths(), FolderLock::Kind::exclusive);
  if (!lock || !ring->is_open()) return;
  const RingHeader& header = ring->header();
  ::unlink(directory_.ring_path(name_, header.partition, header.generation + 1).c_str());
}

void Editor::drop_all_unborn() const {
  for (const RingRef& ring : rings_) drop_unborn(ring);
}

// Step 1 of the seal. One that stands there after drop_all_unborn() was left since.
Status Editor::make_ready(const RingRef& ring, const RingOptions& target) {
  const Status made = ring->make_successor(target);
  if (made) return ok();
  if (made.fault().code() != FaultCode::already_exists) return made.fault();
  drop_unborn(ring);
  return ring->make_successor(target);
}

// Its file is open to the same people as the one before.
Status Editor::prepare(const RingRef& ring, RingOptions target) {
  struct stat status;
  if (::fstat(ring->mapping().fd(), &status) != 0) {
    return fault_from_errno(errno, "cannot examine the ring of " + station());
  }
  target.mode = status.st_mode & 0777;
  if (::geteuid() == 0) target.owner = {status.st_uid, status.st_gid};
  return make_ready(ring, target);
}

// What whoever comes later does not see, after the seal.
void Editor::count_left(const RingRef& ring, StationChange& change) const {
  const Pair end =
      ring->ring().control->seal.at.load(std::memory_order_acquire);  // acquire [sealed]
  const Pair begin = ring->ring().window_start();
  ++change.rings;
  change.messages += end.second - std::min(end.second, begin.second);
  change.bytes += end.first - std::min(end.first, begin.first);
}

// Who still reads it; its log is no consumer.
uint64_t readers_of(const RingRef& ring) {
  return gating_count(ring->ring()) - (log_gates(ring->ring()) ? 1 : 0);
}

// With nobody in the ring left behind its file goes at once; else with its last reader (lift_gate).
void Editor::give_back(const RingRef& ring, StationChange& change) const {
  const RingHeader& header = ring->header();
  const auto next = ring->successor();
  const bool is_free = next && (*next)->lift_gate();
  // A lifter that died between lifting and unlinking left it.
  const std::string path = directory_.ring_path(name_, header.partition, header.generation);
  if (is_free) ::unlink(path.c_str());
  if (is_free) return;
  const uint64_t readers = readers_of(ring);
  // One more, perhaps gone by now, kept it from being given back: or the disk did.
  change.readers += header.storage == Storage::file ? readers : std::max<uint64_t>(readers, 1);
  change.unreturned_bytes += memory_of(options_of(header));
}

Status Editor::seal(const RingRef& ring, const RingOptions& target, StationChange& change) {
  LL_TRY_STATUS(ring->seal_with_successor(target));
  if (seal_state(ring->ring()) == seal_removed) return gone();
  count_left(ring, change);
  give_back(ring, change);
  return ok();
}

// ---- mode and owner --------------------------------------------------------

// False: it was given back meanwhile, or is like that already.
Result<bool> share_file(const char* what, const std::string& path, const StationEdit& edit) {
  const auto file = open_file(what, path, false);
  if (!file && file.fault().code() == FaultCode::not_found) return false;
  if (!file) return file.fault();
  LL_TRY(before, file->status(path));
  // The mode first: who gives the file away may not set it afterwards.
  if (edit.mode) LL_TRY_STATUS(set_file_mode(what, file->fd(), path, *edit.mode));
  LL_TRY_STATUS(set_file_owner(what, file->fd(), path, edit.owner.value_or(FileOwner{})));
  LL_TRY(after, file->status(path));
  return before.st_mode != after.st_mode || before.st_uid != after.st_uid ||
         before.st_gid != after.st_gid;
}

// Of every file of the station, those not born too; whether any was different. The rings first: a
// ledger or a group that is made meanwhile is made like its ring.
Result<bool> Editor::share_files(const StationEdit& edit) const {
  bool is_changed = false;
  if (!edit.mode && !edit.owner) return false;
  LL_TRY(rings, directory_.list());
  for (const auto& ring : rings) {
    if (ring.name.text() != name_.text()) continue;
    LL_TRY(is_other, share_file("ring", ring.path, edit));
    is_changed |= is_other;
  }
  const std::string start = name_.factory + "@" + name_.station + "@";
  for (const std::string& path : ledger_files(directory_.paths().shm, start)) {
    LL_TRY(is_other, share_file("ledger", path, edit));
    is_changed |= is_other;
  }
  for (const std::string& path : group_files(directory_.paths().shm, start)) {
    LL_TRY(is_other, share_file("group", path, edit));
    is_changed |= is_other;
  }
  return is_changed;
}

// ---- the verbs -------------------------------------------------------------

Result<StationChange> Editor::edit(const StationEdit& edit) {
  LL_TRY(target, target_of(edit));
  const std::vector<RingRef> rings = unlike(target);
  drop_all_unborn();
  StationChange change;
  for (const RingRef& ring : rings) {
    const Status ready = prepare(ring, target);
    if (ready) continue;
    drop_all_unborn();
    return ready.fault();
  }
  const auto shared = share_files(edit);
  if (!shared) drop_all_unborn();
  if (!shared) return shared.fault();
  for (auto ring = rings.rbegin(); ring != rings.rend(); ++ring) {
    const Status sealed = seal(*ring, target, change);
    if (sealed) continue;
    drop_all_unborn();
    if (change.rings == 0) return sealed.fault();
    return Fault(sealed.fault().code(),
                 sealed.fault().message() + "; " + std::to_string(change.rings) + " of " +
                     std::to_string(rings.size()) +
                     " partitions have the new parameters already: edit it again to go on");
  }
  change.is_changed = change.rings != 0 || *shared;
  return change;
}

// Whether a frame was ever claimed in what the window shows.
bool is_empty(const RingRef& ring) {
  const Pair begin = ring->ring().window_start();
  const uint64_t side =
      ring->ring().side(begin.first).load(std::memory_order_acquire);  // acquire [claim]
  return ring->ring().side_lap(side) < ring->ring().lap(begin.first);
}

Status Editor::purge_ring(const RingRef& ring, const OnPurged& on_purged, StationChange& change) {
  Pair from = ring->ring().window_start();
  if (!is_empty(ring)) {
    const RingOptions same = options_of(ring->header());
    LL_TRY_STATUS(prepare(ring, same));
    LL_TRY_STATUS(seal(ring, same, change));
    from = ring->ring().control->seal.at.load(std::memory_order_acquire);  // acquire [sealed]
    from = {from.first + unit_size, from.second + 1};
  }
  return on_purged ? on_purged(ring->header(), from) : ok();
}

Result<StationChange> Editor::purge(const OnPurged& on_purged) {
  StationChange change;
  drop_all_unborn();
  for (auto ring = rings_.rbegin(); ring != rings_.rend(); ++ring) {
    const Status done = purge_ring(*ring, on_purged, change);
    if (done) continue;
    drop_unborn(*ring);
    if (change.rings == 0) return done.fault();
    return Fault(done.fault().code(), done.fault().message() + "; " + std::to_string(change.rings) +
                                          " of " + std::to_string(rings_.size()) +
                                          " partitions were purged: purge it again to go on");
  }
  change.is_changed = change.rings != 0;
  return change;
}

Result<StationChange> Editor::preview(const StationEdit& edit) {
  LL_TRY(target, target_of(edit));
  StationChange change;
  for (const RingRef& ring : unlike(target)) {
    change.is_changed = true;
    if (is_empty(ring)) continue;
    const Pair begin = ring->ring().window_start();
    const Pair end =
        ring->ring().control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
    ++change.rings;
    change.messages += end.second - std::min(end.second, begin.second);
    change.bytes += end.first - std::min(end.first, begin.first);
    change.readers += readers_of(ring);
  }
  return change;
}

// What `work` does with a loaded editor.
template <class Work>
Result<StationChange> under_lock(const Directory& directory, const StationName& name, Work&& work) {
  {
    const auto lock = StationLock::take(directory, name);
    if (!lock) return lock.fault();
    Editor editor(directory, name);
    const Status loaded = editor.load_all();
    if (loaded) return work(editor);
    if (loaded.fault().code() != FaultCode::closed) return loaded.fault();
  }
  // Its remover died half way: ended here, and then there is none.
  LL_TRY_STATUS(directory.remove_station(name));
  return Fault(FaultCode::not_found,
               "station \"" + name.text() + "\" was removed; see: loopline station ls");
}

}  // namespace

Result<StationChange> edit_station(const Directory& directory, const StationName& name,
                                   const StationEdit& edit) {
  return under_lock(directory, name, [&](Editor& editor) { return editor.edit(edit); });
}

Result<StationChange> purge_station(const Directory& directory, const StationName& name,
                                    const OnPurged& on_purged) {
  return under_lock(directory, name, [&](Editor& editor) { return editor.purge(on_purged); });
}

Result<StationChange> preview_edit(const Directory& directory, const StationName& name,
                                   const StationEdit& edit) {
  return under_lock(directory, name, [&](Editor& editor) { return editor.preview(edit); });
}

}  // namespace loopline::shm
