// Consumer: reading runs, publishing the cursor, sleeping, rebinding and following.
#include "consumer.h"

#include <unistd.h>

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "bell.h"
#include "seal.h"
#include "window.h"

namespace loopline::shm {

namespace {

// A lossy run's copies: room for one frame of the largest size, and for many small ones.
constexpr uint64_t copies_min = 256u << 10;
constexpr useconds_t ghost_poll_us = 500;
// When messages come in a stream, and how long its reader rests: see keep_off_the_heels.
constexpr size_t long_run_min = 48;
constexpr uint32_t short_runs_max = 8;
constexpr uint64_t stream_ticks_max = 400;  // from one message to the next: about 150 ns
constexpr uint32_t rest_pauses = 16;        // about half a microsecond

}  // namespace

Result<Consumer> Consumer::open(std::shared_ptr<Attached> attached,
                                const ConsumerOptions& options) {
  Consumer consumer;
  consumer.options_ = options;
  LL_TRY_STATUS(consumer.bind(std::move(attached), options.from, Arrival::fresh));
  return consumer;
}

Status Consumer::bind(std::shared_ptr<Attached> attached, From from, Arrival arrival) {
  if (attached->mapping().access() == Access::look && !options_.lossy) {
    return Fault(FaultCode::no_permission,
                 "station \"" + attached->name() +
                     "\" may only be read: a consumer that must not miss "
                     "anything needs write permission to say how far it is");
  }
  thread_key_ = thread_key();
  fork_generation_ = fork_generation();
  attached_ = std::move(attached);
  if (options_.lossy) {
    const uint64_t frame_max = attached_->ring().units_max * unit_size;
    copies_.resize(std::max<uint64_t>(copies_min, 2 * frame_max));
  }
  if (attached_->mapping().access() == Access::look) {
    ghost_ = std::make_unique<CursorSlot>();
    mine_ = ghost_.get();
    seat_ = nobody;
  } else {
    LL_TRY(seat, attached_->my_seat());
    LL_TRY_STATUS(take_place(seat));
  }
  return start_reading(from, arrival);
}

Status Consumer::take_place(SeatId seat) {
  const Ring& ring = attached_->ring();
  const bool swept = attached_->janitor().sweep();
  const auto slot =
      take_cursor_slot(ring, seat, options_.lossy ? CursorKind::lossy : CursorKind::lossless);
  if (!slot) {
    if (!swept) return attached_->lock_held();
    return Fault(FaultCode::too_many, "station \"" + attached_->name() + "\" has all its " +
                                          std::to_string(ring.cursor_slots) +
                                          " consumers; see: loopline ring show " +
                                          attached_->name());
  }
  slot_ = *slot;
  mine_ = &ring.cursors[slot_];
  seat_ = seat;
  return ok();
}

Status Consumer::start_reading(From from, Arrival arrival) {
  const Ring& ring = attached_->ring();
  Pair start = ring.window_start();
  if (!options_.lossy) {
    const auto joined = join(ring, slot_);
    if (!joined) {
      return Fault(FaultCode::timed_out, "station \"" + attached_->name() +
                                             "\" is being joined too often at once; try again");
    }
    start = *joined;
  }
  // [seal]: we are joined now; a gate check that did not see us is one whose seal we see. Nothing
  // keeps the successor's beginning for us then, so we start there and not here. Unless we come
  // from the predecessor: our cursor there holds the gate here, and that holds the successor's.
  const bool too_late = !options_.lossy && arrival == Arrival::fresh;
  if (too_late && seal_state(ring) != seal_open) return follow(from);
  const Pair hint = ring.control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
  const bool leap = from == From::latest && options_.lossy && hint.first > start.first;
  reader_ = Reader(ring, leap ? hint : start);
  bell_ = &ring.control->space_bell;
  sealed_ = false;
  skip_before_ = 0;
  if (from == From::latest && !options_.lossy) {
    skip_before_ = hint.first;
    pass_over_older();
  }
  publish(reader_.at());
  return ok();
}

// No leap to the hint for one who gates: frames before it may still be open, and a cursor behind
// them would let the window pass over writers at work (R2). What is committed is passed over, now
// and later.
void Consumer::pass_over_older() {
  FrameView view;
  for (Reader ahead = reader_; ahead.next(view) == ReadOutcome::frame; reader_ = ahead) {
    if (view.position >= skip_before_) return;
  }
}

Consumer::Consumer(Consumer&& other) noexcept { *this = std::move(other); }

Consumer& Consumer::operator=(Consumer&& other) noexcept {
  if (this == &other) return *this;
  close();
  attached_ = std::move(other.attached_);
  options_ = other.options_;
  reader_ = other.reader_;
  mine_ = std::exchange(other.mine_, nullptr);
  slot_ = other.slot_;
  bell_ = other.bell_;
  unreleased_ = other.unreleased_;
  released_ = other.released_;
  sealed_ = other.sealed_;
  skip_before_ = other.skip_before_;
  gap_ = other.gap_;
  gap_pending_ = other.gap_pending_;
  ghost_ = std::move(other.ghost_);
  copies_ = std::move(other.copies_);
  thread_key_ = other.thread_key_;
  seat_ = other.seat_;
  fork_generation_ = other.fork_generation_;
  messages_ = other.messages_;
  bytes_ = other.bytes_;
  lost_ = other.lost_;
  return *this;
}

Consumer::~Consumer() { close(); }

void Consumer::close() {
  if (mine_ == nullptr || ghost_ || fork_generation_ != fork_generation()) return;
  leave(attached_->ring(), slot_, seat_);  // false: reaped already, nothing is left of us
  mine_ = nullptr;
}

Result<size_t> Consumer::read(std::span<FrameView> views) {
  if (!here()) [[unlikely]]
    LL_TRY_STATUS(rebind());
  if (unreleased_) publish(reader_.at());
  for (;;) {
    auto run = options_.lossy ? read_lossy(views) : read_lossless(views);
    if (!run || *run != 0 || !sealed_) [[likely]]
      return run;
    LL_TRY_STATUS(follow(From::earliest));
  }
}

Result<size_t> Consumer::read_lossless(std::span<FrameView> views) {
  if (streaming_) {
    for (uint32_t pause = 0; pause < rest_pauses; ++pause) spin_pause();
  }
  size_t count = 0;
  const ReadOutcome outcome = read_views(views, count);
  if (outcome == ReadOutcome::corrupt && count == 0) [[unlikely]]
    return corrupt_fault();
  sealed_ = outcome == ReadOutcome::sealed;
  keep_off_the_heels(count);
  return count;
}

// Short runs one after another, with little time between their messages: we read at the heels of a
// producer and steal the lines it is about to write. From then on we rest a moment before each run,
// so that it gets ahead and the runs grow (perf/results). The clock is read once in a few short
// runs; one who reads message by message as they come is not made to wait.
void Consumer::keep_off_the_heels(size_t count) {
  if (count == 0) return;
  counted_ += count;
  if (count >= long_run_min) {  // it is ahead anyway
    streaming_ = false;
    short_runs_ = 0;
    return;
  }
  if (!streaming_ && ++short_runs_ < short_runs_max) return;
  const uint64_t now = processor_ticks();
  streaming_ = now - counted_from_ < counted_ * stream_ticks_max;
  counted_from_ = now;
  counted_ = short_runs_ = 0;
}

// As many as fit; what stood behind them.
inline ReadOutcome Consumer::read_views(std::span<FrameView> views, size_t& count) {
  ReadOutcome outcome = ReadOutcome::frame;
  uint64_t bytes = 0;
  while (count < views.size()) {
    FrameView& view = views[count];
    outcome = reader_.next(view);
    if (outcome != ReadOutcome::frame) break;
    if (view.position < skip_before_) [[unlikely]]
      continue;
    bytes += view.body_size;
    ++count;
  }
  // Also when all it found was to be skipped: that room may be given back as well.
  unreleased_ = reader_.at().first != released_;
  if (count != 0) count_messages(count, bytes);
  return outcome;
}

Result<size_t> Consumer::read_lossy(std::span<FrameView> views) {
  if (gap_pending_.count != 0) {
    const Gap pending = std::exchange(gap_pending_, {});
    note_gap(pending.first, pending.count, false);
  }
  size_t count = 0;
  const ReadOutcome outcome = read_copies(views, count);
  if (outcome == ReadOutcome::corrupt && count == 0) return corrupt_fault();
  sealed_ = outcome == ReadOutcome::sealed;
  return count;
}

ReadOutcome Consumer::read_copies(std::span<FrameView> views, size_t& count) {
  const uint64_t frame_max = reader_.ring().units_max * unit_size;
  ReadOutcome outcome = ReadOutcome::frame;
  uint64_t used = 0, bytes = 0;
  while (count < views.size() && used + frame_max <= copies_.size()) {
    outcome = reader_.next_copy(views[count], copies_.data() + used);
    if (outcome == ReadOutcome::lapped) {
      const uint64_t lost = reader_.take_lost();
      note_gap(reader_.at().second - lost, lost, count != 0);  // fillers before it were read
      if (count != 0) break;  // the gap belongs between this run and the next
      continue;
    }
    if (outcome != ReadOutcome::frame) break;
    bytes += views[count].body_size;
    used += round_up(views[count].body_size, 16);
    ++count;
  }
  if (count != 0) count_messages(count, bytes);
  mine_->shown.store(reader_.at(), std::memory_order_relaxed);  // relaxed: for people
  return outcome;
}

void Consumer::note_gap(uint64_t first, uint64_t count, bool behind_this_run) {
  Gap& gap = behind_this_run ? gap_pending_ : gap_;
  if (gap.count == 0) gap.first = first;
  gap.count += count;
  if (behind_this_run) return;  // counted when it moves in front of a run
  lost_ += count;
  mine_->lost.store(lost_, std::memory_order_relaxed);  // relaxed: for people
}

void Consumer::count_messages(size_t messages, uint64_t bytes) {
  mine_->messages.store(messages_ += messages, std::memory_order_relaxed);  // relaxed: for people
  mine_->bytes.store(bytes_ += bytes, std::memory_order_relaxed);           // relaxed: for people
}

Status Consumer::release() {
  if (!here()) [[unlikely]]
    LL_TRY_STATUS(rebind());
  publish(reader_.at());
  return ok();
}

void Consumer::publish(Pair at) {
  unreleased_ = false;
  released_ = at.first;
  if (options_.lossy) {
    mine_->shown.store(at, std::memory_order_relaxed);  // relaxed: for people
    return;
  }
  mine_->cursor.store(at, std::memory_order_release);  // release [cursor]
  ring_if_parked(*bell_);
}

Result<bool> Consumer::wait(uint64_t deadline_ns) {
  LL_TRY_STATUS(ensure_here());
  if (reader_.ready()) return true;
  // A run still held would keep producers, and so ourselves, waiting.
  if (unreleased_) LL_TRY_STATUS(release());
  Waiter waiter(options_.wait, deadline_ns);
  for (;;) {
    if (reader_.ready() || sealed_) return true;
    if (options_.lossy && !reader_.ring().still_inside(reader_.at().first)) return true;
    if (waiter.time_to_look_around()) LL_TRY_STATUS(clean_up_ahead());
    if (waiter.expired()) return reader_.ready();
    if (!waiter.spin()) sleep(waiter);
  }
}

void Consumer::sleep(Waiter& waiter) {
  BellLine& bell = attached_->ring().control->data_bell;
  if (ghost_) {  // nobody can ring for one who may not say that it sleeps
    ::usleep(ghost_poll_us);
    return;
  }
  mine_->waiting.store(1, std::memory_order_relaxed);  // relaxed: for people
  const uint32_t ticket = prepare_to_park(bell, 1u << (slot_ & 31));
  if (!reader_.ready()) {
    uint32_t owner_slot = 0;
    const SeatId owner =
        attached_->janitor().owner_of_open(reader_.at().first, owner_slot) & ~repairing_bit;
    waiter.sleep(bell, ticket, attached_->roster(), owner);
  }
  mine_->waiting.store(0, std::memory_order_relaxed);  // relaxed: for people
}

// Whatever holds our next frame open: a dead producer is repaired, a dead sealer's work finished.
Status Consumer::clean_up_ahead() {
  if (ghost_) return ok();
  Janitor janitor = attached_->janitor();
  uint32_t owner_slot = 0;
  const Pair at = reader_.at();
  const SeatId owner = janitor.owner_of_open(at.first, owner_slot);
  if (owner != nobody) {
    if (janitor.clean_producer(owner_slot) == Cleaned::broken) return corrupt_fault();
    return ok();
  }
  const uint64_t side =
      reader_.ring().side(at.first).load(std::memory_order_acquire);  // acquire [claim]
  const bool seal_in_making = reader_.ring().side_lap(side) == reader_.ring().lap(at.first) &&
                              Ring::side_owner(side) == seal_owner && !reader_.ready();
  if (seal_in_making) {
    const auto next = attached_->successor();  // finishes it; read() follows when it gets there
    if (!next && next.fault().code() != FaultCode::closed) return next.fault();
  }
  return ok();
}

Status Consumer::rebind() {
  if (mine_ == nullptr) return Fault(FaultCode::closed, "this consumer was closed");
  if (fork_generation_ != fork_generation()) {
    return Fault(FaultCode::forked, "this consumer of station \"" + attached_->name() +
                                        "\" belongs to the parent process; open one of its own "
                                        "after fork");
  }
  if (ghost_) {
    thread_key_ = thread_key();
    return ok();
  }
  LL_TRY(seat, attached_->my_seat());
  uint64_t expected = seat_;
  if (!mine_->owner.compare_exchange(expected, seat, std::memory_order_acq_rel,  // acq_rel [slot]
                                     std::memory_order_relaxed)) {  // relaxed: lost to a reaper
    return Fault(FaultCode::fenced, "the thread that used this consumer of station \"" +
                                        attached_->name() +
                                        "\" ended, and its place was given away; open a new one");
  }
  seat_ = seat;
  thread_key_ = thread_key();
  return ok();
}

// Join the successor first, then leave: its gate holds the beginning for us until we did. A fault
// leaves us where we are, holding that gate; the next call tries again.
Status Consumer::follow(From from) {
  LL_TRY(next, attached_->successor());
  const bool was_reading = sealed_;
  const uint64_t expected = reader_.at().second + 1;  // behind the seal frame
  Consumer there;
  there.options_ = options_;
  LL_TRY_STATUS(
      there.bind(std::move(next), from, was_reading ? Arrival::following : Arrival::fresh));
  there.gap_ = gap_;
  there.gap_pending_ = gap_pending_;
  there.messages_ += messages_;
  there.bytes_ += bytes_;
  there.lost_ += lost_;
  *this = std::move(there);
  if (!options_.lossy) (void)attached_->lift_gate();
  if (was_reading && reader_.at().second > expected) {
    note_gap(expected, reader_.at().second - expected, false);
  }
  return ok();
}

Fault Consumer::corrupt_fault() const {
  return {FaultCode::corrupted, "the ring of station \"" + attached_->name() +
                                    "\" is damaged at position " +
                                    std::to_string(reader_.at().first) + " (sequence " +
                                    std::to_string(reader_.at().second) + ")"};
}

}  // namespace loopline::shm
