// Attached: one ring as this process has it, with everything its handles share.
//
// Producers and consumers of one process on one partition share an Attached through a shared_ptr:
// the mapping, the roster, the directory it came from. It also knows how to end a ring and how to
// find its successor.
#pragma once

#include <memory>
#include <optional>

#include "directory.h"
#include "mapping.h"
#include "reader.h"
#include "repair.h"
#include "ring.h"
#include "roster.h"

namespace loopline::shm {

// How a file station's log is doing, for those who wait for it.
struct LogFacts {
  LogState state = LogState::idle;  // also when the flusher's thread is dead
  int error = 0;                    // errno of disk_full and failed
};

class Attached {
 public:
  static std::shared_ptr<Attached> make(Mapping mapping, std::shared_ptr<Roster> roster,
                                        std::optional<Directory> directory);

  Mapping& mapping() { return mapping_; }
  const RingHeader& header() const { return mapping_.header(); }
  const Ring& ring() const { return ring_; }
  Roster& roster() { return *roster_; }
  // The calling thread's seat. Faults: corrupted when the ring's slots name seats of another roster
  // (its file was replaced), and what the roster says.
  Result<SeatId> my_seat();
  Janitor janitor() { return {mapping_, ring_, *roster_}; }
  // Not sealed, as far as we know.
  bool is_open() const;
  // What to say when the ring lock stays with somebody else, who is named.
  Fault lock_held() const;
  // "factory/station".
  std::string name() const;
  const std::optional<Directory>& directory() const { return directory_; }
  // Another ring of this partition. Faults: not_found (given back), closed (rings without files).
  Result<std::shared_ptr<Attached>> at_generation(uint32_t generation, Access access) const;

  // Ends the ring in favour of a successor with `options` (made here), or for good. Idempotent;
  // goes on with what a dead sealer began. Faults: unsupported while an exclusive producer lives,
  // timed_out when the ring lock stays with somebody else (named).
  Status seal_with_successor(const RingOptions& options);
  Status seal_for_good();
  // Its first step alone: the successor's file, unborn. already_exists when one is there, or the
  // ring was sealed to it.
  Status make_successor(const RingOptions& options) const;
  // What a handle does at the seal: finishes it if need be and opens what comes next.
  // closed: the station was removed.
  Result<std::shared_ptr<Attached>> successor();

  // Whatever holds the next frame of `reader` open: a dead producer is repaired, a dead sealer's
  // work finished. For those who may write the control lines.
  Status clean_up_at(const Reader& reader);

  // Of the log that what is behind `durable` waits for; while the ring before this one is not on
  // disk, the log there. Maps that one: not for each round of a wait.
  LogFacts log_facts() const;

  // Whether the gate may be lifted, and does it: nobody gates the predecessor any more.
  bool lift_gate();
  // The ring before this one while the gate waits for it; null: it is lifted.
  std::shared_ptr<Attached> before_gate() const;
  // The ring whose readers hold our gate, and the slot of the slowest of them; null: it is lifted,
  // or nobody is there.
  std::shared_ptr<Attached> behind_gate(uint32_t& slot);

 private:
  Attached(Mapping mapping, std::shared_ptr<Roster> roster, std::optional<Directory> directory);
  Status seal_to_state(uint64_t target);
  Status finish_seal_locked(uint64_t target);
  Fault damaged(const std::string& why) const;
  Result<Mapping> attach_generation(uint32_t generation, Access access) const;

  Mapping mapping_;
  Ring ring_;
  std::shared_ptr<Roster> roster_;
  std::optional<Directory> directory_;
  std::string bell_files_;  // of ring_
};

// What the dead left on a ring, gone: their open frames are fillers, their slots free. For the
// broker, once a second over all rings: a ring without dead is read only, a live holder of the ring
// lock is not waited for. May be called by several at once; one that dies is followed by the next.
inline Swept sweep_ring(Attached& attached) { return attached.janitor().sweep_now(); }

}  // namespace loopline::shm
