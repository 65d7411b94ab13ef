// Layout: what a ring file and the roster file look like in shared memory, to the byte.
//
//   ring file, one per partition and generation
//   +------------+-------------------------+------------------+----------------------------+
//   | RingHeader | ControlBlock, then      | side claim words | data: frames, capacity     |
//   | one page   | producers, then cursors | a u64 a unit     | bytes, mapped back to back |
//   +------------+-------------------------+------------------+----------------------------+
//   0            4096                      side_offset        data_offset         file_bytes
//   file_bytes
//
// The header never changes once the file has its name, and carries a hash of itself. Everything in
// the control block is an Atomic; lines that different processes write are 128 bytes apart (the
// adjacent-line prefetcher pairs 64-byte lines). Whoever maps a ring copies the geometry into
// private memory and never reads it from the file again.
//
// A change of anything here raises `layout_version`; the static_asserts pin every offset.
#pragma once

#include <pthread.h>

#include <cstddef>
#include <cstdint>

#include "base/atomic.h"
#include "base/bits.h"

namespace loopline::shm {

constexpr uint32_t layout_version = 5;
constexpr uint64_t ring_magic = 0x474e4952'504f4f4c;    // "LOOPRING" as bytes
constexpr uint64_t roster_magic = 0x54534f52'504f4f4c;  // "LOOPROST" as bytes

constexpr uint64_t page_size = 4096;
constexpr uint64_t line_pitch = 128;
constexpr uint64_t unit_size = 64;
constexpr uint64_t frame_header_size = 32;

constexpr uint64_t ring_capacity_min = 64u << 10;
constexpr uint64_t ring_capacity_max = 64ull << 30;
constexpr uint32_t producer_slots_max = 1022;  // 10 bits of owner; 1023 marks a seal
constexpr uint32_t cursor_slots_max = 1024;
constexpr uint32_t seal_owner = 1023;
constexpr uint32_t partitions_max = 256;
constexpr uint64_t dedup_window_ns_max = 24ull * 3600 * 1'000'000'000;
constexpr uint32_t dedup_entries_min = 1024;
constexpr uint32_t dedup_entries_max = 1u << 22;
constexpr uint64_t evict_after_min_ns = 1'000'000;  // less is a reader that lost its core
// Positions stay below 2^59 so that a side word always has room for the lap: 1.6 years at 10 GB/s
// without a pause; claims past it are refused and the ring is sealed with a successor.
constexpr uint64_t position_max = 1ull << 59;

// Who holds a slot: a thread's seat in the roster. Zero is nobody.
//   [15:0] roster entry   [61:16] generation of that entry   [63] being repaired
using SeatId = uint64_t;
constexpr SeatId nobody = 0;
constexpr SeatId repairing_bit = 1ull << 63;
constexpr SeatId make_seat(uint32_t entry, uint64_t generation) {
  return (generation << 16) | entry;
}
constexpr uint32_t seat_entry(SeatId seat) { return static_cast<uint32_t>(seat & 0xffff); }
constexpr uint64_t seat_generation(SeatId seat) { return (seat & ~repairing_bit) >> 16; }

// A cursor that gates nothing.
constexpr Pair no_cursor = {~0ull, 0};

enum class TimestampKind : uint32_t { precise = 0, coarse = 1, off = 2 };
// drop_oldest: no consumer holds the ring back, so that it is never full.
enum class WhenFull : uint32_t { block = 0, reject = 1, drop_oldest = 2 };
// file: a flusher writes the ring to a log on disk; producers wait for it, consumers never gate.
enum class Storage : uint32_t { memory = 0, file = 1 };

// Immutable once the file is linked into its folder.
struct RingHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t header_hash;  // XXH3 of this struct with this field zero
  uint64_t uuid[2];
  uint64_t roster_uuid[2];  // the roster whose seats this ring's slots name
  uint64_t capacity;
  uint64_t side_offset;
  uint64_t data_offset;
  uint64_t file_bytes;
  uint64_t message_max;  // payload and extension of one message
  uint32_t producer_slots;
  uint32_t cursor_slots;
  uint32_t exclusive;  // 1: one producer at a time, which claims without a CAS
  TimestampKind timestamp;
  WhenFull when_full;
  uint32_t partition;
  uint32_t generation;  // of the ring within its partition: a successor has one more
  uint32_t partitions;  // how many the station has
  uint64_t created_ns;
  uint64_t evict_after_ns;  // 0: readers may hold a full ring for ever
  uint64_t log_uuid[2];     // of the log on disk; zero for memory
  Storage storage;
  uint32_t dedup_entries;    // ids that the ledger remembers, a power of two
  uint64_t dedup_window_ns;  // for how long; 0: ids are not looked at
  uint64_t lineage[2];       // this ring's and all its successors': names their ledger
  char factory[64];
  char station[64];
};
static_assert(sizeof(RingHeader) == 320 && sizeof(RingHeader) <= page_size);

