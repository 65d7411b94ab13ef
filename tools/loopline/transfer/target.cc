// ImportTarget: rings made to begin where the stream does, frames written with their old numbers.
#include "target.h"

#include <fmt/format.h>

#include <algorithm>

#include "io/flush_sources.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/extension.h"
#include "tools/loopline/broker.h"
#include "tools/loopline/signals.h"
#include "tools/loopline/station_disk.h"

namespace loopline::cli {
namespace {

constexpr uint64_t claim_slice_ns = 100'000'000;  // between two looks at Ctrl-C
constexpr uint64_t ledger_patience_ns = 10'000'000'000;
constexpr uint64_t fillers_in_a_row_max = 16u << 20;
constexpr uint64_t room_look_step = 256;  // messages between two looks at the ring's window

// Far enough that each number before it could have had a frame.
Result<Pair> ring_start_of(uint64_t capacity, uint64_t sequence) {
  const uint64_t frames = sequence - 1;
  if (frames <= (shm::position_max - capacity) / shm::unit_size) {
    return Pair{capacity + frames * shm::unit_size, sequence};
  }
  return Fault(FaultCode::invalid_argument,
               "a partition of the stream begins with message " + std::to_string(sequence) +
                   ", further than any ring can: number the messages from 1 with --renumber");
}

Fault interrupted_import() { return {FaultCode::closed, "interrupted"}; }

}  // namespace

// ---- making it ---------------------------------------------------------------

Status ImportTarget::check_vacant() {
  const auto ring = directory_->attach(station_.name, 0, shm::Access::look);
  const auto disk = find_on_disk(data_, station_.name, nullptr);
  if (!ring && !disk.is_there) return ok();
  std::optional<StationId> id;
  if (ring) {
    id = station_id_of(ring->header());
  } else if (disk.conf) {
    id = StationId{disk.conf->id.words[0], disk.conf->id.words[1]};
  }
  auto left = mark_->left();
  if (left && left->id && id && *left->id != *id) left.reset();
  if (left) return Fault(FaultCode::already_exists, import_text(station_.name, left));
  return Fault(FaultCode::already_exists,
               fmt::format("station \"{}\" exists: an import makes a new one; name another: "
                           "loopline station import NAME, or remove this one first: loopline "
                           "station rm {}",
                           station_.name.text(), station_.name.text()));
}

Status ImportTarget::make_station(const std::vector<uint64_t>& starts) {
  io::StationConf conf = station_.conf;
  const uint64_t capacity = conf.ring.ring.value_or(shm::RingOptions().capacity);
  std::vector<std::optional<Pair>> begins;
  for (const uint64_t start : starts) {
    LL_TRY(begin, ring_start_of(capacity, start));
    begins.push_back(start == 1 ? std::nullopt : std::optional(begin));
  }
  shm::Directory makes = *directory_;
  makes.set_start_of([begins](const shm::StationName&, uint32_t partition) {
    return Result<std::optional<Pair>>(begins[partition]);
  });
  if (station_.is_file) return io::create_file_station(makes, data_, station_.name, conf);
  LL_TRY(options, io::ring_options_of(conf, station_.name));
  options.storage = shm::Storage::memory;
  options.log_uuid = {};
  options.evict_after_ns = conf.ring.evict_after_ns.value_or(0);
  const auto made = makes.create(options);
  return made ? ok() : Status(made.fault());
}

Status ImportTarget::attach(const std::vector<uint64_t>& starts) {
  LL_TRY(roster, directory_->roster());
  for (uint32_t partition = 0; partition < starts.size(); ++partition) {
    LL_TRY(mapping, directory_->attach_partition(station_.name, partition, shm::Access::produce));
    if (partition == 0) id_ = station_id_of(mapping.header());
    Lane lane;
    lane.ring = shm::Attached::make(std::move(mapping), roster, *directory_);
    lane.start = lane.next = starts[partition];
    if (lane.ring->ring().window_start().second != lane.start) {
      is_shared_ = true;
      return Fault(FaultCode::closed, "somebody else made or filled a station of that name");
    }
    LL_TRY(producer, shm::Producer::open(lane.ring));
    lane.producer = std::make_unique<shm::Producer>(std::move(producer));
    lanes_.push_back(std::move(lane));
  }
  return ok();
}

Status ImportTarget::make(const std::vector<uint64_t>& starts) {
  LL_TRY(paths, shm::find_instance(out_.dir()));
  LL_TRY(directory, shm::Directory::open_or_create(paths));
  data_ = io::data_folder_of(paths);
  io::keep_on_disk(directory, data_);
  directory_ = std::move(directory);
  LL_TRY_STATUS(directory_->roster());
  LL_TRY(mark, ImportMark::take(paths, station_.name));
  mark_.emplace(std::move(mark));
  Status vacant = check_vacant();
  if (!vacant) {
    if (!mark_->left()) mark_->remove();  // ours, and empty
    return vacant;
  }
  LL_TRY_STATUS(mark_->write(source_, {}));
  Status made = make_station(starts);
  if (!made) {
    mark_->remove();
    return made;
  }
  is_made_ = true;
  made = attach(starts);
  if (made) made = mark_->write(source_, id_);
  if (made && station_.is_file && !has_broker(out_.dir())) made = flush_it();
  if (!made) (void)remove();
  return made;
}

// Without a broker nobody else would.
Status ImportTarget::flush_it() {
  LL_TRY(flusher, io::Flusher::start({}));
  LL_TRY(sources, io::sources_of(*directory_, data_, station_.name));
  for (const auto& source : sources) {
    const Status added = flusher->add(source);
    const bool is_flushed = !added && added.fault().code() == FaultCode::already_exists;
    if (!added && !is_flushed) return added.fault();
  }
  flusher_ = std::move(flusher);
  return ok();
}

Status ImportTarget::remove() {
  if (!is_made_) return ok();
  Status stopped = flusher_ ? flusher_->stop() : ok();  // its log is going: what it says is no news
  static_cast<void>(stopped);
  flusher_.reset();
  lanes_.clear();
  const auto ring = directory_->attach(station_.name, 0, shm::Access::look);
  const bool is_another = ring && id_ != StationId{} && station_id_of(ring->header()) != id_;
  if (is_shared_ || is_another) return ok();
  is_made_ = false;
  LL_TRY_STATUS(io::remove_station_everywhere(*directory_, data_, station_.name));
  mark_->remove();
  return ok();
}

// ---- filling it --------------------------------------------------------------

// A disk that is only behind is no news.
void ImportTarget::tell_once(const Lane& lane, const Fault& fault) {
  const bool is_flushed =
      station_.is_file && lane.ring->log_facts().state == shm::LogState::flushing;
  if (!is_told_ && !is_flushed) {
    out_.note("waiting for room: " + fault.message());
    is_told_ = true;
  }
}

// The disk is full, or failed: to wait would only leave half a station behind.
Status ImportTarget::check_log(const Lane& lane) const {
  if (!station_.is_file) return ok();
  const shm::LogFacts log = lane.ring->log_facts();
  if (log.state == shm::LogState::disk_full) {
    return Fault(FaultCode::no_space, "the disk is full: make room in " + data_);
  }
  if (log.state != shm::LogState::failed) return ok();
  return fault_from_errno(log.error, "the log of station \"" + station_.name.text() +
                                         "\" cannot be written in " + data_);
}

Result<shm::OpenFrame> ImportTarget::claim(Lane& lane, uint64_t body_bytes) {
  for (;;) {
    if (stop_requested()) return interrupted_import();
    shm::OpenFrame frame;
    const Status claimed = lane.producer->claim(body_bytes, monotonic_ns() + claim_slice_ns, frame);
    if (claimed) {
      if (frame.claim.sequence == lane.next) return frame;
      is_shared_ = true;
      LL_TRY_STATUS(lane.producer->abort(frame));
      return Fault(FaultCode::closed,
                   "somebody else publishes into station \"" + station_.name.text() +
                       "\" while it is imported: stop that, remove the station and import again");
    }
    if (claimed.fault().code() != FaultCode::timed_out) return claimed.fault();
    LL_TRY_STATUS(check_log(lane));
    tell_once(lane, claimed.fault());
  }
}

// Numbers that had no message, or whose message the stream does not have (M1).
Status ImportTarget::fill_up(Lane& lane, uint64_t sequence) {
  if (sequence - lane.next > fillers_in_a_row_max) {
    return Fault(FaultCode::invalid_argument,
                 fmt::format("messages {} to {} are not in the stream, too many numbers to leave "
                             "out: number the messages from 1 with --renumber",
                             lane.next, sequence - 1));
  }
  while (lane.next < sequence) {
    LL_TRY(frame, claim(lane, 0));
    LL_TRY_STATUS(lane.producer->abort(frame));
    ++lane.next;
  }
  return ok();
}

Status ImportTarget::put(const TransferMessage& message, uint64_t sequence) {
  Lane& lane = lanes_[message.partition];
  LL_TRY_STATUS(fill_up(lane, sequence));
  const auto body = message.body();
  auto claimed = claim(lane, body.size());
  if (!claimed && claimed.fault().code() == FaultCode::too_large) {
    return Fault(FaultCode::too_large,
                 claimed.fault().message() + "; import with a larger --max-message or --ring");
  }
  LL_TRY(frame, std::move(claimed));
  if (!body.empty()) copy_to_shared(frame.body, body.data(), body.size());
  frame.timestamp = message.timestamp_ns;
  const uint64_t end_position = frame.claim.position + frame.claim.bytes;
  const uint16_t flags = message.extension.empty() ? 0 : shm::flag_extension;
  LL_TRY_STATUS(lane.producer->commit(frame, flags));
  ++lane.next;
  lane.end_position = end_position;
  if (!message.extension.empty()) LL_TRY_STATUS(know_again(lane, message, frame));
  if (++messages_ % room_look_step == 0) LL_TRY_STATUS(check_room(lane));
  return ok();
}

// So that who publishes it once more is told that it is there.
Status ImportTarget::know_again(Lane& lane, const TransferMessage& message,
                                const shm::OpenFrame& frame) {
  const auto extension = shm::ExtensionView::parse(message.extension);
  if (!extension) return ok();
  const uint64_t window_ns = lane.ring->header().dedup_window_ns;
  const uint64_t now_ns = utc_ns();
  shm::Flight flight;
  const auto producer = extension->producer();
  if (producer && producer->epoch != 0) flight.marks.producer = producer;  // 0: one that was drawn
  const bool is_recent = message.timestamp_ns > now_ns - std::min(now_ns, window_ns);
  if (window_ns != 0 && is_recent && !extension->id().empty()) {
    flight.marks.id = shm::key_of(extension->id());
  }
  if (!flight.marks.producer && !flight.marks.id) return ok();
  const uint64_t deadline_ns = monotonic_ns() + ledger_patience_ns;
  if (!lane.recorder) {
    LL_TRY(recorder, shm::Recorder::open(lane.ring, deadline_ns));
    lane.recorder.emplace(std::move(recorder));
  }
  shm::Ledger& ledger = *lane.recorder->ledger();
  flight.generation = lane.ring->header().generation;
  flight.position = frame.claim.position;
  flight.place = {frame.claim.sequence, frame.claim.position + frame.claim.bytes};
  flight.time_ns = message.timestamp_ns != 0 ? message.timestamp_ns : now_ns;
  const shm::LockGuard guard(ledger.mutex(), ledger.lock(deadline_ns));
  if (!guard) return ledger.not_locked(guard.outcome(), lane.ring->name());
  return ledger.enter(flight);
}

// A memory station's ring keeps its newest: the first ones must still be there.
Status ImportTarget::check_room(const Lane& lane) const {
  if (station_.is_file || lane.ring->ring().window_start().second <= lane.start) return ok();
  return Fault(FaultCode::no_space,
               "a ring of " + format_size(lane.ring->header().capacity) +
                   " does not hold all messages: import with a larger --ring, or --storage file");
}

Status ImportTarget::wait_durable(Lane& lane) {
  while (lane.end_position != 0) {
    const auto durable =
        lane.producer->wait_durable(lane.end_position, monotonic_ns() + claim_slice_ns);
    if (durable && *durable) return ok();
    if (!durable && durable.fault().code() != FaultCode::timed_out) return durable.fault();
    if (stop_requested()) return interrupted_import();
    LL_TRY_STATUS(check_log(lane));
    if (!is_told_ && lane.ring->log_facts().state != shm::LogState::flushing) {
      out_.note("waiting for the disk: nobody flushes the station; start the broker: " +
                up_command(out_.dir()));
      is_told_ = true;
    }
  }
  return ok();
}

Status ImportTarget::finish() {
  for (Lane& lane : lanes_) {
    LL_TRY_STATUS(check_room(lane));
    if (station_.is_file) LL_TRY_STATUS(wait_durable(lane));
  }
  if (flusher_) LL_TRY_STATUS(flusher_->stop());
  flusher_.reset();
  mark_->remove();
  return ok();
}

}  // namespace loopline::cli
