// Producer: the common path first, then waiting for room, rebinding and following.
#include "producer.h"

#include <sys/random.h>

#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "seal.h"

namespace loopline::shm {

namespace {

Fault forked_fault(const Attached& attached) {
  return {FaultCode::forked,
          "this producer of station \"" + attached.name() +
              "\" belongs to the parent process; open one of its own after fork"};
}

// A successor may say something else than the ring before it.
uint64_t deadline_in(const RingHeader& header, uint64_t deadline_ns) {
  if (deadline_ns != wait_as_station_says) return deadline_ns;
  return header.when_full == WhenFull::reject ? 0 : wait_for_ever;
}

}  // namespace

Result<Producer> Producer::open(std::shared_ptr<Attached> attached) {
  Producer producer;
  if (::getrandom(&producer.identity_, sizeof producer.identity_, 0) < 0) {
    return fault_from_errno(errno, "cannot draw a producer identity");
  }
  LL_TRY_STATUS(producer.bind(std::move(attached)));
  return producer;
}

Status Producer::bind(std::shared_ptr<Attached> attached) {
  if (attached->mapping().access() != Access::produce) {
    return Fault(FaultCode::no_permission,
                 "station \"" + attached->name() + "\" was not opened for producing");
  }
  LL_TRY(seat, attached->my_seat());
  const Ring& ring = attached->ring();
  const bool swept = attached->janitor().sweep();  // slots of the dead are free slots
  const uint32_t slots = attached->header().exclusive != 0 ? 1 : ring.producer_slots;
  uint32_t slot = 0;
  for (; slot < slots; ++slot) {
    uint64_t expected = nobody;
    if (ring.producers[slot].owner.compare_exchange(
            expected, seat, std::memory_order_acq_rel,  // acq_rel [slot]
            std::memory_order_relaxed)) {               // relaxed: taken, next one
      break;
    }
  }
  if (slot == slots) {
    if (!swept) return attached->lock_held();
    return Fault(FaultCode::too_many,
                 attached->header().exclusive != 0
                     ? "station \"" + attached->name() +
                           "\" is exclusive and has a living producer; see: loopline ring show " +
                           attached->name()
                     : "station \"" + attached->name() + "\" has all its " + std::to_string(slots) +
                           " producers; see: loopline ring show " + attached->name());
  }
  // If we die here: the slot's seat is dead, and swept.
  attached_ = std::move(attached);
  slot_ = slot;
  mine_ = &ring.producers[slot];
  bell_ = &ring.control->data_bell;
  claimer_ = Claimer(ring, slot, attached_->header().exclusive != 0);
  body_max_ = attached_->header().message_max;
  timestamp_ = attached_->header().timestamp;
  generation_ = attached_->header().generation;
  open_frames_ = 0;
  seat_ = seat;
  thread_key_ = thread_key();
  fork_generation_ = fork_generation();
  messages_ = bytes_ = 0;
  mine_->identity.store(identity_, std::memory_order_relaxed);  // relaxed: for people
  mine_->messages.store(0, std::memory_order_relaxed);          // relaxed: for people
  mine_->bytes.store(0, std::memory_order_relaxed);             // relaxed: for people
  mine_->blocked_ns.store(0, std::memory_order_relaxed);        // relaxed: for people
  if (seal_state(attached_->ring()) != seal_open) return follow();
  return ok();
}

Producer::Producer(Producer&& other) noexcept { *this = std::move(other); }

Producer& Producer::operator=(Producer&& other) noexcept {
  if (this == &other) return *this;
  close();
  wait_kind = other.wait_kind;
  attached_ = std::move(other.attached_);
  left_ = std::move(other.left_);
  before_ = std::move(other.before_);
  claimer_ = other.claimer_;
  mine_ = std::exchange(other.mine_, nullptr);
  bell_ = other.bell_;
  slot_ = other.slot_;
  body_max_ = other.body_max_;
  timestamp_ = other.timestamp_;
  thread_key_ = other.thread_key_;
  seat_ = other.seat_;
  fork_generation_ = other.fork_generation_;
  identity_ = other.identity_;
  generation_ = std::exchange(other.generation_, no_ring);
  open_frames_ = std::exchange(other.open_frames_, 0);
  messages_ = other.messages_;
  watch_ = other.watch_;
  bytes_ = other.bytes_;
  return *this;
}

Producer::~Producer() { close(); }

// The caller has no open frame (the SDK aborts it first).
void Producer::close() {
  if (mine_ == nullptr || fork_generation_ != fork_generation()) return;
  uint64_t expected = seat_;
  mine_->owner.compare_exchange(expected, nobody, std::memory_order_acq_rel,  // acq_rel [slot]
                                std::memory_order_relaxed);  // relaxed: repaired and freed already
  mine_ = nullptr;
}

uint64_t Producer::now() const {
  return timestamp_ == TimestampKind::precise ? utc_ns() : utc_coarse_ns();
}

Status Producer::check_open(const OpenFrame& frame) {
  if (!frame.is_open()) {
    return Fault(FaultCode::invalid_argument, "this message was committed or aborted already");
  }
  if (ring_of(frame)->header().generation != frame.generation) {
    return Fault(FaultCode::invalid_argument, "this message was not claimed with this producer");
  }
  return frame.generation == generation_ ? ensure_here() : ok();
}

Status Producer::abort(OpenFrame& frame) {
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(check_open(frame));
  if (frame.generation != generation_) return end_before(before_, frame, false, 0);
  claimer_.abort(frame.claim);
  finish(frame);
  return ok();
}

const std::shared_ptr<Attached>& Producer::ring_of(const OpenFrame& frame) const {
  const Producer* handle = this;
  while (handle->generation_ != frame.generation && handle->before_) handle = handle->before_.get();
  return handle->attached_;
}

// Each handle is that of the ring before; `handle`, or one further back, has the frame.
Status Producer::end_before(std::unique_ptr<Producer>& handle, OpenFrame& frame, bool commits,
                            uint16_t flags) {
  if (handle->generation_ != frame.generation) {
    return end_before(handle->before_, frame, commits, flags);
  }
  LL_TRY_STATUS(commits ? handle->commit(frame, flags) : handle->abort(frame));
  if (handle->open_frames_ != 0) return ok();
  auto older = std::move(handle->before_);
  handle = std::move(older);
  return ok();
}

Status Producer::rebind() {
  if (mine_ == nullptr) return Fault(FaultCode::closed, "this producer was closed");
  if (fork_generation_ != fork_generation()) return forked_fault(*attached_);
  LL_TRY(seat, attached_->my_seat());
  uint64_t expected = seat_;
  if (!mine_->owner.compare_exchange(expected, seat, std::memory_order_acq_rel,  // acq_rel [slot]
                                     std::memory_order_relaxed)) {  // relaxed: lost to repair
    return Fault(FaultCode::fenced, "the thread that used this producer of station \"" +
                                        attached_->name() +
                                        "\" ended, and its place was given away; open a new one");
  }
  seat_ = seat;
  thread_key_ = thread_key();
  return ok();
}

// bind() follows again when that ring is sealed too; generations only grow.
Status Producer::follow() {
  LL_TRY(next, attached_->successor());
  std::erase_if(left_, [](const auto& ring) { return !log_gates(ring->ring()); });
  const bool has_published = messages_ != 0 || open_frames_ != 0;
  if (has_published && log_gates(attached_->ring())) left_.push_back(attached_);
  if (open_frames_ == 0) {
    close();
    return bind(std::move(next));
  }
  // They are of that ring, and keep its slot: given back, it would be repaired under us.
  auto handle = std::unique_ptr<Producer>(new Producer(std::move(*this)));
  attached_ = handle->attached_;  // should bind() fail, the next claim comes here again
  left_ = std::move(handle->left_);
  messages_ = bytes_ = 0;
  before_ = std::move(handle);
  return bind(std::move(next));
}

Fault Producer::too_large(uint64_t body_size) const {
  return {FaultCode::too_large, "a message of " + format_count(body_size) +
                                    " bytes is over the max-message of station \"" +
                                    attached_->name() + "\", " + format_count(body_max_)};
}

// Begins anew with whatever kept the claim from its common path.
Status Producer::claim_slowly(uint64_t body_size, uint64_t deadline_ns, Claim& claim) {
  LL_TRY_STATUS(ensure_here());
  const uint64_t bytes = frame_size(body_size);
  Waiter waiter(wait_kind, deadline_in(attached_->header(), deadline_ns));
  const uint64_t started = monotonic_ns();
  uint32_t confusions = 0;
  for (;;) {
    // A successor may take less, or more: what is too large here is looked for there.
    const bool fits = body_size <= body_max_;
    if (!fits && attached_->is_open()) return too_large(body_size);
    switch (fits ? claimer_.claim(bytes, claim) : ClaimOutcome::sealed) {
      case ClaimOutcome::claimed:
        mine_->blocked_ns.fetch_add(monotonic_ns() - started,
                                    std::memory_order_relaxed);  // relaxed: for people
        return ok();
      case ClaimOutcome::full:
        LL_TRY_STATUS(make_room(claimer_.full_at() + bytes + unit_size, waiter));
        break;
      case ClaimOutcome::sealed:
        LL_TRY_STATUS(follow());
        waiter = Waiter(wait_kind, deadline_in(attached_->header(), deadline_ns));
        break;
      case ClaimOutcome::confused:
        if (++confusions == 16) {
          return Fault(FaultCode::corrupted, "the ring of station \"" + attached_->name() +
                                                 "\" is damaged: its claims make no chain");
        }
        break;
    }
  }
}

Result<bool> Producer::try_claim(uint64_t body_size, OpenFrame& frame) {
  constexpr uint32_t rounds_max = 64;  // each one is a claim of others, a move or a seal
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(ensure_here());
  for (uint32_t round = 0; round < rounds_max; ++round) {
    const uint64_t bytes = frame_size(body_size);
    const bool fits = body_size <= body_max_;
    if (!fits && attached_->is_open()) return too_large(body_size);
    const auto outcome = fits ? claimer_.claim(bytes, frame.claim) : ClaimOutcome::sealed;
    if (outcome == ClaimOutcome::claimed) {
      open_frame(body_size, frame);
      return true;
    }
    if (outcome == ClaimOutcome::sealed) LL_TRY_STATUS(follow());
    const uint64_t end = claimer_.full_at() + bytes + unit_size;
    const bool is_full = outcome == ClaimOutcome::full;
    if (is_full && advance(attached_->ring(), end).outcome != AdvanceOutcome::moved) return false;
  }
  return false;
}

Status Producer::await_room(uint64_t body_size, uint64_t deadline_ns) {
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(ensure_here());
  const uint64_t end = claimer_.full_at() + frame_size(body_size) + unit_size;
  Waiter waiter(wait_kind, deadline_in(attached_->header(), deadline_ns));
  const uint64_t started = monotonic_ns();
  while (attached_->is_open() && attached_->ring().limit_now() < end) {
    LL_TRY_STATUS(make_room(end, waiter));
  }
  mine_->blocked_ns.fetch_add(monotonic_ns() - started,
                              std::memory_order_relaxed);  // relaxed: for people
  return ok();
}

Status Producer::make_room(uint64_t end, Waiter& waiter) {
  const Advance held = advance(attached_->ring(), end);
  switch (held.outcome) {
    case AdvanceOutcome::moved:
      return ok();
    case AdvanceOutcome::gated:
    case AdvanceOutcome::open:
      return wait_out(end, held, waiter);
    case AdvanceOutcome::used_up:
      return Fault(FaultCode::full, "the ring of station \"" + attached_->name() +
                                        "\" has used up its positions; seal it with a successor");
    case AdvanceOutcome::corrupt:
      break;
  }
  return Fault(FaultCode::corrupted, "the ring of station \"" + attached_->name() +
                                         "\" is damaged: its window cannot be moved; see: "
                                         "loopline ring show " +
                                         attached_->name());
}

// Held by somebody: if they are dead we clean up and go on, else we wait for them a little.
Status Producer::wait_out(uint64_t end, const Advance& held, Waiter& waiter) {
  const bool gated = held.outcome == AdvanceOutcome::gated;
  const bool at_gate = gated && held.blocker == blocker_is_gate;
  const bool at_log = gated && held.blocker == blocker_is_log;
  const bool looks_around = waiter.time_to_look_around();  // not at each round: it maps a ring
  if (at_gate && looks_around && attached_->lift_gate()) return ok();
  if (looks_around) LL_TRY_STATUS(check_log(held));
  if (!at_gate && !at_log && looks_around) {
    Janitor janitor = attached_->janitor();
    const Cleaned cleaned =
        gated ? janitor.clean_cursor(held.blocker) : janitor.clean_producer(held.blocker);
    if (cleaned == Cleaned::done) return ok();
    if (cleaned == Cleaned::broken) {
      return Fault(FaultCode::corrupted,
                   "the ring lock of station \"" + attached_->name() + "\" is damaged");
    }
  }
  if (gated && evict(held, waiter)) return ok();
  if (waiter.expired()) return full_fault(waiter, held);
  if (!waiter.spin()) {
    // Room comes from cursors; behind an open frame it comes from its commit.
    BellLine& bell = gated ? attached_->ring().control->space_bell : *bell_;
    const uint32_t ticket = prepare_to_park(bell, 1u << (slot_ & 31));
    const Advance again = advance(attached_->ring(), end);
    const bool is_same = again.outcome == held.outcome && again.blocker == held.blocker;
    if (is_same && check_log(held)) {
      SeatId watched = nobody;
      if (!at_gate && !at_log) {
        const auto& owner = gated ? attached_->ring().cursors[held.blocker].owner
                                  : attached_->ring().producers[held.blocker].owner;
        watched = owner.load(std::memory_order_acquire) & ~repairing_bit;  // acquire [slot]
      }
      const Bedside bedside[] = {{&bell, ticket, &attached_->roster(), watched}};
      waiter.sleep(bedside);
    }
  }
  return ok();
}

// Detaches the reader that holds the ring, once it has done so for evict-after.
bool Producer::evict(const Advance& held, Waiter& waiter) {
  if (!waiter.time_to_look_around() || held.blocker == blocker_is_log) return false;
  std::shared_ptr<Attached> theirs = attached_;
  uint32_t slot = held.blocker;
  if (slot == blocker_is_gate) theirs = attached_->behind_gate(slot);
  if (!theirs || theirs->header().evict_after_ns == 0) return false;
  const bool evicted = watch_.look(theirs->ring(), theirs->header().generation, slot,
                                   theirs->header().evict_after_ns, monotonic_ns());
  waiter.wake_by(watch_.due_ns());
  return evicted;
}

Fault Producer::full_fault(const Waiter& waiter, const Advance& held) const {
  const bool gated = held.outcome == AdvanceOutcome::gated;
  const bool at_gate = gated && held.blocker == blocker_is_gate;
  const bool at_log = gated && held.blocker == blocker_is_log;
  // Consumers of a file station hold nothing: behind its gate is a ring that is not on disk.
  const bool is_file = attached_->header().storage == Storage::file;
  if (at_log || (at_gate && is_file)) return full_log_fault(waiter, attached_->log_facts());
  std::string who = "a reader of the ring before it";
  if (!at_gate) {
    const Ring& ring = attached_->ring();
    const auto& owner =
        gated ? ring.cursors[held.blocker].owner : ring.producers[held.blocker].owner;
    const SeatId seat = owner.load(std::memory_order_acquire);  // acquire [slot]
    const auto person = attached_->roster().describe(seat & ~repairing_bit);
    who = (gated ? "consumer in cursor slot " : "an open message of producer slot ") +
          std::to_string(held.blocker) + " (pid " + std::to_string(person.pid) + " " +
          person.command + ")";
  }
  return {waiter.may_wait() ? FaultCode::timed_out : FaultCode::full,
          "station \"" + attached_->name() + "\" is full: " + who +
              " holds it; see: loopline ring show " + attached_->name()};
}

}  // namespace loopline::shm
