// Inspect: what a ring looks like at one moment, told from its file without mapping, locking or
// writing.
//
//   auto snapshot = inspect(path, roster.get());
//   snapshot->frontier.second - snapshot->oldest.second      // messages the window holds
//
// Everything is read with pread into private memory and validated: a ring full of garbage, cut
// short while we look, or overwritten a thousand laps meanwhile yields a fault, a `damage` or an
// older picture, never a crash, a SIGBUS or an endless walk. The parts are read one after the
// other, so on a ring in use they differ in age by the milliseconds the walk takes; each pair is
// true by itself (R8).
//
//   oldest          cursors        visible     frontier                      limit = oldest +
//   capacity |---- readable, kept ----------|-- claims -|-- free ------------------------|
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "file.h"
#include "layout.h"
#include "roster.h"

namespace loopline::shm {

enum class Life { alive, dead, unknown };  // unknown: there is no roster to ask

// Who holds a slot.
struct Occupant {
  SeatId seat = nobody;  // without repairing_bit
  Life life = Life::unknown;
  bool is_repaired_now = false;
  uint32_t pid = 0;  // in its own pid namespace, like the rest for people
  uint32_t tid = 0;
  uint32_t uid = 0;
  std::string command;
};

// A frame that was claimed and is not committed: what lies behind it waits.
struct OpenClaim {
  uint64_t position = 0;
  uint64_t sequence = 0;
  uint64_t bytes = 0;  // of the whole frame
  uint32_t slot = 0;   // of its producer, or seal_owner
  Occupant owner;
};

struct ProducerFacts {
  uint32_t slot = 0;
  Occupant occupant;
  uint64_t identity = 0;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t blocked_ns = 0;
  uint64_t open_claims = 0;
};

struct CursorFacts {
  uint32_t slot = 0;
  CursorKind kind = CursorKind::lossless;
  Occupant occupant;
  bool is_joining = false;
  bool is_evicted = false;  // held a full ring for evict-after; gates nothing
  bool is_waiting = false;
  Pair at;                    // {position, sequence} of what it reads next
  uint64_t lag_messages = 0;  // to the frontier
  uint64_t lag_bytes = 0;
  uint64_t messages = 0;  // handed out
  uint64_t bytes = 0;
  uint64_t lost = 0;

  bool has_place() const { return !is_joining && !is_evicted; }
};

// The ring lock: who repairs, reaps or seals right now.
struct LockFacts {
  bool is_sound = true;      // false: the bytes are no mutex that may be asked
  bool holder_died = false;  // the next one who takes it is told
  uint32_t tid = 0;          // of its holder, in its own pid namespace; 0: free
};

// How far the disk of a file station is, and who writes it.
struct FlushFacts {
  Pair durable;                     // everything before it is on disk
  bool is_done = false;             // this ring is sealed, and on disk up to its seal
  LogState state = LogState::idle;  // also when the flusher's thread is dead
  int error = 0;                    // errno of disk_full and failed
  std::optional<Occupant> flusher;  // who said so last; nullopt: nobody flushes
  uint64_t lag_messages = 0;        // to what is visible
  uint64_t lag_bytes = 0;
  uint64_t commits = 0, bytes = 0;  // times that durable moved, and by how much
};

struct RingSnapshot {
  RingHeader header{};
  std::string path;
  uint64_t taken_ns = 0;  // UTC

  Pair start;          // where this ring's log began; {0, 0}: a successor that is not born yet
  Pair oldest;         // the beginning of the window
  uint64_t limit = 0;  // its end
  Pair hint;
  Pair visible;            // the first frame that is not committed, or the frontier
  Pair frontier;           // where the next claim goes
  bool is_walked = false;  // false: visible and frontier are only as good as the hint

  std::vector<OpenClaim> open_claims;  // the first open_claims_max of them
  uint64_t open_claim_count = 0;
  std::vector<ProducerFacts> producers;
  std::vector<CursorFacts> cursors;

  uint64_t seal_state = seal_open;
  Pair seal_at;
  Pair gate;                      // no_cursor: lifted
  std::optional<FlushFacts> log;  // nullopt: a memory station, or a ring that is not born yet
  LockFacts lock;
  bool producers_wait = false;  // somebody sleeps until there is room
  bool consumers_wait = false;  // somebody sleeps until there is a message
  bool durable_wait = false;    // somebody sleeps until one is on disk
  uint64_t repairs = 0, reaped = 0, fillers = 0, evicted = 0;
  std::string damage;  // what makes no sense in these bytes; empty when all does

  static constexpr size_t open_claims_max = 1024;
};

struct InspectOptions {
  bool walk = true;               // false: no frames are looked at, for lists of many rings
  uint64_t steps_max = 8u << 20;  // frames; a ring with more is told by its hint
};

// Who `owner`, a slot's word, names; life is unknown without a roster.
Occupant occupant_of(uint64_t owner, const Roster* roster);
// `roster`, or null when the ring's slots name seats of another one: nobody to ask.
const Roster* roster_of(const RingHeader& header, const Roster* roster);

// `roster` may be null: then nobody knows who lives. Faults: those of opening and validating the
// file.
Result<RingSnapshot> inspect(const std::string& path, const Roster* roster,
                             const InspectOptions& options = {});
// The same over an open file; `name` is for messages.
Result<RingSnapshot> inspect(const File& file, const std::string& name, const Roster* roster,
                             const InspectOptions& options = {});

}  // namespace loopline::shm
