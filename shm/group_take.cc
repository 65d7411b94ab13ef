// GroupTake: the walk to the next message that is nobody's, and the scan for those that come again.
#include "group_take.h"

#include <algorithm>

#include "group_settle.h"

namespace loopline::shm {

namespace {

// Fillers have types of their own; the seal is not handed out as a frame.
bool is_message(const FrameView& view) { return view.type == FrameType::message; }

}  // namespace

Taker::Taker(const Group& group, uint32_t member)
    : group_(group),
      member_(member),
      floor_seen_(group.floor->load(std::memory_order_acquire)) {  // acquire [cursor]
  reader_ = Reader(group.ring, floor_seen_);
}

// From the further of our own end and the hint, both true pairs. By sequence: one who was stopped
// may leave a hint of the ring before this one.
void Taker::start() {
  const Pair next = this->next();
  if (next.second > reader_.at().second) reader_.restart(next);
  from_sequence_ = group_.control->from_sequence.load(
      std::memory_order_relaxed);  // relaxed: a seek takes hold sooner or later
  passed_some_ = false;
}

TakeStop Taker::take_new(std::span<Lease> leases, size_t& count) {
  const MeantRace until_the_cas;
  if (!is_floor(floor_seen_.first)) return TakeStop::detached;
  start();
  const Pair begin = reader_.at();
  TakeStop stop = TakeStop::enough;
  const uint64_t steps_max = 4 * (group_.entry_count() + leases.size());
  const size_t count_before = count;
  for (uint64_t step = 0; count < leases.size() && step < steps_max; ++step) {
    const Step done = this->step(leases[count], stop);
    if (done == Step::stop) break;
    if (done == Step::handed) ++count;
  }
  // If we die before this: the others walk over what we took, and sweeps give it back.
  if (!(reader_.at() == begin)) {
    group_.control->hint.pair.store(reader_.at(), std::memory_order_release);  // release [handed]
  }
  if (passed_some_) help_floor(group_);
  if (stop != TakeStop::corrupt) {
    fence(std::memory_order_acquire);  // acquire [stale]: evicted meanwhile, these are garbage
    const uint64_t floor =
        group_.floor->load_first(std::memory_order_relaxed);  // relaxed: the fence orders it
    if (!is_floor(floor)) {
      // Those that the next floor does not leave behind come again.
      while (count != count_before) nack(group_, leases[--count]);
      return TakeStop::detached;
    }
  }
  return stop;
}

Taker::Step Taker::step(Lease& lease, TakeStop& stop) {
  const Pair at = reader_.at();
  const uint64_t lap = group_.lap(at.second);
  AtomicPair& entry = group_.entry(at.second);
  Pair seen = entry.load(std::memory_order_acquire);  // acquire [lease]
  if (lease_lap(seen.first) == lap) return walk_over(stop);
  if (lease_lap(seen.first) > lap) return back_to_floor(stop);
  if (!has_entry(at.second, stop)) return Step::stop;
  const ReadOutcome outcome = reader_.next_frame(lease.message);
  if (outcome == ReadOutcome::none) {
    stop = TakeStop::none;
    return Step::stop;
  }
  if (outcome != ReadOutcome::frame) {
    if (is_behind_floor(at.first)) return back_to_floor(stop);
    stop = outcome == ReadOutcome::sealed ? TakeStop::sealed : TakeStop::corrupt;
    return Step::stop;
  }
  const bool wanted = is_message(lease.message) && at.second >= from_sequence_;
  const uint64_t word =
      make_lease(lap, wanted ? 1 : 0, member_, wanted ? LeaseState::taken : LeaseState::acked);
  // G1: if nobody had this message before, the floor is not past it, and what we read of it stands.
  if (!entry.compare_exchange(seen, {word, at.first}, std::memory_order_seq_cst,  // seq_cst [lease]
                              std::memory_order_relaxed)) {  // relaxed: looked at again
    reader_.restart(at);
    return Step::on;
  }
  // If we die here: the lease is ours until a sweep gives it back.
  lease.token = word;
  passed_some_ |= !wanted;
  return wanted ? Step::handed : Step::on;
}

// Somebody has this one. Its frame says how long it is, unless the floor has passed it meanwhile.
Taker::Step Taker::walk_over(TakeStop& stop) {
  const uint64_t position = reader_.at().first;
  FrameView passed;
  const ReadOutcome outcome = reader_.next_frame(passed);
  if (is_behind_floor(position)) return back_to_floor(stop);
  if (outcome == ReadOutcome::frame) return Step::on;
  stop = TakeStop::corrupt;
  return Step::stop;
}

bool Taker::is_behind_floor(uint64_t position) const {
  fence(std::memory_order_acquire);  // acquire [stale]: pairs with the claimer's fence
  return group_.floor->load_first(std::memory_order_relaxed) >
         position;  // relaxed: the fence orders it
}

// Whoever put an entry into a newer lap saw the floor behind it, so we see at least that one.
Taker::Step Taker::back_to_floor(TakeStop& stop) {
  floor_seen_ = group_.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor_seen_.first)) {
    stop = TakeStop::detached;
    return Step::stop;
  }
  reader_.restart(floor_seen_);
  return Step::on;
}

