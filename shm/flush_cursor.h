// FlushCursor: what the one who writes a ring to disk holds of it: where the disk is, and what is
// committed behind it.
//
//   auto cursor = FlushCursor::open(attached);
//   auto run = cursor->next(256_KiB);                    // whole frames, back to back
//   hash and write cursor->data(run->at.first) .. run->bytes;  when the disk has it:
//   cursor->set_durable(run->end());                     // producers get room, waiters are told
//   when run->sealed is durable:  cursor = FlushCursor::open(*cursor->finish());
//
// The cursor itself is `durable` in the control block. It is the station's, gates the window from
// birth, and stays where it is when the flusher dies: the next one takes over there, and what was
// read and not yet durable is read again. One flusher at a time: the lock on the log's folder sees
// to that, not we. One thread uses it, and its seat says whether anybody flushes.
//
// Happens-before edges, beside those of ring.h
//   [cursor]   `durable` released behind the reads of a run -> advance acquires it
//   [durable]  the same store, when the disk has it -> who waits for it
//   [log]      state released behind error -> who asks why it takes so long
//   [seat]     the seat released behind the state it begins with -> who loads it before the state
#pragma once

#include <memory>

#include "attached.h"
#include "reader.h"

namespace loopline::shm {

// Frames as they go to disk: fillers and the seal frame included.
struct FlushRun {
  Pair at;             // {position, sequence} of the first
  uint64_t bytes = 0;  // 0: nothing new is committed
  uint32_t count = 0;
  uint64_t timestamp_min = 0, timestamp_max = 0;  // of those that carry one; 0: none does
  bool sealed = false;  // it ends with the ring's seal frame: nothing comes behind it

  Pair end() const { return {at.first + bytes, at.second + count}; }
};

// Up to where a ring is on disk, for those who look from outside; no_cursor: all of it, {0, 0}: it
// is not born.
inline Pair durable_of(const Ring& ring) {
  return ring.control->durable.pair.load(std::memory_order_acquire);  // acquire [durable]
}
// Where the seal frame of a ring stands; {0, 0}: it has none.
inline Pair seal_of(const Ring& ring) {
  return ring.control->seal.at.load(std::memory_order_acquire);  // acquire [sealed]
}
// Near the end of what was claimed.
inline Pair frontier_of(const Ring& ring) {
  return ring.control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
}

// The oldest ring of a partition that is not wholly on disk. Faults: not_found (there is none, as
// in memory), those of attaching.
Result<std::shared_ptr<Attached>> oldest_not_on_disk(const Directory& directory,
                                                     const StationName& name, uint32_t partition,
                                                     Access access);

class FlushCursor {
 public:
  // Where one who takes over goes on: `durable`, if it can be a place of this ring at all. Faults:
  // corrupted.
  static Result<Pair> place_to_go_on(const Attached& attached);
  // Takes over at `durable`, and says that we flush. Faults: unsupported (a memory station),
  // no_permission (opened only to look), not_found (an unborn ring), corrupted.
  static Result<FlushCursor> open(std::shared_ptr<Attached> attached);
  FlushCursor(FlushCursor&& other) noexcept;
  FlushCursor& operator=(FlushCursor&& other) noexcept;
  ~FlushCursor() { close(); }

  // As many whole committed frames behind the last run as fit into `bytes_max`, at least one if one
  // is there. Behind the seal frame there is nothing: sealed, and no bytes. Faults: corrupted.
  Result<FlushRun> next(uint64_t bytes_max);
  // A run from `position` on lies there in one piece, until it is durable.
  const std::byte* data(uint64_t position) const { return attached_->ring().at(position); }
  // Goes on at `upto`, a boundary behind the last run: what is before it is on disk already.
  // Faults: corrupted (no frame begins there).
  Status skip_to(Pair upto);
  // Of one that parked by bell(): whether next() would find a frame.
  bool ready() const { return !sealed_ && reader_.ready(); }
  // Before it sleeps, and now and then: a producer that died may hold the next frame open, or a
  // sealer the end. Faults: corrupted, those of following a seal.
  Status clean_up_ahead();

  // The disk has everything before `upto`, an end of a run.
  void set_durable(Pair upto);
  // disk_full and failed with their errno. `failed` outlives us, until the next flusher opens.
  void set_state(LogState state, int error);
  // The whole of a sealed ring is durable: it gates its successor no more, which is handed over.
  // Faults: invalid_argument (it is not), closed (the station was removed), those of following.
  Result<std::shared_ptr<Attached>> finish();

  // The seal frame was handed out, or lies behind `durable`: only finish() is left.
  bool is_sealed() const { return sealed_; }
  Pair at() const { return sealed_ ? end_ : reader_.at(); }
  Pair durable() const { return durable_; }
  const std::shared_ptr<Attached>& attached() const { return attached_; }
  // Rung by commits; the flusher sleeps by it.
  BellLine& bell() const { return attached_->ring().control->data_bell; }
  // Nobody flushes any more.
  void close();

 private:
  FlushCursor() = default;
  Status take_over();
  bool is_claimed_behind() const;
  static Fault corrupt_fault(const Attached& attached, Pair at);
  Fault corrupt_fault(Pair at) const { return corrupt_fault(*attached_, at); }

  std::shared_ptr<Attached> attached_;
  Reader reader_;
  Pair durable_;
  bool sealed_ = false;  // the last run ended with the seal frame
  Pair end_;             // behind it
  SeatId seat_ = nobody;
  uint64_t fork_generation_ = 0;
};

}  // namespace loopline::shm
