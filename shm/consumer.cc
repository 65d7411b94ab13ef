// Consumer: reading runs, publishing the cursor, sleeping, rebinding and following.
#include "consumer.h"

#include <algorithm>
#include <utility>

#include "base/clock.h"
#include "base/units.h"
#include "bell.h"
#include "seal.h"
#include "window.h"

namespace loopline::shm {

namespace {

// A lossy run's copies: room for one frame of the largest size, and for many small ones.
constexpr uint64_t copies_min = 256u << 10;
// Messages that one read passes over by copies.
constexpr size_t passed_max = 4096;
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
  const bool may_lose = options_.lossy || attached->header().when_full == WhenFull::drop_oldest ||
                        attached->header().storage == Storage::file;
  if (attached->mapping().access() == Access::look && !may_lose) {
    return Fault(FaultCode::no_permission,
                 "station \"" + attached->name() +
                     "\" may only be read: a consumer that must not miss "
                     "anything needs write permission to say how far it is");
  }
  thread_key_ = thread_key();
  fork_generation_ = fork_generation();
  attached_ = std::move(attached);
  options_.lossy = may_lose;
  may_idle_ = !may_lose;
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
  evictable_ = !options_.lossy && attached_->header().evict_after_ns != 0;
  released_ = start;
  const bool too_late = !options_.lossy && arrival == Arrival::fresh;
  if (too_late && seal_state(ring) != seal_open) return follow(from);
  bell_ = &ring.control->space_bell;
  sealed_ = false;
  reader_ = Reader(ring, start);
  LL_TRY_STATUS(choose_start(from, start));
  if (passing_ && !options_.lossy) pass_over_older();
  return publish(reader_.at());
}

Status Consumer::choose_start(From from, Pair oldest) {
  pass_over_ = {};
  switch (from.kind()) {
    case From::Kind::earliest:
      break;
    case From::Kind::latest: {
      // No leap to the hint for one who gates: frames before it may still be open, and a cursor
      // behind them would let the window pass over writers at work (R2). What is committed is
      // passed over, now and later.
      const Pair hint =
          reader_.ring().control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
      if (!options_.lossy) pass_over_.position = hint.first;
      if (options_.lossy && hint.first > oldest.first) reader_.restart(hint);
      break;
    }
    case From::Kind::sequence:
      pass_over_.sequence = from.value();
      if (from.value() != 0 && from.value() < oldest.second) {
        note_gap({from.value(), oldest.second - from.value()}, false);
      }
      break;
    case From::Kind::time:
      if (attached_->header().timestamp == TimestampKind::off) {
        return Fault(FaultCode::unsupported, "station \"" + attached_->name() +
                                                 "\" keeps no time stamps, so nothing can be read "
                                                 "from a time; name a sequence instead");
      }
      pass_over_.timestamp = from.value();
      break;
    case From::Kind::last: {
      const uint64_t end = newest().second;
      pass_over_.sequence = end - std::min(end, from.value());
      break;
    }
  }
  passing_ = !pass_over_.is_nothing();
  return ok();
}

// Behind the newest committed frame; for one who does not gate, and may not walk, near it.
Pair Consumer::newest() const {
  if (options_.lossy) {
    return reader_.ring().control->hint.pair.load(std::memory_order_acquire);  // acquire [hint]
  }
  FrameView view;
  Reader ahead = reader_;
  while (ahead.next(view) == ReadOutcome::frame) {
  }
  return ahead.at();
}

void Consumer::pass_over_older() {
  FrameView view;
  for (Reader ahead = reader_; ahead.next(view) == ReadOutcome::frame; reader_ = ahead) {
    if (!passes_over(view)) return;
  }
}

// Whether this message is before the first that is ours; the first ends the question.
bool Consumer::passes_over(const FrameView& view) {
  passing_ = pass_over_.holds(view);
  return passing_;
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
  may_idle_ = other.may_idle_;
  unreleased_ = other.unreleased_;
  released_ = other.released_;
  evictable_ = other.evictable_;
  sealed_ = other.sealed_;
  passing_ = other.passing_;
  pass_over_ = other.pass_over_;
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
  bell_file_ = std::move(other.bell_file_);
  bell_is_old_ = other.bell_is_old_;
  mark_ = other.mark_;
  armed_at_ = other.armed_at_;
  return *this;
}

Consumer::~Consumer() { close(); }

void Consumer::close() {
  if (mine_ == nullptr || ghost_ || fork_generation_ != fork_generation()) return;
  if (bell_file_) take_down_bell();
  leave(attached_->ring(), slot_, seat_);  // false: reaped already, nothing is left of us
  mine_ = nullptr;
}

Result<size_t> Consumer::read(std::span<FrameView> views) {
  const OneThread::Use use(one_thread_);
  if (!here()) [[unlikely]]
    LL_TRY_STATUS(rebind());
  if (unreleased_) LL_TRY_STATUS(publish(reader_.at()));
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
  if (is_evicted()) [[unlikely]]
    return evicted_fault();
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
    if (passing_ && passes_over(view)) [[unlikely]]
      continue;
    bytes += view.body_size;
    ++count;
  }
  // Also when all it found was to be skipped: that room may be given back as well.
  unreleased_ = reader_.at().first != released_.first;
  if (count != 0) count_messages(count, bytes);
  return outcome;
}

