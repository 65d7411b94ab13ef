// LogReader: finding the segment that goes on, and saying what is missing.
#include "log_reader.h"

#include <algorithm>
#include <utility>

#include "paths.h"
#include "purge_mark.h"

namespace loopline::io {
namespace {

// Each look ends with an answer, or files were moved meanwhile.
constexpr int looks_max = 8;

bool is_moved(const Fault& fault) {
  return fault.code() == FaultCode::not_found || fault.code() == FaultCode::corrupted;
}

}  // namespace

Result<LogReader> LogReader::open(Disk& disk, const std::string& log_folder,
                                  std::optional<LogId> id) {
  LogReader reader(disk, log_folder);
  reader.id_ = id;
  LL_TRY_STATUS(reader.look());
  reader.at_ = reader.begin_;
  return reader;
}

// ---- which segments there are -----------------------------------------------

// False: it was renamed or dropped since it was listed.
Result<bool> LogReader::look_at(const std::string& file, std::vector<Known>& found,
                                uint64_t first_number) const {
  const auto name = parse_segment_name(file);
  if (!name || name->number < first_number) return true;
  Known known{file, name->number, name->start.value_or(LogPlace{})};
  if (!name->start) {
    // Begun a moment ago, or not yet.
    auto segment = SegmentReader::open(*disk_, folder_ + "/" + file);
    if (!segment && is_moved(segment.fault())) {
      return segment.fault().code() != FaultCode::not_found;
    }
    if (!segment) return segment.fault();
    // A spare that was another log's, and is not begun yet.
    if (!is_ours(segment->header()) || segment->header().number != name->number) return true;
    known.start = segment->header().start;
  }
  found.push_back(std::move(known));
  return true;
}

// Whether it saw all: a file that is renamed meanwhile may be listed by neither name.
Result<bool> LogReader::look() {
  LL_TRY(files, disk_->list(folder_));
  auto manifest = load_manifest(*disk_, folder_);
  if (!manifest && manifest.fault().code() != FaultCode::not_found) return manifest.fault();
  const bool is_known = manifest && manifest->manifest;
  if (is_known && !id_) id_ = manifest->manifest->log;
  if (is_known) cut_ = {manifest->manifest->epoch, manifest->manifest->durable};
  std::vector<Known> found;
  bool saw_all = true;
  for (const std::string& file : files) {
    LL_TRY(is_there, look_at(file, found, is_known ? manifest->manifest->first_number : 1));
    saw_all = saw_all && is_there;
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Known& a, const Known& b) { return a.number < b.number; });
  // F2: where positions overlap, the higher number is right.
  segments_.clear();
  for (auto& known : found) {
    const auto is_overridden = [&](const Known& older) {
      return older.start.position >= known.start.position;
    };
    segments_.erase(std::remove_if(segments_.begin(), segments_.end(), is_overridden),
                    segments_.end());
    segments_.push_back(std::move(known));
  }
  begin_ = is_known            ? manifest->manifest->first
           : segments_.empty() ? LogPlace{shm::unit_size, 1}
                               : segments_.front().start;
  LL_TRY(purged, load_purge_mark(*disk_, folder_, begin_));
  const bool is_purged = purged.mark && (!id_ || purged.mark->log == *id_);
  if (is_purged) id_ = purged.mark->log;
  if (is_purged) begin_ = purged.mark->place;
  listed_ = std::move(files);
  LL_TRY(is_still, is_as_listed());
  return saw_all && is_still;
}

Result<bool> LogReader::is_as_listed() const {
  LL_TRY(files, disk_->list(folder_));
  return files == listed_;
}

void LogReader::leave() {
  scan_.reset();
  sealed_end_.reset();
  segment_.reset();
}

