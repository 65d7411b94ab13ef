// LedgerFill: the log from its beginning to where it is durable, frame by frame.
#include "ledger_fill.h"

#include <unistd.h>

#include "log_reader.h"
#include "paths.h"
#include "posix_disk.h"
#include "shm/base/clock.h"
#include "shm/flush_cursor.h"

namespace loopline::io {
namespace {

constexpr int fill_looks_max = 1000;  // while files are moved faster than they are read
constexpr useconds_t look_us = 1000;

class Filler {
 public:
  Filler(shm::Ledger& ledger, uint64_t window_ns) : ledger_(ledger) {
    const uint64_t now_ns = utc_ns();
    since_ns_ = now_ns > window_ns ? now_ns - window_ns : 0;
    takes_ids_ = window_ns != 0;
  }

  Status take(const LogReader::Step& step) {
    std::span<const std::byte> frames = step.frames;
    LogPlace at = step.record.start;
    while (!frames.empty()) {
      const auto frame = read_frame(frames, at);
      if (!frame) return ok();  // the batch was checked when it was read
      LL_TRY_STATUS(take_frame(*frame, step.record.issued_ns));
      frames = frames.subspan(frame->bytes);
      at = {at.position + frame->bytes, at.sequence + 1};
    }
    return ok();
  }

 private:
  Status take_frame(const FrameOnDisk& frame, uint64_t issued_ns) {
    const bool is_message = (frame.word & shm::word_filler) == 0 &&
                            shm::meta_type(frame.meta) == shm::FrameType::message;
    if (!is_message || (shm::meta_flags(frame.meta) & shm::flag_extension) == 0) return ok();
    const auto extension = shm::ExtensionView::parse({frame.body, shm::meta_body(frame.meta)});
    if (!extension) return ok();
    shm::Flight flight;
    flight.time_ns = frame.timestamp != 0 ? frame.timestamp : issued_ns;
    flight.place = {frame.at.sequence, frame.at.position + frame.bytes};
    if (extension->producer() && extension->producer()->epoch != 0) {  // 0: one that was drawn
      flight.marks.producer = extension->producer();
    }
    if (takes_ids_ && !extension->id().empty() && flight.time_ns > since_ns_) {
      flight.marks.id = shm::key_of(extension->id());
    }
    return ledger_.enter(flight);
  }

  shm::Ledger& ledger_;
  uint64_t since_ns_ = 0;
  bool takes_ids_ = false;
};

// How far the log surely is on disk.
Result<LogPlace> end_of_log(const shm::Directory& directory, const shm::RingHeader& ring) {
  LL_TRY(oldest, shm::oldest_not_on_disk(directory, {ring.factory, ring.station}, ring.partition,
                                         shm::Access::look));
  const Pair durable = shm::durable_of(oldest->ring());
  if (durable.first != shm::no_cursor.first) return LogPlace{durable.first, durable.second};
  return LogPlace{};
}

}  // namespace

Status fill_ledger(const shm::Directory& directory, const std::string& data,
                   const shm::RingHeader& ring, shm::Ledger& ledger) {
  ledger.clear();
  if (ring.storage != shm::Storage::file) return ok();
  const shm::StationName name{ring.factory, ring.station};
  const LogId id = log_of_partition(LogId{{ring.log_uuid[0], ring.log_uuid[1]}}, ring.partition);
  auto log = LogReader::open(posix_disk(), log_folder(data, name, ring.partition), id);
  if (!log && log.fault().code() == FaultCode::not_found) return ok();
  if (!log) return log.fault();
  LL_TRY(end, end_of_log(directory, ring));
  LL_TRY_STATUS(log->seek(0));
  Filler filler(ledger, ring.dedup_window_ns);
  for (int looks = 0; looks < fill_looks_max;) {
    LL_TRY(step, log->next(end));
    if (step.kind == LogReader::Step::Kind::end) return ok();
    if (step.kind == LogReader::Step::Kind::batch) LL_TRY_STATUS(filler.take(step));
    if (step.kind != LogReader::Step::Kind::later) continue;
    ++looks;
    ::usleep(look_us);
  }
  return Fault(FaultCode::timed_out, "the files of the log of station \"" + name.text() +
                                         "\" come and go faster than they can be read");
}

}  // namespace loopline::io
