// CatchUp: from the log to the ring.
#include "catch_up.h"

#include <algorithm>
#include <utility>

#include "io/log/paths.h"
#include "io/log/posix_disk.h"
#include "shm/flush_cursor.h"

namespace loopline {
namespace {

io::LogPlace place_of(Pair pair) { return {pair.first, pair.second}; }

bool is_absent(const Fault& fault) { return fault.code() == FaultCode::not_found; }

}  // namespace

// False: there is none yet.
Result<bool> CatchUp::open_log() {
  if (log_) return true;
  auto log = io::LogReader::open(io::posix_disk(), io::log_folder(data_, name_, partition_), id_);
  if (!log && is_absent(log.fault())) return false;
  if (!log) return log.fault();
  log_ = std::move(*log);
  return true;
}

// The watermark of the oldest ring that is not wholly on disk: the newest ring always is one.
Result<io::LogPlace> CatchUp::durable() {
  for (;;) {
    if (flushing_) {
      const Pair durable = shm::durable_of(flushing_->ring());
      if (durable.first != shm::no_cursor.first) return place_of(durable);
    }
    auto ring = shm::oldest_not_on_disk(directory_, name_, partition_, shm::Access::look);
    if (!ring && is_absent(ring.fault())) {
      return Fault(FaultCode::closed, "station \"" + name_.text() + "\" was removed");
    }
    if (!ring) return ring.fault();
    flushing_ = std::move(*ring);
  }
}

Result<bool> CatchUp::begin_behind(const shm::Gap& gap) {
  LL_TRY(found, open_log());
  if (!found) {
    gap_ = gap;
    return false;
  }
  if (gap.position != 0) {
    log_->seek_place({gap.position, gap.first});
  } else {
    LL_TRY_STATUS(log_->seek(gap.first));
  }
  sequence_min_ = gap.first;
  frames_ = {};
  frame_at_ = log_->at();
  active_ = true;
  return true;
}

Result<std::optional<io::LogPlace>> CatchUp::kept_from() {
  LL_TRY(found, open_log());
  return found ? std::optional(log_->begin()) : std::nullopt;
}

Status CatchUp::begin(From from, shm::Consumer& ring) {
  if (from.kind() == From::Kind::latest) return ok();
  LL_TRY(found, open_log());
  const uint64_t ring_first = ring.attached()->ring().window_start().second;
  if (!found || log_->begin().sequence >= ring_first) return ok();
  uint64_t sequence = 0;
  if (from.kind() == From::Kind::sequence) sequence = from.value();
  if (sequence >= ring_first) return ok();
  if (from.kind() == From::Kind::time) {
    LL_TRY_STATUS(log_->seek_time(from.value()));
    time_min_ = from.value();
  } else {
    LL_TRY_STATUS(log_->seek(sequence));
    sequence_min_ = sequence;
  }
  frame_at_ = log_->at();
  const bool is_too_old =
      from.kind() == From::Kind::sequence && sequence != 0 && sequence < log_->begin().sequence;
  if (is_too_old) gap_ = {sequence, log_->begin().sequence - sequence, 0};
  active_ = true;
  return ok();
}

bool CatchUp::passes_over(const shm::FrameView& view) {
  if (view.sequence < sequence_min_) return true;
  if (view.timestamp < time_min_) return true;
  time_min_ = 0;
  return false;
}

// Messages of the batch at hand; fillers and seals are passed over.
size_t CatchUp::take_frames(std::span<shm::FrameView> views) {
  size_t count = 0;
  while (count < views.size() && !frames_.empty()) {
    const auto frame = io::read_frame(frames_, frame_at_);
    LL_CHECK(frame.has_value());  // the batch was checked when it was read
    frames_ = frames_.subspan(frame->bytes);
    frame_at_ = {frame_at_.position + frame->bytes, frame_at_.sequence + 1};
    shm::FrameView view;
    view.position = frame->at.position;
    view.sequence = frame->at.sequence;
    view.timestamp = frame->timestamp;
    view.body = frame->body;
    view.body_size = shm::meta_body(frame->meta);
    view.type = shm::meta_type(frame->meta);
    view.flags = shm::meta_flags(frame->meta);
    const bool is_message =
        (frame->word & shm::word_filler) == 0 && view.type == shm::FrameType::message;
    if (is_message && !passes_over(view)) views[count++] = view;
  }
  return count;
}

// Where the ring has the next message, and will for a while: at its newer half, or when the log has
// no more.
Result<bool> CatchUp::go_back(shm::Consumer& ring, io::LogPlace durable) {
  const uint64_t near = ring.attached()->ring().capacity / 2;
  if (frame_at_.position + near < durable.position) return false;
  LL_TRY(is_there, ring.resume_at({frame_at_.position, frame_at_.sequence}));
  if (is_there) active_ = false;
  return is_there;
}

Result<size_t> CatchUp::read(std::span<shm::FrameView> views, shm::Consumer& ring) {
  for (;;) {
    const size_t count = take_frames(views);
    if (count != 0) return count;
    LL_TRY(upto, durable());
    LL_TRY(is_back, go_back(ring, upto));
    if (is_back) return size_t{0};
    LL_TRY(step, log_->next(upto));
    switch (step.kind) {
      case io::LogReader::Step::Kind::end:
      case io::LogReader::Step::Kind::later:
        return size_t{0};
      case io::LogReader::Step::Kind::gap:
        if (gap_.count == 0) gap_.first = step.gap.from.sequence;
        gap_.count = step.gap.to.sequence - gap_.first;
        frame_at_ = step.gap.to;
        break;
      case io::LogReader::Step::Kind::batch:
        // It may begin before where we stand: what was handed out, or told missing, stays so.
        sequence_min_ = std::max(sequence_min_, frame_at_.sequence);
        frames_ = step.frames;
        frame_at_ = step.record.start;
        break;
    }
  }
}

From sequence_for_last(From from, const shm::Attached& newest) {
  if (from.kind() != From::Kind::last) return from;
  const uint64_t end = shm::frontier_of(newest.ring()).second;
  return From::sequence(end - std::min(end, from.value()));
}

Result<std::shared_ptr<shm::Attached>> first_not_purged(
    std::shared_ptr<shm::Attached> ring, const std::shared_ptr<shm::Attached>& newest,
    const std::optional<io::LogPlace>& kept_from) {
  while (kept_from && ring->header().generation < newest->header().generation) {
    const uint64_t seal = shm::seal_of(ring->ring()).first;
    if (seal == 0 || seal >= kept_from->position) break;
    LL_TRY(next, ring->successor());
    ring = next;
  }
  return ring;
}

}  // namespace loopline
