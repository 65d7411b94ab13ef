// GroupSweep: TAKEN to RETRY, from exactly the word that was looked at.
#include "group_sweep.h"

#include <algorithm>

#include "group_settle.h"

namespace loopline::shm {

namespace {

// Any lease that is still exactly `seen`; false: it was settled meanwhile.
bool take_away(AtomicPair& entry, Pair seen) {
  const Pair retry{with_state(seen.first, LeaseState::retry), seen.second};
  return entry.compare_exchange(seen, retry, std::memory_order_seq_cst,  // seq_cst [lease]
                                std::memory_order_relaxed);              // relaxed: only told
}

}  // namespace

uint32_t give_back(const Group& group, uint32_t slot, SeatId seat) {
  auto& owner = group.members[slot].owner;
  const SeatId dying = seat | repairing_bit;
  // From here on its handle, should it live on in another thread, can no longer be bound (R7).
  if (!owner.compare_exchange(seat, dying, std::memory_order_acq_rel,  // acq_rel [member]
                              std::memory_order_acquire) &&            // acquire [member]
      seat != dying) {
    return 0;
  }
  // If we die from here on: the slot stays marked, and the next one sweeps it from the start.
  uint32_t count = 0;
  uint32_t flags = 0;
  for (uint64_t index = 0; index < group.entry_count(); ++index) {
    const Pair seen = group.entries[index].load(std::memory_order_acquire);  // acquire [lease]
    if (lease_state(seen.first) != LeaseState::taken || lease_member(seen.first) != slot) continue;
    // Another's by now: the slot was freed, and this may be a lease of its next owner.
    if (owner.load(std::memory_order_acquire) != dying) return count;  // acquire [member]
    if (!take_away(group.entries[index], seen)) continue;
    ++count;
    flags |= group.pending_of(seen.first);
  }
  group.control->redelivered.fetch_add(count, std::memory_order_relaxed);  // relaxed: for people
  if (flags != 0) {
    group.control->pending.fetch_or(flags, std::memory_order_release);  // release [pending]
  }
  SeatId expected = dying;
  if (owner.compare_exchange(expected, nobody, std::memory_order_acq_rel,  // acq_rel [member]
                             std::memory_order_relaxed)) {          // relaxed: another was faster
    group.control->deaths.fetch_add(1, std::memory_order_relaxed);  // relaxed: for people
  }
  return count;
}

// When the lease ends, as far as we know. A stopped sweeper that goes on saw it as long ago as it
// says: the word is the same, so the lease is.
uint64_t LeaseWatch::end_of(uint64_t sequence, uint64_t word, uint64_t now_ns) {
  Seen& seen = seen_[group_.index(sequence)];
  if (seen.word != word) seen = {word, now_ns};
  return std::max(seen.since_ns + ack_wait_ns_, due_of(group_, sequence, word));
}

GroupLook LeaseWatch::look(uint64_t now_ns) {
  GroupLook found;
  help_floor(group_);
  const Pair floor = group_.floor->load(std::memory_order_acquire);  // acquire [cursor]
  if (!is_floor(floor.first)) return found;
  uint32_t flags = 0;
  for (uint64_t s = floor.second; s != floor.second + group_.entry_count(); ++s) {
    AtomicPair& entry = group_.entry(s);
    const Pair seen = entry.load(std::memory_order_acquire);  // acquire [lease]
    if (lease_lap(seen.first) < group_.lap(s)) break;
    uint64_t due = 0;
    bool is_retry = group_.is(seen.first, s, LeaseState::retry);
    if (is_retry) {
      due = due_of(group_, s, seen.first);
    } else if (group_.is(seen.first, s, LeaseState::taken)) {
      const uint64_t end = end_of(s, seen.first, now_ns);
      if (end <= now_ns && take_away(entry, seen)) {
        ++found.given_back;
        is_retry = true;
      } else {
        ++found.leases;
        due = end;
      }
    } else {
      continue;
    }
    if (is_retry) ++found.retries;
    if (is_retry && due <= now_ns) flags |= group_.pending_of(seen.first);
    if (due > now_ns) found.due_ns = std::min(found.due_ns, due);
  }
  auto& control = *group_.control;
  control.redelivered.fetch_add(found.given_back,
                                std::memory_order_relaxed);                // relaxed: for people
  control.expired.fetch_add(found.given_back, std::memory_order_relaxed);  // relaxed: likewise
  if (flags != 0) control.pending.fetch_or(flags, std::memory_order_release);  // release [pending]
  return found;
}

}  // namespace loopline::shm
