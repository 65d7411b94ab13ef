// Reaper: who was alive at the last look and is not any more, and the rings that it held.
#include "reaper.h"

#include <algorithm>
#include <utility>

#include "shm/attached.h"
#include "shm/inspect.h"

namespace loopline::broker {
namespace {

bool holds_dead(const shm::RingSnapshot& ring) {
  const auto is_dead = [](const auto& slot) { return slot.occupant.life == shm::Life::dead; };
  return std::any_of(ring.producers.begin(), ring.producers.end(), is_dead) ||
         std::any_of(ring.cursors.begin(), ring.cursors.end(), is_dead);
}

}  // namespace

// False: it is to be done again, since somebody alive holds the ring's lock.
bool Reaper::sweep(const shm::Directory::Listed& ring, const std::shared_ptr<shm::Roster>& roster,
                   size_t& freed) {
  shm::InspectOptions options;
  options.walk = false;
  // Looked at before it is mapped: a large ring costs page tables.
  const auto snapshot = shm::inspect(ring.path, roster.get(), options);
  if (!snapshot || !holds_dead(*snapshot)) return true;
  auto mapping = directory_.attach_generation(ring.name, ring.partition, ring.generation,
                                              shm::Access::produce);
  if (!mapping) return true;  // gone, or not ours to write
  const auto attached = shm::Attached::make(std::move(*mapping), roster, directory_);
  const shm::Swept swept = shm::sweep_ring(*attached);
  if (swept.producers + swept.cursors != 0) ++freed;
  // Garbage in a lock stays, and so does what is not ours to write.
  return swept.left == 0 || swept.why_left != shm::Cleaned::busy;
}

// Whether somebody may have died in this entry since the last look: also one who came after it, and
// whoever came and went in between.
bool Reaper::note(Seen& seen, Seen now) {
  const Seen before = std::exchange(seen, now);
  if (now.seat == before.seat) return before.is_alive && !now.is_alive;
  const bool is_next = shm::seat_generation(now.seat) == shm::seat_generation(before.seat) + 1;
  return before.is_alive || !now.is_alive || !is_next;
}

size_t Reaper::look() {
  const auto roster = directory_.roster();
  if (!roster) return 0;
  seen_.resize((*roster)->entry_count());
  for (uint32_t entry = 0; entry < seen_.size(); ++entry) {
    const shm::SeatId seat = (*roster)->seat_of(entry);
    if (seat == shm::nobody) continue;
    is_due_ = note(seen_[entry], {seat, (*roster)->alive(seat)}) || is_due_;
  }
  if (!is_due_) return 0;
  const auto rings = directory_.list();
  if (!rings) return 0;
  is_due_ = false;
  size_t freed = 0;
  for (const auto& ring : *rings) is_due_ = !sweep(ring, *roster, freed) || is_due_;
  return freed;
}

}  // namespace loopline::broker