Result<bool> LogReader::open_segment(size_t index) {
  leave();
  current_ = index;
  auto segment = SegmentReader::open(*disk_, folder_ + "/" + segments_[index].file);
  if (!segment && is_moved(segment.fault())) return false;
  if (!segment) return segment.fault();
  const SegmentHeader& header = segment->header();
  const Known& known = segments_[index];
  if (!is_ours(header) || header.number != known.number || header.start != known.start) {
    return false;
  }
  id_ = header.log;
  std::string no_matter;
  LL_TRY(sealed, segment->read_index(no_matter));
  if (sealed) sealed_end_ = sealed->footer.end;
  segment_ = std::make_unique<SegmentReader>(std::move(*segment));
  segment_->read_in_small_pieces();
  scan_.emplace(*segment_, batches_offset, BatchScan::beginning(header), cut_);
  return true;
}

std::optional<LogPlace> LogReader::bound() const {
  if (current_ + 1 >= segments_.size()) return {};
  return segments_[current_ + 1].start;
}

// ---- going to a place -------------------------------------------------------

// Forward to the batch that holds the message, by the index and then by records alone.
Status LogReader::skip_in_segment(uint64_t sequence) {
  std::string why;
  LL_TRY(index, segment_->read_index(why));
  if (index) {
    const auto& entries = index->entries;
    const auto behind = std::partition_point(
        entries.begin(), entries.end(),
        [&](const IndexEntry& entry) { return entry.start.sequence <= sequence; });
    if (behind != entries.begin()) {
      const IndexEntry& entry = *std::prev(behind);
      scan_.emplace(*segment_, entry.offset, Expected{entry.start, {}, 0, entry.time_mark}, cut_);
    }
  }
  for (;;) {
    const BatchScan before = *scan_;
    LL_TRY(record, scan_->next_record());
    const bool is_passed = record && record->start.sequence + record->count <= sequence;
    if (is_passed) continue;
    if (!record && before.expected().at.sequence < sequence) {  // damaged: behind it, if it can be
      LogPlace durable;
      *scan_ = before;
      LL_TRY(leapt, scan_->leap(before.expected().at.position + 1, durable));
      if (leapt && scan_->expected().at.sequence <= sequence) continue;
    }
    scan_ = before;
    return ok();
  }
}

// Opens the segment that at_ stands in; false: there is none.
Result<bool> LogReader::enter() {
  const auto behind = std::partition_point(
      segments_.begin(), segments_.end(),
      [&](const Known& known) { return known.start.position <= at_.position; });
  if (behind == segments_.begin()) return false;
  LL_TRY(opened, open_segment(static_cast<size_t>(behind - segments_.begin()) - 1));
  if (!opened) return false;
  if (segments_[current_].start == at_) return true;
  LL_TRY_STATUS(skip_in_segment(at_.sequence));
  return true;
}

void LogReader::seek_place(LogPlace place) {
  leave();
  at_ = place;
}

Status LogReader::seek(uint64_t sequence) {
  for (int count = 0; count < looks_max; ++count) {
    LL_TRY_STATUS(look());
    leave();
    at_ = begin_;
    if (sequence <= begin_.sequence || segments_.empty()) return ok();
    const auto behind =
        std::partition_point(segments_.begin(), segments_.end(),
                             [&](const Known& known) { return known.start.sequence <= sequence; });
    if (behind == segments_.begin()) return ok();
    LL_TRY(opened, open_segment(static_cast<size_t>(behind - segments_.begin()) - 1));
    if (!opened) continue;  // moved meanwhile
    LL_TRY_STATUS(skip_in_segment(sequence));
    at_ = scan_->expected().at;
    return ok();
  }
  return ok();  // from the beginning then: nothing is missed
}

// Time marks never fall (F4), so that the segments and their indexes can be halved.
Status LogReader::seek_time(uint64_t time_ns) {
  LL_TRY_STATUS(look());
  leave();
  at_ = begin_;
  size_t low = 0, high = segments_.size();  // the last segment that begins before that time
  while (high - low > 1) {
    const size_t middle = low + (high - low) / 2;
    LL_TRY(opened, open_segment(middle));
    const bool is_before = opened && segment_->header().time_mark < time_ns;
    (is_before ? low : high) = middle;
  }
  if (segments_.empty()) return ok();
  LL_TRY(opened, open_segment(low));
  if (!opened) return ok();
  std::string why;
  LL_TRY(index, segment_->read_index(why));
  if (index) {
    const auto& entries = index->entries;
    const auto behind =
        std::partition_point(entries.begin(), entries.end(),
                             [&](const IndexEntry& entry) { return entry.time_mark < time_ns; });
    if (behind != entries.begin()) {
      const IndexEntry& entry = *std::prev(behind);
      scan_.emplace(*segment_, entry.offset, Expected{entry.start, {}, 0, entry.time_mark}, cut_);
    }
  }
  for (;;) {
    const BatchScan before = *scan_;
    LL_TRY(record, scan_->next_record());
    if (record && record->time_mark < time_ns) continue;
    scan_ = before;
    break;
  }
  at_ = scan_->expected().at;
  return ok();
}