// A doorbell and who sleeps by it; see bell.h.
struct alignas(line_pitch) BellLine {
  Atomic<uint32_t> doorbell;
  Atomic<uint32_t> parked;
};

struct alignas(line_pitch) PairLine {
  AtomicPair pair;
};

struct alignas(line_pitch) LockLine {
  pthread_mutex_t mutex;  // robust, process-shared
};

// How a ring ends. `state` goes open -> sealing (with the successor's generation, or none).
struct alignas(line_pitch) SealLine {
  Atomic<uint64_t> state;
  AtomicPair at;  // where the seal frame stands: {position, sequence}; zero until it is claimed
};

enum class LogState : uint64_t {
  idle = 0,  // nobody flushes
  flushing = 1,
  disk_full = 2,  // it waits for room
  failed = 3,     // the disk did: nothing more is written until the log is opened anew
};

// How the log on disk is doing, by its flusher. `flushing` counts only while that thread lives.
struct alignas(line_pitch) LogLine {
  Atomic<uint64_t> state;    // LogState
  Atomic<uint64_t> error;    // errno of disk_full and failed
  Atomic<uint64_t> flusher;  // SeatId
  Atomic<uint64_t> commits;  // times that `durable` moved, for people
  Atomic<uint64_t> bytes;    // that it moved by, for people
};

// A producer's slot. `owner` is the only word repair acts on; the counters are for people.
struct alignas(line_pitch) ProducerSlot {
  Atomic<uint64_t> owner;       // SeatId
  Atomic<uint64_t> identity;    // producer identity, random, for tools
  Atomic<uint64_t> messages;    // committed, relaxed
  Atomic<uint64_t> bytes;       // of payload
  Atomic<uint64_t> blocked_ns;  // time spent waiting for room
};

enum class CursorKind : uint32_t { free = 0, lossless = 1, lossy = 2 };

// A consumer's slot. A lossless cursor gates the producers; a lossy one only shows where it is.
struct alignas(line_pitch) CursorSlot {
  AtomicPair cursor;       // {position, sequence}; no_cursor gates nothing, {0, 0} blocks (joining)
  Atomic<uint64_t> owner;  // SeatId
  Atomic<uint32_t> kind;   // CursorKind
  Atomic<uint32_t> waiting;   // not 0 while parked, for tools; a mark for wakers: armed.h
  AtomicPair shown;           // a lossy reader's position, for tools only
  Atomic<uint64_t> messages;  // handed out, relaxed
  Atomic<uint64_t> bytes;
  Atomic<uint64_t> lost;  // messages a lossy reader was told it missed
};

struct ControlBlock {
  PairLine hint;   // {position, sequence}: a boundary near the frontier; may lag, may regress
  PairLine limit;  // packed, see LimitWord: the end of the window
  PairLine start;  // where the log of this ring began; {0, 0}: an unborn successor
  PairLine gate;   // holds a successor's window while its predecessor is still read
  // Up to where the ring is on disk. It gates from birth and is the station's, not a process's;
  // {0, 0} in an unborn successor, no_cursor when all is on disk, or nothing ever will be (memory).
  PairLine durable;
  BellLine data_bell;     // rung by commits; consumers sleep by it
  BellLine space_bell;    // rung by cursors that move or leave; producers sleep by it
  BellLine durable_bell;  // rung when `durable` moves or the log's state changes
  LockLine lock;          // the ring lock: repair, reaping, sealing
  SealLine seal;
  LogLine log;
  alignas(line_pitch) Atomic<uint32_t> cursor_count;  // cursor slots ever used; only grows
  alignas(line_pitch) Atomic<uint64_t> repairs;       // dead producers cleaned up after
  Atomic<uint64_t> reaped;                            // dead cursors released
  Atomic<uint64_t> fillers;                           // frames completed for the dead
  Atomic<uint64_t> evicted;                           // readers detached, see evict.h
  // Where the message stands that is being published and entered into the ledger, see ledger.h.
  alignas(line_pitch) Atomic<uint64_t> recorded;
};
static_assert(sizeof(ControlBlock) == 14 * line_pitch);
static_assert(offsetof(ControlBlock, limit) == 128 && offsetof(ControlBlock, durable) == 512);
static_assert(offsetof(ControlBlock, durable_bell) == 896 && offsetof(ControlBlock, lock) == 1024);
static_assert(offsetof(ControlBlock, seal) == 1152 && offsetof(ControlBlock, log) == 1280);
static_assert(sizeof(ProducerSlot) == line_pitch && sizeof(CursorSlot) == line_pitch);
static_assert(offsetof(CursorSlot, owner) == 16 && offsetof(CursorSlot, shown) == 32);

