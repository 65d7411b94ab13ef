// GroupFile: the group's floor among the cursors of a ring: taken, found again, moved, given back.
//
// All under the group's lock. The floor's cursor is joined under the seat of the thread that does
// it, so that a death in the middle is reaped like any reader's; then the slot becomes the group's
// by CAS, and last `home` says where it is. A death between the two is found by the slot's owner.
#include <algorithm>
#include <utility>

#include "armed.h"
#include "base/clock.h"
#include "group_file.h"
#include "group_settle.h"
#include "seal.h"
#include "window.h"

namespace loopline::shm {
namespace {

constexpr uint64_t group_lock_wait_ns = 2'000'000'000;

// How many messages before `floor` nobody will be handed any more and nobody acknowledged.
uint64_t count_lost(const Group& group, Pair floor) {
  uint64_t lost = 0;
  uint64_t handed_end = 0;  // behind the newest that was handed out
  for (uint64_t index = 0; index < group.entry_count(); ++index) {
    const uint64_t word =
        group.entries[index].load_first(std::memory_order_acquire);  // acquire [lease]
    if (lease_lap(word) == 0) continue;
    const uint64_t sequence = ((lease_lap(word) - 1) << group.entries_log2) + index;
    handed_end = std::max(handed_end, sequence + 1);
    const LeaseState state = lease_state(word);
    if (sequence < floor.second && (state == LeaseState::taken || state == LeaseState::retry)) {
      ++lost;
    }
  }
  return lost + (floor.second > handed_end ? floor.second - handed_end : 0);
}

// The first sequence that `from` means, as far as what is committed tells.
uint64_t first_wanted(const Ring& ring, Pair oldest, From from) {
  if (from.kind() == From::Kind::earliest) return 0;
  if (from.kind() == From::Kind::sequence) return from.value();
  // By copies: of a group at work nobody holds the window for us.
  FrameView view;
  Reader reader(ring, oldest);
  std::vector<std::byte> copy(ring.units_max * unit_size);
  for (;;) {
    const ReadOutcome outcome = reader.next_copy(view, copy.data());
    if (outcome == ReadOutcome::lapped) continue;
    if (outcome != ReadOutcome::frame) break;
    if (from.kind() == From::Kind::time && view.timestamp >= from.value()) return view.sequence;
  }
  const uint64_t end = reader.at().second;
  if (from.kind() == From::Kind::last) return end - std::min(end, from.value());
  // Frames before the hint that are still open count as published before the group came.
  const Pair hint = ring.control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
  return from.kind() == From::Kind::latest ? std::max(end, hint.second) : end;
}

// The oldest boundary behind which everything committed is wanted.
Pair pass_over(const Ring& ring, Pair oldest, uint64_t wanted) {
  FrameView view;
  Reader reader(ring, oldest);
  while (reader.at().second < wanted && reader.next_frame(view) == ReadOutcome::frame) {
  }
  return reader.at();
}

}  // namespace

MemberSlot* GroupFile::members() const {
  return reinterpret_cast<MemberSlot*>(region_.address() + sizeof(GroupControl));
}

Group GroupFile::over(const Ring& ring, uint32_t slot) const {
  std::byte* const page_one = region_.address();  // stands at page_size in the file
  Group group;
  group.control = &control();
  group.members = members();
  group.entries =
      reinterpret_cast<AtomicPair*>(page_one - page_size + group_entries_offset(header_.members));
  group.dues = reinterpret_cast<AtomicPair*>(page_one - page_size +
                                             group_dues_offset(header_.members, header_.entries));
  group.floor = &ring.cursors[slot].cursor;
  group.ring = ring;
  group.entries_log2 = static_cast<uint32_t>(log2_exact(header_.entries));
  group.member_slots = header_.members;
  group.deliveries_max = header_.deliveries_max;
  return group;
}

Fault GroupFile::not_locked(LockOutcome outcome) const {
  if (outcome == LockOutcome::broken) {
    return {FaultCode::corrupted, "group " + name_ + ": its lock is damaged; remove the group"};
  }
  return {FaultCode::timed_out, "group " + name_ + " is held by thread " +
                                    std::to_string(holder_of(control().lock.mutex).tid) +
                                    ", which opens or moves it and does not go on; is it stopped?"};
}

std::optional<uint32_t> GroupFile::find_floor(const Ring& ring) const {
  const uint32_t count = ring.cursors_in_use();
  for (uint32_t slot = 0; slot < count; ++slot) {
    if (ring.cursors[slot].owner.load(std::memory_order_acquire) ==
        header_.seat) {  // acquire [slot]
      return slot;
    }
  }
  return std::nullopt;
}

bool GroupFile::is_in(const Attached& attached) const {
  const uint64_t home = control().home.load(std::memory_order_acquire);  // acquire [home]
  return home_generation(home) == attached.header().generation && home != home_removed;
}

std::optional<Group> GroupFile::view(const Attached& attached) const {
  if (!is_in(attached)) return std::nullopt;
  const uint32_t slot =
      home_slot(control().home.load(std::memory_order_acquire));  // acquire [home]
  if (slot >= attached.ring().cursor_slots) return std::nullopt;
  return over(attached.ring(), slot);
}

Result<Group> GroupFile::settle_in(Attached& attached, From from, uint64_t* lost) {
  const RingHeader& ring = attached.header();
  if (ring.storage == Storage::file || ring.when_full == WhenFull::drop_oldest) {
    return Fault(FaultCode::unsupported, "station \"" + attached.name() +
                                             "\" has no groups: its producers wait for nobody "
                                             "(a file station, or when-full drop-oldest)");
  }
  GroupControl& shared = control();
  const LockGuard guard(shared.lock.mutex, lock_for(shared.lock.mutex, group_lock_wait_ns));
  if (!guard) return not_locked(guard.outcome());
  const uint64_t home = shared.home.load(std::memory_order_acquire);  // acquire [home]
  if (home == home_removed) {
    return Fault(FaultCode::closed, "group \"" + std::string(header_.name) + "\" of station \"" +
                                        attached.name() + "\" was removed");
  }
  if (home != 0 && home_generation(home) != ring.generation) {
    return Fault(FaultCode::closed, "group \"" + std::string(header_.name) + "\" of station \"" +
                                        attached.name() + "\" reads another ring of it");
  }
  const auto found = find_floor(attached.ring());
  const bool stands = found && is_floor(attached.ring().cursors[*found].cursor.load_first(
                                   std::memory_order_acquire));  // acquire [cursor]
  if (!stands) LL_TRY_STATUS(take_floor(attached, from));
  const auto slot = find_floor(attached.ring());
  if (!slot) return Fault(FaultCode::corrupted, "group " + name_ + " lost its place in the ring");
  // If we die before this: the slot says whose it is, and the next one stores the same.
  shared.home.store(make_home(ring.generation, *slot),
                    std::memory_order_release);  // release [home]
  const Group group = over(attached.ring(), *slot);
  if (!stands && home != 0 && lost != nullptr) {
    *lost = count_lost(group, group.floor->load(std::memory_order_acquire));  // acquire [cursor]
  }
  return group;
}

// An evicted floor keeps its slot, which we take as ours while we join again.
Status GroupFile::take_floor(Attached& attached, From from) {
  LL_TRY(me, attached.my_seat());
  const Ring& ring = attached.ring();
  if (const auto old = find_floor(ring)) {
    uint64_t expected = header_.seat;
    if (!ring.cursors[*old].owner.compare_exchange(expected, me,
                                                   std::memory_order_acq_rel,     // acq_rel [slot]
                                                   std::memory_order_relaxed)) {  // relaxed: told
      return Fault(FaultCode::corrupted, "group " + name_ + ": its cursor changed under its lock");
    }
    return join_ring(attached, *old, me, From::earliest);
  }
  const bool swept = attached.janitor().sweep();
  const auto slot = take_cursor_slot(ring, me, CursorKind::lossless);
  if (!slot && !swept) return attached.lock_held();
  if (!slot) {
    return Fault(FaultCode::too_many, "station \"" + attached.name() + "\" has all its " +
                                          std::to_string(ring.cursor_slots) +
                                          " consumers; see: loopline ring show " + attached.name());
  }
  return join_ring(attached, *slot, me, from);
}

// If we die before the owner's CAS: the cursor is a dead reader's. After it: the group's.
Status GroupFile::join_ring(Attached& attached, uint32_t slot, SeatId me, From from) {
  const Ring& ring = attached.ring();
  const auto oldest = join(ring, slot);
  if (!oldest) {
    leave(ring, slot, me);
    return Fault(FaultCode::timed_out, "station \"" + attached.name() +
                                           "\" is being joined too often at once; try again");
  }
  // [seal]: nothing keeps the successor's beginning for one who joins now.
  if (control().home.load(std::memory_order_relaxed) == 0 &&  // relaxed: under the lock
      seal_state(ring) != seal_open) {
    leave(ring, slot, me);
    return Fault(FaultCode::fenced, "station \"" + attached.name() + "\" was sealed meanwhile");
  }
  const uint64_t wanted = first_wanted(ring, *oldest, from);
  const Pair start = pass_over(ring, *oldest, wanted);
  ring.cursors[slot].cursor.store(start, std::memory_order_release);       // release [cursor]
  control().hint.pair.store(start, std::memory_order_release);             // release [handed]
  if (control().from_sequence.load(std::memory_order_relaxed) < wanted) {  // relaxed: under lock
    control().from_sequence.store(wanted, std::memory_order_relaxed);      // relaxed: likewise
  }
  uint64_t expected = me;
  if (!ring.cursors[slot].owner.compare_exchange(expected, header_.seat,
                                                 std::memory_order_acq_rel,     // acq_rel [slot]
                                                 std::memory_order_relaxed)) {  // relaxed: told
    return Fault(FaultCode::fenced, "this thread's place in the ring was taken for a dead one's");
  }
  return ok();
}

Result<bool> GroupFile::move(Attached& from, Attached& to) {
  GroupControl& shared = control();
  const LockGuard guard(shared.lock.mutex, lock_for(shared.lock.mutex, group_lock_wait_ns));
  if (!guard) return not_locked(guard.outcome());
  const uint64_t home = shared.home.load(std::memory_order_acquire);  // acquire [home]
  if (home == home_removed || home_generation(home) >= to.header().generation) return true;
  const auto old = find_floor(from.ring());
  const Pair end =
      from.ring().control->seal.at.load(std::memory_order_acquire);  // acquire [sealed]
  if (end.first == 0) return false;
  if (old) {
    const Group group = over(from.ring(), *old);
    help_floor(group);
    const Pair floor = group.floor->load(std::memory_order_acquire);  // acquire [cursor]
    if (is_floor(floor.first) && floor.second < end.second) return false;
  }
  // The gate there holds its beginning for our floor here. If we die between these: both have a
  // floor of ours, the old one gates nothing that anybody waits for, and the next one comes here.
  if (!find_floor(to.ring())) LL_TRY_STATUS(take_floor(to, From::earliest));
  const auto slot = find_floor(to.ring());
  if (!slot) return Fault(FaultCode::corrupted, "group " + name_ + " lost its place in the ring");
  shared.home.store(make_home(to.header().generation, *slot),
                    std::memory_order_release);  // release [home]
  // The slot there stays ours for good: a member that was stopped may still hold it for the floor.
  if (old) {
    from.ring().cursors[*old].cursor.store(no_cursor,
                                           std::memory_order_release);  // release [cursor]
  }
  static_cast<void>(to.lift_gate());
  return true;
}

void GroupFile::set_paused(const Attached& attached, bool paused) {
  control().paused.store(paused ? 1 : 0, std::memory_order_relaxed);  // relaxed: sooner or later
  if (!paused) ring_readers_if_parked(attached.ring());
}

bool GroupFile::is_paused() const {
  return control().paused.load(std::memory_order_relaxed) != 0;  // relaxed: it may change at once
}

Status GroupFile::seek(Attached& attached, From from) {
  LL_TRY(group, settle_in(attached, from));
  GroupControl& shared = control();
  const LockGuard guard(shared.lock.mutex, lock_for(shared.lock.mutex, group_lock_wait_ns));
  if (!guard) return not_locked(guard.outcome());
  const Pair floor = group.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor.first)) {
    return Fault(FaultCode::closed, "group \"" + std::string(header_.name) + "\" of station \"" +
                                        attached.name() + "\" was detached meanwhile; try again");
  }
  const uint64_t wanted = first_wanted(attached.ring(), floor, from);
  const Pair handed = shared.hint.pair.load(std::memory_order_acquire);  // acquire [handed]
  if (wanted < std::max(handed.second, floor.second)) {
    return Fault(FaultCode::unsupported,
                 "group \"" + std::string(header_.name) + "\" of station \"" + attached.name() +
                     "\" handed out what lies before sequence " +
                     std::to_string(std::max(handed.second, floor.second)) +
                     " already: remove the group and make it anew to begin at " +
                     std::to_string(wanted));
  }
  shared.from_sequence.store(wanted, std::memory_order_relaxed);  // relaxed: with the next take
  ring_readers_if_parked(attached.ring());
  return ok();
}

Status GroupFile::retire(Attached& attached) {
  GroupControl& shared = control();
  const LockGuard guard(shared.lock.mutex, lock_for(shared.lock.mutex, group_lock_wait_ns));
  if (!guard) return not_locked(guard.outcome());
  shared.home.store(home_removed, std::memory_order_release);  // release [home]
  // If we die here: it reads as removed, and whoever removes it again gives the ring back.
  const auto slot = find_floor(attached.ring());
  if (!slot) return ok();
  attached.ring().cursors[*slot].cursor.store(no_cursor,
                                              std::memory_order_release);  // release [cursor]
  const Group group = over(attached.ring(), *slot);
  const uint32_t count = group.members_in_use();
  for (uint32_t index = 0; index < count; ++index) {
    const SeatId member =
        group.members[index].owner.load(std::memory_order_acquire);  // acquire [member]
    // It may be moving the floor: its CAS fails, but would not on the next owner's cursor.
    if (attached.roster().alive(member & ~repairing_bit)) return ok();
  }
  attached.ring().cursors[*slot].owner.store(nobody, std::memory_order_release);  // release [slot]
  return ok();
}

}  // namespace loopline::shm
