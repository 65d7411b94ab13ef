// LogWriter: opening a log for writing, and closing it.
//
// Steps, each of which may be the last before a power cut; the next opening begins anew:
//   1 the lock; then the ring        2 examine(): where the log ends, by reading alone
//   3 what was read is synced, with its names   (a killed writer's may be in a cache only)
//   4 the manifest, with our epoch   from here on nothing of an earlier epoch counts behind end
//   5 footers of segments that are whole
#include <algorithm>

#include "log/paths.h"
#include "log/purge_mark.h"
#include "log_writer.h"

namespace loopline::io {

Result<std::unique_ptr<LogWriter>> LogWriter::open(Disk& disk, Chores& chores,
                                                   const LogOptions& options, const RingLook& look,
                                                   uint64_t now_ns) {
  auto log = std::unique_ptr<LogWriter>(new LogWriter(disk, chores, options));
  log->self_ = std::make_shared<LogWriter*>(log.get());
  LL_TRY_STATUS(log->recover(look, now_ns));
  return log;
}

Status LogWriter::recover(const RingLook& look, uint64_t now_ns) {
  LL_TRY_STATUS(disk_.make_folder(options_.folder));
  auto lock = disk_.lock(lock_path(options_.folder));
  if (!lock && lock.fault().code() == FaultCode::already_exists) {
    return Fault(FaultCode::already_exists,
                 "station \"" + options_.name.text() + "\" is flushed by another process already");
  }
  if (!lock) return lock.fault();
  lock_ = std::move(*lock);
  LL_TRY(ring, look());
  ExamineOptions known;
  known.durable = ring.durable;
  LL_TRY(facts, examine(disk_, options_.folder, known));
  recovered_ = std::move(facts);
  LL_TRY_STATUS(check_identity());
  LL_TRY_STATUS(settle_end(ring));
  LL_TRY_STATUS(make_durable());
  manifest_ = recovered_.manifest.value_or(Manifest{});
  if (!recovered_.manifest) {
    const auto& segments = recovered_.segments;
    manifest_.first_number = segments.empty() ? recovered_.number + 1 : segments.front().number;
    manifest_.first = segments.empty() ? end_ : segments.front().start;
  }
  LL_TRY_STATUS(take_over_purge());
  manifest_.log = options_.id;
  manifest_.epoch = recovered_.epoch + 1;
  durable_ = end_;
  remember_segments();
  LL_TRY_STATUS(store_manifest_now(now_ns, false));
  LL_TRY_STATUS(reopen_last());
  std::vector<SegmentFacts> sealed;
  LL_TRY_STATUS(seal_recovered(now_ns, sealed));
  LL_TRY_STATUS(take_over_files());
  // Last: what comes back from a chore finds the log open.
  for (const SegmentFacts& segment : sealed) post_punch(segment);
  return ok();
}

// What it drops is in recovered_ already, unless the ring has messages before it: they come first.
Status LogWriter::take_over_purge() {
  if (recovered_.purged) {
    manifest_.first = *recovered_.purged;
    manifest_.first_number = std::max(manifest_.first_number, recovered_.purged_number);
    if (recovered_.segments.empty()) {
      // Nor is a number given again that was begun with, though the disk lost the beginning and all
      // that is left of it, a file, is about to go.
      manifest_.first_number = std::max(manifest_.first_number, recovered_.number + 1);
      recovered_.is_closed = false;
    }
  }
  purged_ = manifest_.first;
  LL_TRY(found, load_purge_mark(disk_, options_.folder, manifest_.first));
  if (found.mark) note_purge(*found.mark);
  return ok();
}

Status LogWriter::check_identity() const {
  if (!recovered_.log || *recovered_.log == options_.id) return ok();
  return Fault(FaultCode::corrupted, "the log in " + options_.folder +
                                         " is not that of station \"" + options_.name.text() +
                                         "\" but of another one; was the folder copied?");
}

// Where the log goes on: where it ends, unless the ring knows better.
Status LogWriter::settle_end(const RingAtOpen& ring) {
  const bool is_fresh = recovered_.end == LogPlace{};
  end_ = is_fresh ? ring.durable : recovered_.end;
  chain_ = recovered_.chain;
  time_mark_ = recovered_.time_mark;
  number_ = recovered_.number;
  if (end_ == ring.durable) return ok();
  if (end_.position < ring.durable.position) {
    recovered_.gaps.push_back({end_, ring.durable, "the disk lost what was synced"});
  } else {
    // The last ones may have been begun, and no batch came to them.
    const auto& segments = recovered_.segments;
    const auto last = std::find_if(segments.rbegin(), segments.rend(),
                                   [](const SegmentFacts& facts) { return facts.last_ring != 0; });
    const bool is_of_ring = last != segments.rend() && last->last_ring == ring.id;
    if (is_of_ring) return ok();  // its writer died before it could say so
    const bool was_known =
        recovered_.manifest && recovered_.manifest->durable.position > ring.durable.position;
    if (was_known) {
      return Fault(FaultCode::corrupted,
                   "the log of station \"" + options_.name.text() + "\" holds messages up to " +
                       std::to_string(end_.sequence - 1) + ", its ring begins at " +
                       std::to_string(ring.durable.sequence) +
                       "; was the data folder put back from a copy while the ring lived? Remove "
                       "the ring's memory, then open the station anew");
    }
  }
  end_ = ring.durable;
  chain_ = 0;
  recovered_.is_closed = false;
  return ok();
}

Status LogWriter::make_durable() {
  for (const SegmentFacts& facts : recovered_.segments) {
    if (!facts.is_scanned || facts.is_sealed) continue;
    LL_TRY(file, disk_.open(path_of(facts.file), DiskAccess::write));
    LL_TRY_STATUS(file->sync());
  }
  return disk_.sync_folder(options_.folder);
}

void LogWriter::fill_manifest(Manifest& manifest, uint64_t now_ns) const {
  manifest.segment_bytes = options_.segment_bytes;
  manifest.is_closed = 0;
  manifest.durable = durable_;
  manifest.last_number = known_.empty() ? 0 : known_.back().number;
  manifest.end_offset = open_.empty() ? 0 : open_.back().offset;
  manifest.chain = chain_;
  manifest.time_mark = time_mark_;
  manifest.written_ns = now_ns;
}

Status LogWriter::store_manifest_now(uint64_t now_ns, bool is_closed) {
  fill_manifest(manifest_, now_ns);
  manifest_.is_closed = is_closed ? 1 : 0;
  return store_manifest(disk_, options_.folder, manifest_);
}

// One that a killed writer had begun, and no batch came to: the next segment begins there again.
bool LogWriter::is_superseded(const SegmentFacts& facts) const {
  return facts.is_scanned && !facts.is_sealed && facts.batch_count == 0 && facts.start == end_ &&
         !recovered_.is_closed && recovered_.gaps.empty();
}

void LogWriter::remember_segments() {
  for (const SegmentFacts& facts : recovered_.segments) {
    if (is_superseded(facts)) {
      recovered_.dropped.push_back(facts.file);
      continue;
    }
    KnownSegment known;
    known.file = facts.file;
    known.number = facts.number;
    const auto file = disk_.open(path_of(facts.file), DiskAccess::read);
    const auto bytes = file ? (*file)->size() : Result<uint64_t>(file.fault());
    known.bytes = bytes ? *bytes : options_.segment_bytes;
    known.start = facts.start;
    known.newest_ns = facts.timestamp_max;
    known.is_named = true;  // or not: its place is in its header
    known.is_sealed = facts.is_sealed || !facts.is_scanned;
    known_.push_back(std::move(known));
  }
}

// Only a log that was closed goes on in its last segment (W4).
Status LogWriter::reopen_last() {
  if (!recovered_.is_closed || recovered_.segments.empty()) return ok();
  const SegmentFacts& facts = recovered_.segments.back();
  if (facts.is_sealed) return ok();
  LL_TRY(reader, SegmentReader::open(disk_, path_of(facts.file)));
  if (reader.header().segment_bytes > options_.segment_bytes) return ok();
  OpenSegment segment;
  LL_TRY(file, disk_.open(path_of(facts.file), DiskAccess::write));
  segment.file = std::move(file);
  segment.header = reader.header();
  segment.index = facts.index;
  segment.offset = facts.end_offset;
  segment.is_begun = true;
  SegmentFooter& footer = segment.footer;
  footer.log = options_.id;
  footer.number = facts.number;
  footer.epoch = manifest_.epoch;
  footer.end = facts.end;
  footer.end_offset = facts.end_offset;
  footer.chain = facts.chain;
  footer.time_mark = facts.time_mark;
  footer.timestamp_min = facts.timestamp_min;
  footer.timestamp_max = facts.timestamp_max;
  footer.batch_count = facts.batch_count;
  footer.ring = facts.last_ring;
  open_.push_back(std::move(segment));
  find_known(facts.number)->is_ours = true;
  return ok();
}

// What recovery walked through need not be walked again.
Status LogWriter::seal_recovered(uint64_t now_ns, std::vector<SegmentFacts>& sealed) {
  for (const SegmentFacts& facts : recovered_.segments) {
    const bool goes_on = !open_.empty() && open_.back().header.number == facts.number;
    if (!facts.is_scanned || facts.is_sealed || goes_on || facts.batch_count == 0) continue;
    // Where the ring knew of less, the rest does not count: a footer would prove that it did.
    if (facts.end.position > end_.position) continue;
    LL_TRY(reader, SegmentReader::open(disk_, path_of(facts.file)));
    const uint64_t segment_bytes = reader.header().segment_bytes;
    SegmentFooter footer{};
    footer.log = options_.id;
    footer.number = facts.number;
    footer.epoch = facts.epoch;
    footer.end_offset = facts.end_offset;
    footer.end = facts.end;
    footer.chain = facts.chain;
    footer.timestamp_min = facts.timestamp_min;
    footer.timestamp_max = facts.timestamp_max;
    footer.time_mark = facts.time_mark;
    footer.sealed_ns = now_ns;
    footer.ring = facts.last_ring;
    footer.batch_count = facts.batch_count;
    AlignedBytes blocks(footer_bytes(segment_bytes));
    write_footer(footer, facts.index, blocks.span());
    LL_TRY(file, disk_.open(path_of(facts.file), DiskAccess::write));
    LL_TRY_STATUS(file->write(footer_offset(segment_bytes), blocks.span()));
    LL_TRY_STATUS(file->sync());
    KnownSegment* const known = find_known(facts.number);
    known->is_sealed = true;
    if (known->newest_ns == 0) known->newest_ns = now_ns;
    if (recovered_.gaps.empty()) sealed.push_back(facts);
  }
  return ok();
}

// A segment that was made ready and never begun is the next one; what does not count any more goes.
Status LogWriter::take_over_files() {
  has_leftovers_ = !recovered_.unbegun.empty();
  if (!recovered_.gaps.empty()) return ok();  // somebody may want to look for what is missing
  std::vector<std::string> retired = recovered_.dropped;
  for (const std::string& file : recovered_.unbegun) {
    const auto name = parse_segment_name(file);
    // In one of a log that was not closed a killed writer's first batch may still arrive.
    const bool is_last = recovered_.is_closed && !next_ && name->number == number_;
    if (is_last) {
      LL_TRY(ready, disk_.open(path_of(file), DiskAccess::write));
      LL_TRY(bytes, ready->size());
      if (is_segment_size(bytes) && bytes <= options_.segment_bytes) {
        next_ = NextSegment{std::move(ready), name->number, bytes};
        continue;
      }
    }
    retired.push_back(file);
  }
  for (const std::string& file : recovered_.strangers) {
    if (file.ends_with(".making")) retired.push_back(file);  // ours, never finished
  }
  // Not to be used again, for the same reason.
  has_leftovers_ = !retired.empty();
  if (has_leftovers_) post_retire(std::move(retired), Retired::leftovers);
  return ok();
}

Status LogWriter::close(uint64_t now_ns) {
  if (failed_) return *failed_;
  LL_CHECK(in_flight_.empty() && end_ == durable_ && !is_writing_manifest_);
  // In a log that is closed a file that was not begun is taken for our next one: it must not be a
  // killed writer's.
  return store_manifest_now(now_ns, !has_leftovers_);
}

}  // namespace loopline::io