// The header of a frame, unchanged on disk and on the wire; the body (extension, then payload)
// follows at once. All but `word` are written at commit, after the payload.
struct FrameHeader {
  Atomic<uint64_t> word;  // [63:6] position/64 + 1, [5:0] WordFlag
  Atomic<uint64_t> meta;  // [31:0] body length in bytes, [47:32] FrameType, [63:48] FrameFlag
  Atomic<uint64_t> sequence;
  Atomic<uint64_t> timestamp;  // UTC nanoseconds at claim, 0 when off
};
static_assert(sizeof(FrameHeader) == frame_header_size);

enum WordFlag : uint64_t {
  word_next_verify = 1,  // whoever goes on to the next frame checks its side word
  word_filler = 2,       // carries a sequence but no message
  word_mimic = 4,        // the place looked committed before it was claimed
  word_flags = 63,
};

enum class FrameType : uint16_t {
  message = 1,
  aborted = 2,  // filler: the producer changed its mind
  dead = 3,     // filler: completed by repair for an owner that died
  seal = 4,     // the last frame of a ring
};

enum FrameFlag : uint16_t { flag_extension = 1 };

constexpr uint64_t word_tag(uint64_t position) { return position + unit_size; }  // (P/64 + 1) << 6
constexpr bool carries_tag(uint64_t word, uint64_t position) {
  return (word & ~word_flags) == word_tag(position);
}
constexpr uint64_t pack_meta(uint32_t body, FrameType type, uint16_t flags) {
  return body | static_cast<uint64_t>(type) << 32 | static_cast<uint64_t>(flags) << 48;
}
constexpr uint32_t meta_body(uint64_t meta) { return static_cast<uint32_t>(meta); }
constexpr FrameType meta_type(uint64_t meta) {
  return static_cast<FrameType>((meta >> 32) & 0xffff);
}
constexpr uint16_t meta_flags(uint64_t meta) { return static_cast<uint16_t>(meta >> 48); }
constexpr uint64_t frame_size(uint64_t body) {
  return round_up(frame_header_size + body, unit_size);
}

// The limit: position and sequence of (limit - capacity) in one pair, with a join epoch of 20 bits
// split over the low ends, so that every join changes the pair that a stalled advancer compares.
struct LimitWord {
  uint64_t position = 0;
  uint64_t sequence = 0;  // of the frame at position - capacity
  uint32_t epoch = 0;

  static constexpr uint32_t epoch_max = (1u << 20) - 1;
  static constexpr LimitWord unpack(Pair pair) {
    return {(pair.first >> 10) * unit_size, pair.second >> 10,
            static_cast<uint32_t>((pair.first & 1023) << 10 | (pair.second & 1023))};
  }
  constexpr Pair pack() const {
    return {(position / unit_size) << 10 | epoch >> 10, sequence << 10 | (epoch & 1023)};
  }
};
constexpr uint64_t limit_position(uint64_t first) { return (first >> 10) * unit_size; }

// The seal state of a ring.
constexpr uint64_t seal_open = 0;
constexpr uint64_t seal_removed = 1;  // no successor: the station is gone
constexpr uint64_t seal_to(uint32_t generation) {
  return 2 | static_cast<uint64_t>(generation) << 8;
}
constexpr uint32_t seal_generation(uint64_t state) { return static_cast<uint32_t>(state >> 8); }

// One thread that is alive. Its owner holds `mutex` for as long as the thread lives.
struct alignas(line_pitch) RosterEntry {
  pthread_mutex_t mutex;  // robust, process-shared; 40 bytes
  uint32_t pid;           // of the holder, in its own pid namespace; for people
  uint32_t uid;
  Atomic<uint64_t> state;  // [0] dead  [30:1] tid of the holder  [63:31] generation
  char command[32];        // name of the holder's program; for people
};
static_assert(sizeof(pthread_mutex_t) == 40 && sizeof(RosterEntry) == line_pitch);

struct RosterHeader {
  uint64_t magic;
  uint32_t version;
  uint32_t entry_count;
  uint64_t uuid[2];
  uint64_t header_hash;  // XXH3 of this struct with this field zero
};
constexpr uint32_t roster_entry_count = 2048;

}  // namespace loopline::shm
