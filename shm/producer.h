// Producer: a handle that publishes into a ring, waits for room, cleans up after the dead, and
// follows a sealed ring to its successor.
//
//   auto producer = Producer::open(attached);
//   OpenFrame frame;
//   if (producer->claim(240, deadline, frame)) { fill(frame.body); producer->commit(frame, 0); }
//
// One thread uses it at a time; it may move between threads: the slot is rebound to the new
// thread's seat before anything is written (R7). In a forked child every call answers `forked`.
// With nobody asleep, claim and commit make no system call and allocate nothing (timestamps come
// from the vDSO).
#pragma once

#include <cstddef>
#include <memory>
#include <vector>

#include "armed.h"
#include "attached.h"
#include "base/one_thread.h"
#include "claim.h"
#include "evict.h"
#include "wait.h"
#include "window.h"

namespace loopline::shm {

// A frame between claim and commit. `body` is where extension and payload go.
struct OpenFrame {
  Claim claim;
  std::byte* body = nullptr;
  uint32_t body_size = 0;
  uint32_t generation = 0;  // of the ring it is open in; 0: it is not
  uint64_t timestamp = 0;

  bool is_open() const { return generation != 0; }
};

class Producer {
 public:
  // Faults: too_many (all slots held by living threads; an exclusive ring has one), timed_out (some
  // by the dead, and whoever holds the ring lock is named), no_permission, closed, and what the
  // roster says.
  static Result<Producer> open(std::shared_ptr<Attached> attached);
  Producer(Producer&& other) noexcept;
  Producer& operator=(Producer&& other) noexcept;
  ~Producer();

  // Room for a body of `body_size` bytes; when the ring is full, waits until `deadline_ns`
  // (monotonic; 0: not at all; wait_for_ever, wait_as_station_says). Faults: full, timed_out (both
  // say who holds the ring), too_large, fenced, forked, closed, corrupted.
  Status claim(uint64_t body_size, uint64_t deadline_ns, OpenFrame& frame) {
    const OneThread::Use use(one_thread_);
    if (!here() || body_size > body_max_ ||
        claimer_.claim(frame_size(body_size), frame.claim) != ClaimOutcome::claimed) [[unlikely]] {
      LL_TRY_STATUS(claim_slowly(body_size, deadline_ns, frame.claim));
    }
    open_frame(body_size, frame);
    return ok();
  }
  // The same, never waiting: false when there is no room. Nothing of it is slow while others wait
  // for a lock that the caller holds.
  Result<bool> try_claim(uint64_t body_size, OpenFrame& frame);
  // After that: until there may be room, or something else to look at. Faults: as claim.
  Status await_room(uint64_t body_size, uint64_t deadline_ns);
  // That this thread may use it. Faults: forked, fenced, closed, and what the roster says.
  Status attend() { return ensure_here(); }
  // A message that another handle published counts for wait_durable as if this one had.
  void adopt(uint64_t end_position);
  // Shows the frame to the readers and wakes those who sleep. Faults: fenced (our thread was found
  // dead and the frame completed as a filler), invalid_argument (committed or aborted already).
  Status commit(OpenFrame& frame, uint16_t flags) {
    const OneThread::Use use(one_thread_);
    if (frame.generation != generation_ || !here()) [[unlikely]] {
      LL_TRY_STATUS(check_open(frame));
      if (frame.generation != generation_) return end_before(before_, frame, true, flags);
    }
    claimer_.commit(frame.claim, pack_meta(frame.body_size, FrameType::message, flags),
                    frame.timestamp);
    finish(frame);
    count(frame.body_size);
    return ok();
  }
  Status abort(OpenFrame& frame);
  // Of a file station: until what this handle published before `end_position` is on disk, with all
  // that stands before it; true then. With deadline 0 only a look: false is not yet. Faults: where
  // it may wait: io_error (the disk failed) and no_space (it is full; both at once: the message is
  // visible and not durable, and with the second may still become so), timed_out (says whether
  // anybody flushes), closed (removed before); unsupported (a memory station), forked, fenced.
  Result<bool> wait_durable(uint64_t end_position, uint64_t deadline_ns);

  // The ring that an open frame stands in: one that was sealed since, or attached().
  const std::shared_ptr<Attached>& ring_of(const OpenFrame& frame) const;

  uint64_t identity() const { return identity_; }
  uint32_t slot() const { return slot_; }
  const std::shared_ptr<Attached>& attached() const { return attached_; }
  WaitKind wait_kind = WaitKind::adaptive;

 private:
  static constexpr uint32_t no_ring = UINT32_MAX;  // no frame has it

  Producer() = default;
  Status bind(std::shared_ptr<Attached> attached);
  Status rebind();
  Status follow();
  Status claim_slowly(uint64_t body_size, uint64_t deadline_ns, Claim& claim);
  Status check_open(const OpenFrame& frame);
  static Status end_before(std::unique_ptr<Producer>& handle, OpenFrame& frame, bool commits,
                           uint16_t flags);
  Status make_room(uint64_t end, Waiter& waiter);
  Status wait_out(uint64_t end, const Advance& held, Waiter& waiter);
  bool evict(const Advance& held, Waiter& waiter);
  Fault too_large(uint64_t body_size) const;
  Fault full_fault(const Waiter& waiter, const Advance& held) const;
  Fault full_log_fault(const Waiter& waiter, const LogFacts& log) const;
  Status check_log(const Advance& held) const;
  std::shared_ptr<Attached> published_in(uint64_t end_position) const;
  void open_frame(uint64_t body_size, OpenFrame& frame) {
    ++open_frames_;
    frame.timestamp = timestamp_ == TimestampKind::off ? 0 : now();
    frame.body = claimer_.ring().at(frame.claim.position) + frame_header_size;
    frame.body_size = static_cast<uint32_t>(body_size);
    frame.generation = generation_;
  }
  void finish(OpenFrame& frame) {
    --open_frames_;
    frame.generation = 0;
    if (somebody_parked(*bell_)) [[unlikely]]
      ring_readers(attached_->ring());
  }
  void count(uint32_t bytes) {
    mine_->messages.store(++messages_, std::memory_order_relaxed);   // relaxed: for people
    mine_->bytes.store(bytes_ += bytes, std::memory_order_relaxed);  // relaxed: for people
  }
  uint64_t now() const;
  void close();
  bool here() const { return thread_key() == thread_key_; }
  Status ensure_here() {
    if (here()) [[likely]]
      return ok();
    return rebind();
  }

  std::shared_ptr<Attached> attached_;
  std::vector<std::shared_ptr<Attached>> left_;  // rings we published in, not yet all on disk
  // The handle on a sealed ring that was left with frames still open; it ends with the last one.
  std::unique_ptr<Producer> before_;
  Claimer claimer_;
  ProducerSlot* mine_ = nullptr;
  BellLine* bell_ = nullptr;
  uint32_t slot_ = 0;
  uint64_t body_max_ = 0;
  TimestampKind timestamp_ = TimestampKind::precise;
  uint64_t thread_key_ = 0;
  SeatId seat_ = nobody;
  uint64_t fork_generation_ = 0;
  uint64_t identity_ = 0;
  uint32_t generation_ = no_ring;
  uint32_t open_frames_ = 0;
  uint64_t messages_ = 0, bytes_ = 0;
  EvictionWatch watch_;
  OneThread one_thread_;
};

}  // namespace loopline::shm
