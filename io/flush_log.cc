// FlushLog: runs of frames found in the ring, copied, hashed and sent; the watermark brought back.
#include "flush_log.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "fused.h"
#include "shm/base/clock.h"
#include "shm/bell.h"
#include "shm/bus_guard.h"

namespace loopline::io {
namespace {

constexpr size_t in_flight_max = 4;  // of one log: more gains nothing (LOG.md: 2-4)
// Smaller batches wait for the one in flight, and for those who answer to the one before: a commit
// costs the same up to 64 KiB, and a disk without FUA does small ones no faster side by side.
constexpr uint64_t worth_a_commit = 64u << 10;
constexpr uint64_t gather_ns_max = 20'000;
constexpr uint64_t idle_after_ns = 1'000'000'000;
constexpr uint64_t look_again_ns = 100'000'000;
constexpr uint64_t look_at_resting_ns = 10'000'000'000;
constexpr uint32_t flusher_bit = 1;  // of a bell's sleepers; others may use it too

LogPlace place_of(Pair pair) { return {pair.first, pair.second}; }
Pair pair_of(LogPlace place) { return {place.position, place.sequence}; }

// What a ring says of its log: an error number, found by the words that fault_from_errno() chose.
int error_of(const Fault& fault) {
  for (const int error : {EIO, EROFS, EFBIG, EDQUOT, ENODEV}) {
    char words[128];
    const char* const found = ::strerror_r(error, words, sizeof words);
    if (fault.message().find(found) != std::string::npos) return error;
  }
  switch (fault.code()) {
    case FaultCode::no_space:
      return ENOSPC;
    case FaultCode::no_permission:
      return EACCES;
    case FaultCode::corrupted:
      return EBADMSG;
    default:
      return EIO;
  }
}

Result<std::shared_ptr<shm::Attached>> ring_to_flush(const FlushSource& source) {
  return shm::oldest_not_on_disk(source.directory, source.name, source.partition,
                                 shm::Access::produce);
}

}  // namespace

Result<std::unique_ptr<FlushLog>> FlushLog::open(Disk& disk, Chores& chores,
                                                 const FlushSource& source, uint64_t now_ns) {
  LL_TRY(ring, ring_to_flush(source));  // no folder is made for a station that is none
  const auto look = [&]() -> Result<RingAtOpen> {
    LL_TRY(oldest, ring_to_flush(source));
    ring = std::move(oldest);
    LL_TRY(durable, shm::FlushCursor::place_to_go_on(*ring));
    return RingAtOpen{ring->header().uuid[0], place_of(durable)};
  };
  LL_TRY(log, LogWriter::open(disk, chores, source.log, look, now_ns));
  return std::unique_ptr<FlushLog>(new FlushLog(source, std::move(ring), std::move(log)));
}

FlushLog::~FlushLog() {
  const shm::BusGuard guard;
  cursor_.reset();
}

// Each access to the ring is within this, once a step: should somebody cut its file short, nothing
// that was read counts, and this log has failed; the others go on.
template <class Work>
auto FlushLog::on_ring(Work&& work) -> decltype(work()) {
  const shm::BusGuard guard;
  if constexpr (std::is_void_v<decltype(work())>) {
    work();
    if (guard.was_hit()) lose_ring();
  } else {
    auto answer = work();
    if (guard.was_hit()) lose_ring();
    return answer;
  }
}

void FlushLog::lose_ring() {
  fail(Fault(FaultCode::corrupted,
             "the ring of station \"" + source_.name.text() + "\" (" + ring_->mapping().name() +
                 ") was cut short while it was flushed: what was not on disk is lost; stop its "
                 "producers and consumers, remove that file, and start this again"));
}

// Behind the log, whose lock makes us the only flusher.
Status FlushLog::attach(uint64_t rest_after_ns) {
  rest_after_ns_ = rest_after_ns;
  const shm::BusGuard guard;  // it may have been cut short since it was opened
  LL_TRY(cursor, shm::FlushCursor::open(ring_));
  cursor_ = std::move(cursor);
  const LogPlace end = log_->durable();
  // The writer before us died between the disk and its word about it.
  while (cursor_->at().first < end.position) {
    LL_TRY(run, cursor_->next(end.position - cursor_->at().first));
    if (run.bytes == 0 || run.end().first > end.position) break;
  }
  if (guard.was_hit()) lose_ring();
  if (failed_) return *failed_;
  if (place_of(cursor_->at()) != end) {
    return Fault(FaultCode::corrupted, "the log of station \"" + source_.name.text() +
                                           "\" ends where its ring has no message");
  }
  if (cursor_->is_sealed()) sealed_end_ = end;
  publish_durable();
  return ok();
}

void FlushLog::fail(const Fault& fault) {
  if (!failed_) failed_ = fault;
  publish_state();
}

void FlushLog::publish_state() {
  shm::LogState state = shm::LogState::flushing;
  if (is_starved_ && log_->starved()) state = shm::LogState::disk_full;
  if (failed_) state = shm::LogState::failed;
  if (state == shown_) return;
  shown_ = state;
  const shm::BusGuard guard;  // it may have failed for that
  cursor_->set_state(state, failed_                             ? error_of(*failed_)
                            : state == shm::LogState::disk_full ? ENOSPC
                                                                : 0);
}

void FlushLog::publish_durable() {
  on_ring([&] {
    cursor_->set_durable(pair_of(log_->durable()));
    if (sealed_end_ && log_->durable() == *sealed_end_) go_on_in_successor();
  });
}

// All of this ring is on disk.
void FlushLog::go_on_in_successor() {
  sealed_end_.reset();
  auto next = cursor_->finish();
  if (!next) {
    is_over_ = true;
    if (next.fault().code() != FaultCode::closed) fail(next.fault());
    return;
  }
  auto cursor = shm::FlushCursor::open(*next);
  if (!cursor) return fail(cursor.fault());
  cursor_ = std::move(*cursor);
  ring_ = std::move(*next);
  log_->go_on_in_next_ring();
  if (place_of(cursor_->durable()) != log_->end()) {
    fail(Fault(FaultCode::corrupted, "the next ring of station \"" + source_.name.text() +
                                         "\" begins elsewhere than the one before ended"));
  }
}

// ---- sending ----------------------------------------------------------------

// Whether there is a run, and room for it.
bool FlushLog::find_run(uint64_t now_ns) {
  if (run_.bytes == 0) {
    if (!cursor_->ready()) return false;  // no segment is begun for nothing
    const uint64_t room = log_->room(shm::unit_size, now_ns);
    // Without room we look for a message all the same: it tells starving from having nothing to do.
    auto run = cursor_->next(std::min(std::max<uint64_t>(room, shm::unit_size), batch_bytes_max));
    if (!run) fail(run.fault());
    if (!run) return false;
    run_ = *run;
  }
  if (run_.bytes == 0) return false;
  if (run_.bytes > frame_bytes_max(segment_bytes_max)) {
    fail(Fault(FaultCode::corrupted,
               "a message of station \"" + source_.name.text() +
                   "\" fits into no segment of its log; is the ring damaged?"));
    return false;
  }
  is_starved_ = log_->room(run_.bytes, now_ns) == 0;
  return !is_starved_;
}

// False: what was there a moment ago is not there any more.
bool FlushLog::send(Storage& storage, FlushSlots& slots, uint64_t now_ns) {
  const uint32_t slot = *slots.take(this, false);
  const auto buffer = slots.bytes(slot, LogWriter::buffer_bytes(run_.bytes));
  std::byte* const frames = buffer.data() + LogWriter::frames_offset;
  const shm::BusGuard guard;
  const uint64_t hash = copy_and_hash(frames, cursor_->data(run_.at.first), run_.bytes);
  // The copy, since others may write to the ring: a batch that nobody can read would take all its
  // messages with it. Headers alone, which are in the cache by now.
  if (guard.was_hit() || !make_chain({frames, run_.bytes}, place_of(run_.at), run_.count)) {
    slots.give_back(slot);
    if (!guard.was_hit()) {
      fail(Fault(FaultCode::corrupted, "somebody wrote over messages in the ring of station \"" +
                                           source_.name.text() + "\" that were published already"));
    }
    return false;
  }
  const LogWriter::BatchFrames batch{place_of(run_.at),  run_.bytes,
                                     run_.count,         run_.timestamp_min,
                                     run_.timestamp_max, ring_->header().uuid[0]};
  storage.submit(log_->lay_out(batch, hash, buffer, slot, now_ns));
  if (run_.sealed) sealed_end_ = log_->end();
  last_bytes_ = run_.bytes;
  gathers_since_ns_ = 0;
  run_ = {};
  last_sent_ns_ = monotonic_ns();
  times_.begin(slot, last_sent_ns_);
  return true;
}

// Whether more is likely to come before the disk could begin. Who publishes in step with what is
// durable sends as much as before as soon as it knows: its first message alone would be a commit of
// its own, and all others would wait for that one too.
bool FlushLog::is_gathering() {
  if (run_.bytes != 0) return false;
  const uint64_t there = frontier() - cursor_->at().first;
  if (there == 0 || there >= worth_a_commit) return false;
  if (log_->in_flight() != 0) return true;
  if (there >= last_bytes_) return false;
  const uint64_t now = monotonic_ns();
  if (gathers_since_ns_ == 0) gathers_since_ns_ = now;
  return now - gathers_since_ns_ < gather_ns_max;
}

bool FlushLog::submit(Storage& storage, FlushSlots& slots, uint64_t now_ns) {
  bool any = false;
  if (source_.flush_interval_ns != 0 && monotonic_ns() < next_commit_ns_) return false;
  on_ring([&] {
    while (!failed_ && !is_over_ && !sealed_end_ && log_->in_flight() < in_flight_max &&
           slots.has_free() && !is_gathering() && find_run(now_ns) &&
           send(storage, slots, now_ns)) {
      any = true;
    }
  });
  if (any) next_commit_ns_ = last_sent_ns_ + source_.flush_interval_ns;
  return any;
}

bool FlushLog::completed(uint32_t slot, bool is_footer, int error) {
  if (is_footer) --footers_;
  if (!is_footer) times_.end(slot, monotonic_ns());
  const bool moved = log_->completed(slot, error);
  if (log_->failed()) fail(*log_->failed());
  if (moved) publish_durable();
  return moved;
}

// ---- beside the commits -----------------------------------------------------

void FlushLog::reload(const FlushSource& source) {
  source_.flush_interval_ns = source.flush_interval_ns;
  source_.log.segment_bytes = source.log.segment_bytes;
  source_.log.retention = source.log.retention;
  next_commit_ns_ = 0;
  next_look_ns_ = 0;
  log_->reload(source.log.segment_bytes, source.log.retention);
}

void FlushLog::look_after(Storage& storage, FlushSlots& slots, uint64_t now_ns) {
  const uint64_t now = monotonic_ns();
  next_look_ns_ = now + look_again_ns;
  const bool is_idle =
      log_->in_flight() == 0 && now - last_sent_ns_ > std::min(idle_after_ns, rest_after_ns_);
  log_->look_after(now_ns, is_idle);
  if (log_->failed()) fail(*log_->failed());
  publish_state();
  if (failed_ || !slots.has_free()) return;
  const uint32_t slot = *slots.take(this, true);
  const auto footer =
      log_->lay_out_footer(slots.bytes(slot, log_->footer_buffer_bytes()), slot, now_ns);
  if (!footer) return slots.give_back(slot);
  storage.submit(*footer);
  ++footers_;
}

bool FlushLog::prepare_to_sleep(std::vector<BellTicket>& bells) {
  const bool could_help = !failed_ && !is_over_ && !sealed_end_ && run_.bytes == 0 &&
                          log_->in_flight() < in_flight_max && monotonic_ns() >= next_commit_ns_;
  if (!could_help) return true;
  return on_ring([&] {
    // What is there goes out when a write is done, or in a moment.
    if (is_gathering()) return log_->in_flight() != 0;
    const Status cleaned = cursor_->clean_up_ahead();
    if (!cleaned) fail(cleaned.fault());
    const uint32_t ticket = shm::prepare_to_park(cursor_->bell(), flusher_bit);
    if (cursor_->ready()) return false;
    bells.push_back({&cursor_->bell(), ticket});
    return true;
  });
}

// ---- resting ----------------------------------------------------------------

bool FlushLog::lie_down(BellTicket& by) {
  by = {};
  if (is_over_ || !is_quiet() || !log_->is_settled()) return false;
  is_resting_ = failed_.has_value();
  if (is_resting_) return true;
  const bool is_idle = !sealed_end_ && run_.bytes == 0 && !is_starved_ &&
                       monotonic_ns() - last_sent_ns_ > rest_after_ns_;
  if (!is_idle) return false;
  is_resting_ = on_ring([&] {
    if (frontier() > cursor_->at().first) return false;  // somebody is writing
    by = {&cursor_->bell(), shm::prepare_to_park(cursor_->bell(), flusher_bit)};
    return !cursor_->ready();
  });
  is_resting_ = is_resting_ && !failed_;
  next_look_ns_ = monotonic_ns() + look_at_resting_ns;
  return is_resting_;
}

bool FlushLog::stirs(Storage& storage, FlushSlots& slots, uint64_t now_ns) {
  if (failed_) return false;
  if (on_ring([&] { return cursor_->ready(); }) || failed_) return true;
  if (monotonic_ns() < next_look_ns_) return false;
  look_after(storage, slots, now_ns);
  next_look_ns_ = monotonic_ns() + look_at_resting_ns;
  const Status cleaned = on_ring([&] { return cursor_->clean_up_ahead(); });
  if (!cleaned) fail(cleaned.fault());
  return is_over_ || !is_quiet();
}

uint64_t FlushLog::due_ns() const {
  const bool is_held_back = source_.flush_interval_ns != 0 && next_commit_ns_ > monotonic_ns();
  return is_held_back ? std::min(next_look_ns_, next_commit_ns_) : next_look_ns_;
}

bool FlushLog::has_reached(uint64_t position) const {
  return failed_ || is_over_ || log_->durable().position >= position;
}

uint64_t FlushLog::frontier() const {
  const shm::BusGuard guard;  // what it costs is found at the next step
  return shm::frontier_of(ring_->ring()).first;
}

Status FlushLog::close(uint64_t now_ns) {
  if (cursor_) on_ring([&] { cursor_->close(); });
  if (failed_) return *failed_;
  return log_->close(now_ns);
}

}  // namespace loopline::io
