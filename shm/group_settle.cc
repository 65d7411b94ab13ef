// GroupSettle: the CAS that ends a lease, due times, and the floor.
#include "group_settle.h"

#include <algorithm>

#include "bell.h"

namespace loopline::shm {

namespace {

// Of one who moves the floor while others acknowledge; the rest is theirs, or a sweep's.
constexpr uint32_t floor_rounds_max = 1000;

// Says a time about the word, unless something was said about a later one: words of an entry grow,
// and only who holds a lease speaks of it. If we die before the word is there: it says nothing.
void say_due(const Group& group, uint64_t sequence, uint64_t word, uint64_t time_ns) {
  AtomicPair& due = group.dues[group.index(sequence)];
  Pair seen = due.load(std::memory_order_relaxed);  // relaxed: the CAS decides
  while (seen.first <= word) {
    if (due.compare_exchange(seen, {word, time_ns}, std::memory_order_acq_rel,  // acq_rel [due]
                             std::memory_order_relaxed)) {                      // relaxed: again
      return;
    }
  }
}

// The end of the frame at `position`. Unless the floor moves on meanwhile, and the caller's CAS
// fails, it is a frame that was handed out; anything else is garbage: 0.
uint64_t end_of(const Ring& ring, uint64_t position) {
  const MeantRace until_the_cas;
  const uint64_t meta =
      ring.frame(position).meta.load(std::memory_order_relaxed);  // relaxed: [lease] acquired it
  const uint64_t bytes = frame_size(meta_body(meta));
  if (bytes > ring.units_max * unit_size || position % unit_size != 0) return 0;
  return position + bytes;
}

void wake_producers(const Group& group) {
  BellLine& bell = group.ring.control->space_bell;
  // No fence: the floor's CAS and this load are one order with the sleeper's fence.
  if (bell.parked.load(std::memory_order_seq_cst) != 0) [[unlikely]]  // seq_cst [park]
    shm::ring(bell);
}

// From `floor`, over what is ACKED, as far as may be in one look; the pair behind it.
Pair behind_acked(const Group& group, Pair floor) {
  uint64_t last = 0;
  uint64_t s = floor.second;
  for (; s != floor.second + group.entry_count(); ++s) {
    const Pair entry = group.entry(s).load(std::memory_order_seq_cst);  // seq_cst [lease]
    if (!group.is(entry.first, s, LeaseState::acked)) break;
    last = entry.second;
  }
  if (s == floor.second) return floor;
  const uint64_t end = end_of(group.ring, last);
  if (end <= floor.first || end - floor.first > group.ring.capacity) return floor;
  return {end, s};
}

}  // namespace

void help_floor(const Group& group) {
  Pair floor = group.floor->load(std::memory_order_seq_cst);  // seq_cst [cursor]
  bool moved = false;
  for (uint32_t round = 0; round < floor_rounds_max && is_floor(floor.first); ++round) {
    const Pair next = behind_acked(group, floor);
    if (next == floor) break;
    // If we die here, or before: the next ack at the floor, or a sweep, goes on.
    Pair seen = floor;
    if (group.floor->compare_exchange(seen, next, std::memory_order_seq_cst,  // seq_cst [cursor]
                                      std::memory_order_seq_cst)) {           // seq_cst [cursor]
      moved = true;
      floor = next;  // and look again: who acked this one may have seen the floor before it
    } else {
      floor = seen;
    }
  }
  if (moved) wake_producers(group);
}

Settled settle(const Group& group, const Lease& lease, LeaseState state) {
  Pair seen{lease.token, lease.message.position};
  if (group.entry(lease.message.sequence)
          .compare_exchange(seen, {with_state(lease.token, state), lease.message.position},
                            std::memory_order_seq_cst,     // seq_cst [lease]
                            std::memory_order_relaxed)) {  // relaxed: only told
    return Settled::done;
  }
  return Settled::late;
}

Settled ack(const Group& group, const Lease& lease) {
  if (settle(group, lease, LeaseState::acked) == Settled::late) return Settled::late;
  // If we die here: it is acknowledged, and the floor follows with the next ack or sweep.
  const Pair floor = group.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor.first)) return Settled::detached;
  const Pair oldest = group.entry(floor.second).load(std::memory_order_seq_cst);  // seq_cst [lease]
  if (group.is(oldest.first, floor.second, LeaseState::acked)) help_floor(group);
  return Settled::done;
}

Settled nack(const Group& group, const Lease& lease, uint64_t not_before_ns) {
  const uint64_t retry = with_state(lease.token, LeaseState::retry);
  if (not_before_ns != 0) say_due(group, lease.message.sequence, retry, not_before_ns);
  if (settle(group, lease, LeaseState::retry) == Settled::late) return Settled::late;
  // If we die here: the next sweep sets the flag. It sets it for those that are not due yet, too.
  group.control->redelivered.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
  if (not_before_ns == 0) {
    group.control->pending.fetch_or(group.pending_of(retry),
                                    std::memory_order_release);  // release [pending]
  }
  return Settled::done;
}

Settled extend(const Group& group, const Lease& lease, uint64_t until_ns) {
  say_due(group, lease.message.sequence, lease.token, until_ns);
  return holds(group, lease) ? Settled::done : Settled::late;
}

uint64_t due_of(const Group& group, uint64_t sequence, uint64_t word) {
  const Pair due =
      group.dues[group.index(sequence)].load(std::memory_order_acquire);  // acquire [due]
  return due.first == word ? due.second : 0;
}

uint64_t backoff_of(const GroupHeader& header, uint32_t attempts) {
  if (header.backoff_count == 0) return 0;
  const uint32_t last = std::min(header.backoff_count, group_backoff_max) - 1;
  return header.backoff_ns[std::min(attempts - 1, last)];
}

}  // namespace loopline::shm