// ---- reading ----------------------------------------------------------------

LogReader::Step LogReader::gap_to(LogPlace to, std::string why) {
  Step step;
  step.kind = Step::Kind::gap;
  step.gap = {at_, to, std::move(why)};
  // A scan that leapt there stands right already.
  if (!scan_ || scan_->expected().at != to) leave();
  at_ = to;
  return step;
}

// The batch at at_, or the end; none: something else stands there.
Result<std::optional<LogReader::Step>> LogReader::read(LogPlace upto) {
  Step step;
  if (at_.position >= upto.position) return std::optional<Step>(std::move(step));
  if (!segment_) {
    LL_TRY(entered, enter());
    if (!entered) return std::optional<Step>();
  }
  const auto end = bound();
  if (end && at_ == *end) {
    LL_TRY(opened, open_segment(current_ + 1));
    if (!opened) return std::optional<Step>();
  }
  if (is_at_its_end()) return std::optional<Step>();
  const BatchScan before = *scan_;
  LL_TRY(batch, scan_->next());
  const LogPlace behind = scan_->expected().at;
  // One who fell out of the ring did so anywhere in a batch: it passes over what it has.
  const bool holds_it =
      batch && batch->record.start.position <= at_.position && at_.position < behind.position;
  if (!holds_it) return std::optional<Step>();
  if (behind.position > upto.position) {
    scan_ = before;
    return std::optional<Step>(std::move(step));
  }
  step.kind = Step::Kind::batch;
  step.record = batch->record;
  step.frames = batch->frames;
  at_ = behind;
  return std::optional<Step>(std::move(step));
}

// Why there is nothing at at_, after a fresh look.
Result<LogReader::Step> LogReader::explain(LogPlace upto) {
  if (begin_.position > at_.position) {
    return gap_to(begin_.position < upto.position ? begin_ : upto,
                  "dropped by retention or a purge");
  }
  std::string why = "a segment is missing";
  std::optional<LogPlace> found;
  if (segment_ && !is_at_its_end()) {
    why = "segment " + std::to_string(segments_[current_].number) + ", offset " +
          std::to_string(scan_->offset()) + ": " + scan_->why();
    LogPlace durable;
    LL_TRY(leapt, scan_->leap(at_.position + 1, durable));
    if (leapt) found = scan_->expected().at;
    if (found && sealed_end_ && found->position >= sealed_end_->position) found.reset();
  }
  const auto next = std::find_if(segments_.begin(), segments_.end(), [&](const Known& known) {
    return known.start.position > at_.position;
  });
  const bool is_sooner =
      next != segments_.end() && (!found || next->start.position < found->position);
  if (is_sooner) found = next->start;
  if (!found || found->position > upto.position) found = upto;
  return gap_to(*found, std::move(why));
}

// A gap is told only by one who saw all files at once, and found them there when it read.
Result<LogReader::Step> LogReader::next(LogPlace upto) {
  bool saw_all = false;
  for (int count = 0; count < looks_max; ++count) {
    LL_TRY(step, read(upto));
    if (step) return std::move(*step);
    if (saw_all) {
      LL_TRY(is_still, is_as_listed());
      if (is_still) return explain(upto);
    }
    leave();
    LL_TRY(is_calm, look());
    saw_all = is_calm;
  }
  Step later;
  later.kind = Step::Kind::later;
  return later;
}

}  // namespace loopline::io
