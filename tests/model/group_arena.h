// GroupArena: a consumer group over the small ring of RingArena, its floor the ring's cursor 0.
//
// Two entries or four, so that laps come quickly; member slot k is held by seat k + 1. What a
// message says is its mark, ten times its sequence.
#pragma once

#include <string>

#include "ring_arena.h"
#include "shm/group.h"
#include "shm/group_settle.h"
#include "shm/group_sweep.h"
#include "shm/group_take.h"

namespace loopline::model {

class GroupArena {
 public:
  static constexpr uint32_t members = 3;
  static constexpr shm::SeatId floor_seat = shm::group_seat_bit | 7;
  static constexpr uint64_t never = ~0ull;

  GroupArena() : bytes_(static_cast<std::byte*>(std::aligned_alloc(8192, arena_bytes))) {}
  ~GroupArena() { std::free(bytes_); }
  GroupArena(const GroupArena&) = delete;
  GroupArena& operator=(const GroupArena&) = delete;

  // In prepare: a group that has read nothing yet of an empty ring. Then fill it, then keep().
  void make(uint32_t entries_log2) {
    ring_arena.make();
    std::memset(bytes_, 0, arena_bytes);
    group.control = reinterpret_cast<shm::GroupControl*>(bytes_);
    group.members = reinterpret_cast<shm::MemberSlot*>(bytes_ + 1024);
    group.entries = reinterpret_cast<AtomicPair*>(bytes_ + 2048);
    group.dues = reinterpret_cast<AtomicPair*>(bytes_ + 3072);
    group.entries_log2 = entries_log2;
    group.member_slots = members;
    group.deliveries_max = shm::group_deliveries_max;
    const shm::Ring& ring = ring_arena.ring;
    shm::take_cursor_slot(ring, floor_seat, shm::CursorKind::lossless);
    const Pair start = *shm::join(ring, 0);
    group.ring = ring;
    group.floor = &ring.cursors[0].cursor;
    group.control->hint.pair.store(start, plain);
    group.control->member_count.store(members, plain);
    for (uint32_t slot = 0; slot < members; ++slot) {
      group.members[slot].owner.store(seat(slot), plain);
    }
  }
  void keep() {
    ring_arena.keep();
    keep_memory(bytes_, arena_bytes);
    name_location(&group.control->hint, "group hint");
    name_location(&group.control->pending, "pending");
    for (uint32_t slot = 0; slot < members; ++slot) {
      name_location(&group.members[slot], "member " + std::to_string(slot));
    }
    for (uint64_t index = 0; index < group.entry_count(); ++index) {
      name_location(&group.entries[index], "entry " + std::to_string(index));
      name_location(&group.dues[index], "due " + std::to_string(index));
    }
  }
  static shm::SeatId seat(uint32_t slot) { return shm::make_seat(slot + 1, 1); }

  // Whether what a lease says is what was put in; asks only while the lease holds.
  void require_intact(const shm::Lease& lease) const {
    const uint64_t mark = RingArena::mark_of(lease.message);
    if (!shm::holds(group, lease)) return;
    require(mark == lease.message.sequence * 10, "a leased message is intact, and the one it says");
  }
  // After all threads ended.
  uint64_t word_of(uint64_t sequence) const { return group.entry(sequence).load(plain).first; }
  Pair floor() const { return group.floor->load(plain); }

  RingArena ring_arena;
  shm::Group group;

 private:
  static constexpr auto plain = std::memory_order_relaxed;  // relaxed: no thread runs
  static constexpr size_t arena_bytes = 8192;
  std::byte* bytes_;
};

}  // namespace loopline::model
