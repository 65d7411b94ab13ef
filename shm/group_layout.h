// GroupLayout: what the file of a consumer group looks like in shared memory, to the byte.
//
//   +-------------+---------------------------+----------------------+----------------------+
//   | GroupHeader | GroupControl: hint, flags | entries: {word,      | dues: {word, time},  |
//   | one page    | home, lock; member slots  | position}, a message | a message            |
//   +-------------+---------------------------+----------------------+----------------------+
//   0             4096                        entries_offset         dues_offset    file_bytes
//
// The header never changes once the file has its name, and carries a hash of itself. The group's
// floor is not in here: it is a cursor of the ring, which it gates. Who repairs what a death leaves
// half-made stands beside each field; group.h has the rules.
#pragma once

#include "layout.h"

namespace loopline::shm {

constexpr uint32_t group_version = 1;
constexpr uint64_t group_magic = 0x50555247'504f4f4c;  // "LOOPGRUP" as bytes

constexpr uint32_t group_entries_min = 256;  // fewer, and a lap would not have room in its word
constexpr uint32_t group_entries_max = 1u << 20;
constexpr uint32_t group_members_max = 1023;
constexpr uint32_t group_deliveries_max = 32;
constexpr uint32_t group_backoff_max = 8;

// The owner of a group's floor among the ring's cursors: no thread's seat, so nobody's death frees
// it. The group's number, drawn when it was made, with this bit.
constexpr SeatId group_seat_bit = 1ull << 62;
constexpr bool is_group_seat(SeatId seat) { return (seat & group_seat_bit) != 0; }

// An entry's word. The entry of message s is number s mod entries; in it
//
//   63             18  17      12  11    2  1   0
//   +----------------+-----------+--------+-------+
//   | lap            | attempts  | member | state |     lap = s / entries + 1
//   +----------------+-----------+--------+-------+
enum class LeaseState : uint64_t {
  free = 0,   // never used; an older lap's word is as good
  taken = 1,  // the word is the lease's token
  acked = 2,  // done: acknowledged, or nothing to hand out
  retry = 3,  // to be handed out again
};
constexpr uint64_t lease_state_mask = 3;
constexpr uint32_t attempts_max = 63;

constexpr LeaseState lease_state(uint64_t word) {
  return static_cast<LeaseState>(word & lease_state_mask);
}
constexpr uint32_t lease_member(uint64_t word) { return static_cast<uint32_t>(word >> 2) & 1023; }
constexpr uint32_t lease_attempts(uint64_t word) { return static_cast<uint32_t>(word >> 12) & 63; }
constexpr uint64_t lease_lap(uint64_t word) { return word >> 18; }
constexpr uint64_t make_lease(uint64_t lap, uint32_t attempts, uint32_t member, LeaseState state) {
  return lap << 18 | static_cast<uint64_t>(attempts) << 12 | static_cast<uint64_t>(member) << 2 |
         static_cast<uint64_t>(state);
}
constexpr uint64_t with_state(uint64_t word, LeaseState state) {
  return (word & ~lease_state_mask) | static_cast<uint64_t>(state);
}

struct GroupHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t header_hash;  // XXH3 of this struct with this field zero
  uint64_t uuid[2];
  uint64_t roster_uuid[2];  // whose seats the member slots name
  uint64_t lineage[2];      // of the rings it reads
  uint64_t file_bytes;
  uint64_t seat;     // the owner of its floor in the ring: group_seat_bit and a number
  uint32_t entries;  // a power of two: how many messages there are from the floor to the newest
  uint32_t members;  // slots
  uint32_t deliveries_max;
  uint32_t in_flight_max;  // leases of one member
  uint64_t ack_wait_ns;
  uint64_t expire_ns;  // 0: never
  uint64_t created_ns;
  uint32_t backoff_count;
  uint32_t partition;
  uint64_t
      backoff_ns[group_backoff_max];  // before the 2nd, 3rd ... delivery; the last for the rest
  char factory[64];
  char station[64];
  char name[64];
};
static_assert(sizeof(GroupHeader) == 392 && sizeof(GroupHeader) <= page_size);

// What there is to hand out besides new messages: hints, set after the entry says so.
enum GroupPending : uint32_t {
  pending_retry = 1,  // some entry may be RETRY and due
  pending_dead = 2,   // the same of one that has no delivery left
};

struct GroupControl {
  // A true pair near the newest message handed out; may lag or regress. A death before it is stored
  // costs the next ones a walk.
  PairLine hint;
  // GroupPending. A death between an entry's RETRY and its flag, or between a flag taken and its
  // entries: every sweep sets it again.
  alignas(line_pitch) Atomic<uint32_t> pending;
  // Where the floor is: [63:32] generation of the ring, [31:0] cursor slot. 0: none yet; whoever
  // opens the group goes on with it, under `lock`.
  alignas(line_pitch) Atomic<uint64_t> home;
  Atomic<uint64_t> from_sequence;  // messages before it are passed over
  Atomic<uint32_t> paused;         // not 0: nothing is handed out
  Atomic<uint32_t> member_count;   // slots ever used; only grows
  // Of opening, moving to another ring, and removing; not of anything a message waits for.
  LockLine lock;
  alignas(line_pitch) Atomic<uint64_t> redelivered;  // entries that became RETRY, for people
  Atomic<uint64_t> expired;                          // of those, because nobody acknowledged
  Atomic<uint64_t> deaths;                           // members swept
};
static_assert(sizeof(GroupControl) == 5 * line_pitch);
static_assert(offsetof(GroupControl, pending) == 128 && offsetof(GroupControl, home) == 256);
static_assert(offsetof(GroupControl, lock) == 384 && offsetof(GroupControl, redelivered) == 512);

// `owner` is the only word that sweeps act on; the rest is for people.
struct alignas(line_pitch) MemberSlot {
  Atomic<uint64_t> owner;  // SeatId; with repairing_bit: dead, its leases are being given back
  Atomic<uint64_t> taken;  // leases handed to it
  Atomic<uint64_t> acked;
  Atomic<uint64_t> late;  // acknowledgements refused
};
static_assert(sizeof(MemberSlot) == line_pitch);

constexpr uint64_t group_members_offset = page_size + sizeof(GroupControl);
constexpr uint64_t group_entries_offset(uint32_t members) {
  return round_up(group_members_offset + uint64_t{members} * sizeof(MemberSlot), page_size);
}
constexpr uint64_t group_dues_offset(uint32_t members, uint32_t entries) {
  return group_entries_offset(members) + uint64_t{entries} * sizeof(AtomicPair);
}
constexpr uint64_t group_bytes(uint32_t members, uint32_t entries) {
  return round_up(group_dues_offset(members, entries) + uint64_t{entries} * sizeof(AtomicPair),
                  page_size);
}

}  // namespace loopline::shm