Result<size_t> Consumer::read_lossy(std::span<FrameView> views) {
  if (gap_pending_.count != 0) {
    const Gap pending = std::exchange(gap_pending_, {});
    note_gap(pending, false);
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
  size_t passed = 0;
  while (count < views.size() && used + frame_max <= copies_.size()) {
    outcome = reader_.next_copy(views[count], copies_.data() + used);
    if (outcome == ReadOutcome::lapped) {
      note_lapped(count != 0);
      if (count != 0) break;  // the gap belongs between this run and the next
      continue;
    }
    if (outcome != ReadOutcome::frame) break;
    if (passing_ && passes_over(views[count])) {
      if (++passed == passed_max) break;  // producers may be as fast as we are
      continue;
    }
    bytes += views[count].body_size;
    used += round_up(views[count].body_size, 16);
    ++count;
  }
  if (count != 0) count_messages(count, bytes);
  mine_->shown.store(reader_.at(), std::memory_order_relaxed);  // relaxed: for people
  return outcome;
}

// What the window took from us; on the way to our first message only what we asked for counts.
void Consumer::note_lapped(bool behind_this_run) {
  const uint64_t end = reader_.at().second;
  const uint64_t lost = end - reader_.take_lost();  // fillers before it were read
  uint64_t first = lost;
  if (passing_) first = pass_over_.sequence == 0 ? end : std::max(first, pass_over_.sequence);
  const uint64_t position = first == lost ? reader_.lost_from().first : 0;
  if (first < end) note_gap({first, end - first, position}, behind_this_run);
}

void Consumer::note_gap(const Gap& more, bool behind_this_run) {
  Gap& gap = behind_this_run ? gap_pending_ : gap_;
  const uint64_t count = gap.count + more.count;
  if (gap.count == 0) gap = more;
  gap.count = count;
  if (behind_this_run) return;  // counted when it moves in front of a run
  lost_ += more.count;
  mine_->lost.store(lost_, std::memory_order_relaxed);  // relaxed: for people
}

void Consumer::count_messages(size_t messages, uint64_t bytes) {
  mine_->messages.store(messages_ += messages, std::memory_order_relaxed);  // relaxed: for people
  mine_->bytes.store(bytes_ += bytes, std::memory_order_relaxed);           // relaxed: for people
}

Status Consumer::release() {
  const OneThread::Use use(one_thread_);
  if (!here()) [[unlikely]]
    LL_TRY_STATUS(rebind());
  return publish(reader_.at());
}

Status Consumer::publish(Pair at) {
  if (evictable_) [[unlikely]] {
    if (!move_cursor(*mine_, released_, at)) return evicted_fault();
  }
  unreleased_ = false;
  released_ = at;
  if (options_.lossy) {
    mine_->shown.store(at, std::memory_order_relaxed);  // relaxed: for people
    return ok();
  }
  if (!evictable_) mine_->cursor.store(at, std::memory_order_release);  // release [cursor]
  ring_if_parked(*bell_);
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
  const Pair expected{reader_.at().first + unit_size, reader_.at().second + 1};  // behind the seal
  Consumer there;
  there.options_ = options_;
  LL_TRY_STATUS(
      there.bind(std::move(next), from, was_reading ? Arrival::following : Arrival::fresh));
  if (was_reading) {  // positions of another ring say nothing here
    there.passing_ = passing_;
    there.pass_over_ = {0, pass_over_.sequence, pass_over_.timestamp};
  }
  there.gap_ = gap_;
  there.gap_pending_ = gap_pending_;
  there.messages_ += messages_;
  there.bytes_ += bytes_;
  there.lost_ += lost_;
  if (bell_file_) hand_on_bell(there);
  *this = std::move(there);
  if (!options_.lossy) (void)attached_->lift_gate();
  const Pair at = reader_.at();
  if (was_reading && at.second > expected.second) {
    note_gap({expected.second, at.second - expected.second, expected.first}, false);
  }
  return ok();
}

Result<bool> Consumer::resume_at(Pair at) {
  const OneThread::Use use(one_thread_);
  LL_TRY_STATUS(ensure_here());
  if (!options_.lossy) {
    return Fault(FaultCode::unsupported, "this consumer of station \"" + attached_->name() +
                                             "\" holds the ring back and misses nothing: it has "
                                             "no other place to go on from");
  }
  for (;;) {
    const auto& seal = attached_->ring().control->seal.at;
    const uint64_t end = seal.load_first(std::memory_order_acquire);  // acquire [sealed]
    if (end == 0 || at.first <= end) break;
    sealed_ = false;  // we do not come from its end: what is between is not missed
    LL_TRY_STATUS(follow(From::earliest));
  }
  const Ring& ring = attached_->ring();
  const bool is_here = at.first >= ring.window_start().first && at.first <= ring.limit_now();
  if (!is_here || at.first % unit_size != 0) return false;
  reader_.restart(at);
  static_cast<void>(reader_.take_lost());
  gap_ = gap_pending_ = {};
  sealed_ = false;
  pass_over_ = {0, pass_over_.sequence, 0};
  passing_ = !pass_over_.is_nothing();
  LL_TRY_STATUS(publish(at));
  return true;
}

Fault Consumer::evicted_fault() const {
  return {FaultCode::fenced,
          "this consumer of station \"" + attached_->name() + "\" held a full ring for " +
              format_duration(attached_->header().evict_after_ns) +
              " (evict-after) and was detached: messages from sequence " +
              std::to_string(released_.second) +
              " on may be overwritten, those it was handed since included; open a new one"};
}

Fault Consumer::corrupt_fault() const {
  return {FaultCode::corrupted, "the ring of station \"" + attached_->name() +
                                    "\" is damaged at position " +
                                    std::to_string(reader_.at().first) + " (sequence " +
                                    std::to_string(reader_.at().second) + ")"};
}

}  // namespace loopline::shm