// Whether the table has room for this message, helping the floor if need be.
bool Taker::has_entry(uint64_t sequence, TakeStop& stop) {
  if (sequence - floor_seen_.second < group_.entry_count()) return true;
  help_floor(group_);
  floor_seen_ = group_.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor_seen_.first)) {
    stop = TakeStop::detached;
  } else if (sequence - floor_seen_.second < group_.entry_count()) {
    return true;
  } else {
    stop = TakeStop::table_full;
  }
  return false;
}

TakeStop Taker::take_again(std::span<Lease> leases, size_t& count, uint64_t now_ns, bool dead) {
  const MeantRace until_the_cas;
  const uint32_t flag = dead ? pending_dead : pending_retry;
  group_.control->pending.fetch_and(~flag, std::memory_order_acq_rel);  // acq_rel [pending]
  // If we die here: the next sweep sets it again.
  const Pair floor = group_.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor.first)) return TakeStop::detached;
  const uint64_t from = group_.control->from_sequence.load(
      std::memory_order_relaxed);  // relaxed: a seek takes hold sooner or later
  TakeStop stop = TakeStop::none;
  bool passed_some = false;
  for (uint64_t s = floor.second; s != floor.second + group_.entry_count(); ++s) {
    AtomicPair& entry = group_.entry(s);
    Pair seen = entry.load(std::memory_order_acquire);  // acquire [lease]
    if (lease_lap(seen.first) < group_.lap(s)) break;   // not handed out, nor any behind it
    if (!group_.is(seen.first, s, LeaseState::retry) || group_.is_dead(seen.first) != dead)
      continue;
    if (due_of(group_, s, seen.first) > now_ns) continue;  // a sweep sets the flag in time
    if (count == leases.size()) {
      stop = TakeStop::enough;
      group_.control->pending.fetch_or(flag, std::memory_order_release);  // release [pending]
      break;
    }
    const uint32_t attempts = std::min(lease_attempts(seen.first) + 1, attempts_max);
    const LeaseState state = s < from ? LeaseState::acked : LeaseState::taken;
    const Pair mine{make_lease(group_.lap(s), attempts, member_, state), seen.second};
    if (!entry.compare_exchange(seen, mine, std::memory_order_seq_cst,  // seq_cst [lease]
                                std::memory_order_relaxed)) {           // relaxed: another's by now
      continue;
    }
    if (state == LeaseState::acked) {
      passed_some = true;
    } else if (look_again(s, mine, leases[count], stop)) {
      ++count;
    } else if (stop == TakeStop::corrupt) {
      break;
    }
  }
  if (passed_some) help_floor(group_);
  return stop;
}

// The message of a lease that is ours again; false: it was taken from us meanwhile, or is garbage.
bool Taker::look_again(uint64_t sequence, Pair mine, Lease& lease, TakeStop& stop) const {
  const FrameHeader& frame = group_.ring.frame(mine.second);
  const uint64_t meta = frame.meta.load(std::memory_order_relaxed);        // relaxed: checked below
  const uint64_t number = frame.sequence.load(std::memory_order_relaxed);  // relaxed: likewise
  const uint64_t timestamp = frame.timestamp.load(std::memory_order_relaxed);  // relaxed: likewise
  lease.token = mine.first;
  lease.message = {mine.second,     number,
                   timestamp,       group_.ring.at(mine.second) + frame_header_size,
                   meta_body(meta), meta_type(meta),
                   meta_flags(meta)};
  lease.message.sequence = sequence;
  if (!holds(group_, lease)) return false;
  const bool sound = number == sequence && mine.second % unit_size == 0 &&
                     frame_size(meta_body(meta)) <= group_.ring.units_max * unit_size;
  if (!sound) stop = TakeStop::corrupt;
  return sound;
}

}  // namespace loopline::shm
