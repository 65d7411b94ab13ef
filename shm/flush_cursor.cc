// FlushCursor: walking frames for the disk, and telling everybody how far it is.
#include "flush_cursor.h"

#include <algorithm>
#include <string>
#include <utility>

#include "armed.h"
#include "base/check.h"
#include "lock.h"
#include "seal.h"
#include "window.h"

namespace loopline::shm {

Result<std::shared_ptr<Attached>> oldest_not_on_disk(const Directory& directory,
                                                     const StationName& name, uint32_t partition,
                                                     Access access) {
  LL_TRY(roster, access == Access::look ? directory.roster_to_look() : directory.roster());
  LL_TRY(generations, directory.generations(name, partition));
  for (const uint32_t generation : generations) {
    auto mapping = directory.attach_generation(name, partition, generation, access);
    if (!mapping && mapping.fault().code() == FaultCode::not_found) continue;  // on disk since
    if (!mapping) return mapping.fault();
    auto ring = Attached::make(std::move(*mapping), roster, directory);
    const Pair durable = durable_of(ring->ring());
    if (durable.first != no_cursor.first && durable.first != 0) return ring;
  }
  return Fault(FaultCode::not_found, "partition " + std::to_string(partition) + " of station \"" +
                                         name.text() + "\" has no ring that is to go to disk");
}

Result<FlushCursor> FlushCursor::open(std::shared_ptr<Attached> attached) {
  FlushCursor cursor;
  cursor.attached_ = std::move(attached);
  const std::string station = "station \"" + cursor.attached_->name() + "\"";
  if (cursor.attached_->header().storage != Storage::file) {
    return Fault(FaultCode::unsupported, station + " is kept in memory: it has no log to flush to");
  }
  if (cursor.attached_->mapping().access() == Access::look) {
    return Fault(FaultCode::no_permission,
                 station + " was opened only to look: who flushes it writes how far the disk is");
  }
  if (!is_born(cursor.attached_->ring())) {
    return Fault(FaultCode::not_found, station + " has a next ring that nobody has begun yet");
  }
  LL_TRY_STATUS(cursor.take_over());
  // The one before us may have died inside of finish(), and perhaps nobody else comes by.
  (void)cursor.attached_->lift_gate();
  return cursor;
}

// What others may write to is believed only as far as it can be true.
Result<Pair> FlushCursor::place_to_go_on(const Attached& attached) {
  const Ring& ring = attached.ring();
  const Pair at = ring.control->durable.pair.load(std::memory_order_acquire);  // acquire [durable]
  const Pair seal = ring.control->seal.at.load(std::memory_order_acquire);     // acquire [sealed]
  if (at.first == no_cursor.first) {
    if (seal.first == 0) return corrupt_fault(attached, at);
    return Pair{seal.first + unit_size, seal.second + 1};
  }
  // The window never passes us, and we never pass the window.
  const Pair oldest = ring.window_start();
  const bool is_inside = at.first >= oldest.first && at.first - oldest.first <= ring.capacity;
  const bool is_place = at.first % unit_size == 0 && at.second >= oldest.second;
  if (!(is_inside && is_place)) return corrupt_fault(attached, at);
  return at;
}

Status FlushCursor::take_over() {
  const Ring& ring = attached_->ring();
  LL_TRY(at, place_to_go_on(*attached_));
  const Pair seal = ring.control->seal.at.load(std::memory_order_acquire);  // acquire [sealed]
  end_ = {seal.first + unit_size, seal.second + 1};
  // The one before us died between the last commit and finish(), or inside of it: there is no frame
  // behind the seal that would say so again.
  sealed_ = seal.first != 0 && at == end_;
  LL_TRY(seat, attached_->my_seat());
  seat_ = seat;
  fork_generation_ = fork_generation();
  durable_ = at;
  reader_ = Reader(ring, at);
  // The state first: what the dead one before us met last is not told as if we had met it.
  set_state(LogState::flushing, 0);
  ring.control->log.flusher.store(seat, std::memory_order_release);  // release [seat]
  return ok();
}

FlushCursor::FlushCursor(FlushCursor&& other) noexcept { *this = std::move(other); }

FlushCursor& FlushCursor::operator=(FlushCursor&& other) noexcept {
  if (this == &other) return *this;
  close();
  attached_ = std::move(other.attached_);
  reader_ = other.reader_;
  durable_ = other.durable_;
  sealed_ = other.sealed_;
  end_ = other.end_;
  seat_ = std::exchange(other.seat_, nobody);
  fork_generation_ = other.fork_generation_;
  return *this;
}

Fault FlushCursor::corrupt_fault(const Attached& attached, Pair at) {
  return {FaultCode::corrupted,
          "the ring of station \"" + attached.name() + "\" is damaged at position " +
              std::to_string(at.first) + " (sequence " + std::to_string(at.second) +
              "): what follows cannot go to disk; see: loopline ring dump " + attached.name()};
}

Result<FlushRun> FlushCursor::next(uint64_t bytes_max) {
  FlushRun run;
  run.at = at();
  run.sealed = sealed_;
  // All that is not durable fits into the ring, or these bytes are no chain of frames.
  const uint64_t room = durable_.first + attached_->ring().capacity - run.at.first;
  FrameView view;
  while (!run.sealed) {
    const Pair before = reader_.at();
    const ReadOutcome outcome = reader_.next_frame(view);
    if (outcome == ReadOutcome::none) break;
    const bool is_seal = outcome == ReadOutcome::sealed;
    const uint64_t bytes = frame_size(view.body_size);
    bool is_sound = is_seal ? bytes == unit_size : outcome == ReadOutcome::frame;
    is_sound = is_sound && run.bytes + bytes <= room;
    if (!is_sound && run.bytes == 0) return corrupt_fault(before);
    if (!is_sound || (run.bytes != 0 && run.bytes + bytes > bytes_max)) {
      reader_.restart(before);  // for the next run; verifying once more is always right
      break;
    }
    run.bytes += bytes;
    ++run.count;
    run.sealed = is_seal;
    if (view.timestamp == 0) continue;
    const bool is_first = run.timestamp_min == 0;
    run.timestamp_min = is_first ? view.timestamp : std::min(run.timestamp_min, view.timestamp);
    run.timestamp_max = std::max(run.timestamp_max, view.timestamp);
  }
  if (run.sealed && !sealed_) end_ = run.end();
  sealed_ = run.sealed;
  return run;
}

Status FlushCursor::skip_to(Pair upto) {
  while (at().first < upto.first) {
    LL_TRY(run, next(upto.first - at().first));
    if (run.bytes == 0) break;
  }
  return at() == upto ? ok() : Status(corrupt_fault(upto));
}

// Whether our place is that of a frame, where claims were seen behind it. The hint first: whoever
// stored it had claimed, or seen claimed, all before it (R1).
bool FlushCursor::is_claimed_behind() const {
  const Ring& ring = attached_->ring();
  const Pair at = reader_.at();
  if (frontier_of(ring).first <= at.first) return true;
  const uint64_t side = ring.side(at.first).load(std::memory_order_acquire);  // acquire [claim]
  return ring.side_lap(side) == ring.lap(at.first);
}

Status FlushCursor::clean_up_ahead() {
  if (sealed_) return ok();
  // Else nobody would ever finish it, and nothing would say why the log stands still.
  if (!is_claimed_behind()) return corrupt_fault(reader_.at());
  // Whoever lives and holds the ring lock is at it, or stopped: other rings do not wait for that.
  const Holder holder = holder_of(attached_->ring().control->lock.mutex);
  if (holder.tid != 0 && !holder.died) return ok();
  Status cleaned = attached_->clean_up_at(reader_);
  const bool is_for_later = !cleaned && cleaned.fault().code() == FaultCode::timed_out;
  if (is_for_later) return ok();
  return cleaned;
}

void FlushCursor::set_durable(Pair upto) {
  LL_CHECK(upto.first >= durable_.first);
  LL_CHECK(upto.first <= at().first);
  ControlBlock& control = *attached_->ring().control;
  const uint64_t bytes = upto.first - durable_.first;
  durable_ = upto;
  // If we die before it: the next flusher reads and writes these frames again.
  control.durable.pair.store(upto, std::memory_order_release);    // release [cursor] [durable]
  control.log.commits.fetch_add(1, std::memory_order_relaxed);    // relaxed: for people
  control.log.bytes.fetch_add(bytes, std::memory_order_relaxed);  // relaxed: for people
  // If we die before these: sleepers look again by their time-outs.
  ring_if_parked(control.space_bell);
  ring_durable_if_parked(attached_->ring());
}

void FlushCursor::set_state(LogState state, int error) {
  LogLine& log = attached_->ring().control->log;
  log.error.store(static_cast<uint64_t>(error), std::memory_order_relaxed);  // relaxed: below
  log.state.store(static_cast<uint64_t>(state), std::memory_order_release);  // release [log]
  ring_if_parked(attached_->ring().control->space_bell);
  ring_durable_if_parked(attached_->ring());
}

Result<std::shared_ptr<Attached>> FlushCursor::finish() {
  if (!sealed_ || durable_ != end_) {
    return Fault(FaultCode::invalid_argument, "the ring of station \"" + attached_->name() +
                                                  "\" is not all on disk, up to its seal");
  }
  auto next = attached_->successor();
  if (!next && next.fault().code() != FaultCode::closed) return next.fault();
  // If we die behind it: whoever the gate there holds back lifts it, as with readers.
  ControlBlock& control = *attached_->ring().control;
  control.durable.pair.store(no_cursor, std::memory_order_release);  // release [cursor] [durable]
  ring_if_parked(control.space_bell);
  ring_durable_if_parked(attached_->ring());
  if (next) (void)(*next)->lift_gate();
  return next;
}

void FlushCursor::close() {
  const SeatId seat = std::exchange(seat_, nobody);
  if (seat == nobody || fork_generation_ != fork_generation()) return;
  LogLine& log = attached_->ring().control->log;
  uint64_t expected = seat;
  // Another flusher may be at work already, where somebody broke the lock.
  if (!log.flusher.compare_exchange(expected, nobody, std::memory_order_relaxed,  // relaxed: below
                                    std::memory_order_relaxed)) {  // relaxed: not ours any more
    return;
  }
  const uint64_t state = log.state.load(std::memory_order_relaxed);  // relaxed: only we store it
  if (state == static_cast<uint64_t>(LogState::failed)) return;
  set_state(LogState::idle, 0);
}

}  // namespace loopline::shm
