// Examine: files told apart, then the walk from the last sealed segment to the end.
#include "examine.h"

#include <algorithm>
#include <utility>

#include "paths.h"
#include "purge_mark.h"

namespace loopline::io {
namespace {

constexpr uint64_t headless_look_bytes = 2u << 20;  // more than a batch has, but for huge messages

bool is_behind(LogPlace place, LogPlace other) { return place.position > other.position; }

class Examination {
 public:
  Examination(Disk& disk, const std::string& folder, const ExamineOptions& options)
      : disk_(disk), folder_(folder), options_(options) {}

  Result<LogFacts> run();

 private:
  std::string path_of(const SegmentFacts& facts) const { return folder_ + "/" + facts.file; }
  Status read_manifest();
  Status tell_apart();
  Status consider(const std::string& file, const SegmentName& name);
  Result<bool> is_begun(const SegmentFacts& facts, SegmentHeader& header);
  Status drop_copies();
  Status drop_overridden();
  Status find_beginning(size_t& first);
  Status scan_from(size_t first);
  std::string strangeness_of(const SegmentFacts& facts, const SegmentHeader& header) const;
  Status scan_segment(size_t index);
  Status walk(size_t index, SegmentReader& segment, const std::optional<Index>& sealed);
  Result<bool> mend(size_t index, BatchScan& scan, LogPlace sealed_end);
  Result<bool> bridge_to(size_t index);
  Status look_for_proof(size_t index);
  Status prove_by_records(const SegmentFacts& facts);
  void prove(LogPlace durable) {
    if (is_behind(durable, proven_)) proven_ = durable;
  }
  void note_batch(SegmentFacts& facts, const BatchRecord& record, uint64_t time_mark_before);
  void use_index(SegmentFacts& facts, const Index& index);
  void add_gap(LogPlace from, LogPlace to, std::string why);
  void end_at(size_t count);
  Status read_purge();
  void finish();

  Disk& disk_;
  const std::string& folder_;
  const ExamineOptions& options_;
  LogFacts log_;
  Expected expected_;
  Cut cut_;
  std::optional<LogPlace> purged_;  // it counts, and the manifest does not say so yet
  std::string trouble_;  // why the last scan stopped before its segment's end; empty: it did not
  LogPlace proven_;      // the furthest place that anything seen so far says was durable
  size_t proofs_from_ = ~0ul;  // segments from this one on were asked for it
};

Status Examination::read_manifest() {
  auto found = load_manifest(disk_, folder_);
  if (!found && found.fault().code() != FaultCode::not_found) return found.fault();
  if (!found) return ok();
  log_.manifest = found->manifest;
  if (found->is_damaged) {
    log_.notes.push_back(std::string(found->manifest ? "one of the two blocks" : "both blocks") +
                         " of the manifest cannot be used: " + found->why);
  }
  if (!log_.manifest) return ok();
  log_.epoch = log_.manifest->epoch;
  log_.log = log_.manifest->log;
  // A new segment with a smaller number would count as dropped.
  log_.number = std::max(log_.manifest->first_number, uint64_t{1}) - 1;
  prove(log_.manifest->durable);
  cut_ = {log_.manifest->epoch, log_.manifest->durable};
  return ok();
}

// ---- which files count ------------------------------------------------------

// Whether the file holds the segment that its name says, of this log.
Result<bool> Examination::is_begun(const SegmentFacts& facts, SegmentHeader& header) {
  auto segment = SegmentReader::open(disk_, path_of(facts));
  const bool is_unreadable = !segment && segment.fault().code() != FaultCode::corrupted &&
                             segment.fault().code() != FaultCode::version_mismatch;
  if (is_unreadable) return segment.fault();
  if (!segment) return false;
  header = segment->header();
  if (log_.log && header.log != *log_.log) return false;
  if (header.number != facts.number) return false;
  log_.epoch = std::max(log_.epoch, header.epoch);
  return true;
}

Status Examination::consider(const std::string& file, const SegmentName& name) {
  SegmentFacts facts;
  facts.file = file;
  facts.number = name.number;
  log_.number = std::max(log_.number, name.number);
  if (log_.manifest && name.number < log_.manifest->first_number) {
    log_.dropped.push_back(file);
    return ok();
  }
  if (name.start) {
    facts.start = *name.start;
  } else {
    SegmentHeader header{};
    LL_TRY(begun, is_begun(facts, header));
    if (!begun) {
      log_.unbegun.push_back(file);
      return prove_by_records(facts);
    }
    facts.start = header.start;
  }
  log_.segments.push_back(std::move(facts));
  return ok();
}

Status Examination::tell_apart() {
  LL_TRY(files, disk_.list(folder_));
  for (const std::string& file : files) {
    const bool is_known =
        file == "manifest" || file == "lock" || file == "purged" || file == "purged.making";
    if (is_known) continue;
    const auto name = parse_segment_name(file);
    if (name) {
      LL_TRY_STATUS(consider(file, *name));
    } else {
      log_.strangers.push_back(file);
    }
  }
  std::stable_sort(
      log_.segments.begin(), log_.segments.end(),
      [](const SegmentFacts& a, const SegmentFacts& b) { return a.number < b.number; });
  LL_TRY_STATUS(drop_copies());
  return drop_overridden();
}

// Of two files for one segment the one that holds it counts.
Status Examination::drop_copies() {
  auto& all = log_.segments;
  for (size_t index = 0; index + 1 < all.size();) {
    if (all[index].number != all[index + 1].number) {
      ++index;
      continue;
    }
    SegmentHeader header{};
    LL_TRY(begun, is_begun(all[index], header));
    const bool is_first_right = begun && header.start == all[index].start;
    const size_t copy = is_first_right ? index + 1 : index;
    log_.strangers.push_back(all[copy].file);
    all.erase(all.begin() + static_cast<ptrdiff_t>(copy));
  }
  return ok();
}

// F2, from the end; a file that would override others must be what its name says.
Status Examination::drop_overridden() {
  auto& all = log_.segments;
  for (size_t index = all.size(); index-- > 1;) {
    const auto is_overridden = [&](const SegmentFacts& facts) {
      return facts.start.position >= all[index].start.position;
    };
    const auto end = all.begin() + static_cast<ptrdiff_t>(index);
    if (std::none_of(all.begin(), end, is_overridden)) continue;
    SegmentHeader header{};
    LL_TRY(begun, is_begun(all[index], header));
    if (!begun || header.start != all[index].start) {
      log_.strangers.push_back(all[index].file);
      all.erase(end);
      continue;
    }
    for (auto at = all.begin(); at != end; ++at) {
      if (is_overridden(*at)) log_.dropped.push_back(at->file);
    }
    const auto kept = std::stable_partition(
        all.begin(), end, [&](const SegmentFacts& facts) { return !is_overridden(facts); });
    index = static_cast<size_t>(kept - all.begin());
    all.erase(kept, end);
  }
  return ok();
}

// ---- the walk ---------------------------------------------------------------

void Examination::use_index(SegmentFacts& facts, const Index& index) {
  const SegmentFooter& footer = index.footer;
  facts.is_scanned = true;
  facts.is_sealed = true;
  facts.end = footer.end;
  facts.end_offset = footer.end_offset;
  facts.chain = footer.chain;
  facts.time_mark = footer.time_mark;
  facts.timestamp_min = footer.timestamp_min;
  facts.timestamp_max = footer.timestamp_max;
  facts.batch_count = footer.batch_count;
  facts.epoch = footer.epoch;
  facts.last_ring = footer.ring;
}

// Without `everything`: behind the last sealed segment, whose footer says all that is needed.
Status Examination::find_beginning(size_t& first) {
  first = 0;
  if (options_.everything) return ok();
  for (size_t index = log_.segments.size(); index-- > 0;) {
    SegmentFacts& facts = log_.segments[index];
    auto segment = SegmentReader::open(disk_, path_of(facts));
    if (!segment && segment.fault().code() == FaultCode::corrupted) continue;
    if (!segment) return segment.fault();
    if (!strangeness_of(facts, segment->header()).empty()) continue;
    std::string why;
    LL_TRY(sealed, segment->read_index(why));
    if (!sealed) continue;
    use_index(facts, *sealed);
    facts.time_mark_before = segment->header().time_mark;
    log_.epoch = std::max(log_.epoch, facts.epoch);
    expected_ = {facts.end, facts.chain, facts.epoch, facts.time_mark};
    first = index + 1;
    return ok();
  }
  return ok();
}

void Examination::add_gap(LogPlace from, LogPlace to, std::string why) {
  // Two that touch are one, whose first reason stands.
  if (!log_.gaps.empty() && log_.gaps.back().to == from) {
    log_.gaps.back().to = to;
    return;
  }
  log_.gaps.push_back({from, to, std::move(why)});
}

// What the segments from `index` on say was durable.
Status Examination::look_for_proof(size_t index) {
  const size_t end = std::min(proofs_from_, log_.segments.size());
  for (size_t at = index; at < end; ++at) {
    auto segment = SegmentReader::open(disk_, path_of(log_.segments[at]));
    if (!segment && segment.fault().code() == FaultCode::corrupted) {
      LL_TRY_STATUS(prove_by_records(log_.segments[at]));
      continue;
    }
    if (!segment) return segment.fault();
    if (!strangeness_of(log_.segments[at], segment->header()).empty()) continue;
    prove(segment->header().durable);
    std::string why;
    LL_TRY(sealed, segment->read_index(why));
    if (sealed) prove(sealed->footer.end);
    BatchScan scan(*segment, batches_offset - block_size, {});
    LL_TRY_STATUS(scan.leap(~0ull, proven_));
  }
  proofs_from_ = std::min(proofs_from_, index);
  return ok();
}

// A segment whose first write the disk lost has no header, but what came behind it tells of it.
Status Examination::prove_by_records(const SegmentFacts& facts) {
  if (!log_.log) return ok();
  auto segment = SegmentReader::open_headless(disk_, path_of(facts), *log_.log, facts.number);
  if (!segment && segment.fault().code() == FaultCode::not_found) return ok();
  if (!segment) return segment.fault();
  if (!*segment) return ok();
  BatchScan scan(**segment, batches_offset - block_size, {});
  // One that was never begun is all zeros: only its first part is read.
  LL_TRY(any, scan.leap(0, proven_, headless_look_bytes));
  if (any) LL_TRY_STATUS(scan.leap(~0ull, proven_));
  std::string why;
  LL_TRY(sealed, (*segment)->read_index(why));
  if (sealed) prove(sealed->footer.end);
  return ok();
}

void Examination::note_batch(SegmentFacts& facts, const BatchRecord& record,
                             uint64_t time_mark_before) {
  const bool is_step =
      facts.index.empty() || record.offset - facts.index.back().offset >= index_step;
  if (is_step) facts.index.push_back({record.offset, record.start, time_mark_before});
  if (record.timestamp_min != 0) {
    const bool is_first = facts.timestamp_min == 0 || record.timestamp_min < facts.timestamp_min;
    if (is_first) facts.timestamp_min = record.timestamp_min;
    facts.timestamp_max = std::max(facts.timestamp_max, record.timestamp_max);
  }
  ++facts.batch_count;
  facts.last_ring = record.ring;
  facts.epoch = record.epoch;
  log_.epoch = std::max(log_.epoch, record.epoch);
}

// No whole batch stands at the scan's place: true when the walk goes on behind what is missing.
Result<bool> Examination::mend(size_t index, BatchScan& scan, LogPlace sealed_end) {
  const LogPlace at = scan.expected().at;
  SegmentFacts& facts = log_.segments[index];
  trouble_ = "segment " + std::to_string(facts.number) + ", offset " +
             std::to_string(scan.offset()) + ": " + scan.why();
  const uint64_t end_offset = scan.offset();
  prove(sealed_end);
  LL_TRY(leapt, scan.leap(at.position + 1, proven_));
  LL_TRY_STATUS(look_for_proof(index + 1));
  const LogPlace next = scan.expected().at;
  // Behind the end that its footer says stands what a killed writer left there.
  const bool found = leapt && (sealed_end == LogPlace{} || is_behind(sealed_end, next));
  const bool is_ours =
      index + 1 == log_.segments.size() || is_behind(log_.segments[index + 1].start, next);
  if (found && is_ours && !is_behind(next, proven_)) {
    add_gap(at, next, trouble_);
    return true;
  }
  facts.end_offset = end_offset;
  log_.is_cut = log_.is_cut || found;
  return false;
}

// Walks the batches of a segment, over what is damaged, to its end or as far as the log goes in it.
Status Examination::walk(size_t index, SegmentReader& segment, const std::optional<Index>& sealed) {
  SegmentFacts& facts = log_.segments[index];
  const bool is_last = index + 1 == log_.segments.size();
  const LogPlace bound = is_last ? LogPlace{~0ull, 0} : log_.segments[index + 1].start;
  const LogPlace sealed_end = sealed ? sealed->footer.end : LogPlace{};
  Expected expected = BatchScan::beginning(segment.header());
  if (expected_.chain && expected_.at == expected.at && *expected_.chain != expected.chain) {
    log_.notes.push_back("segment " + std::to_string(facts.number) +
                         " does not go on from the chain of the one before");
  }
  BatchScan scan(segment, batches_offset, expected, cut_);
  trouble_.clear();
  for (;;) {
    facts.end = scan.expected().at;
    facts.end_offset = scan.offset();
    facts.chain = scan.expected().chain.value_or(0);
    facts.time_mark = scan.expected().time_mark;
    expected_ = scan.expected();
    if (facts.end.position >= bound.position) return ok();
    if (sealed && facts.end == sealed_end) return ok();
    LL_TRY(batch, scan.next());
    if (batch) {
      note_batch(facts, batch->record, facts.time_mark);
      continue;
    }
    LL_TRY(goes_on, mend(index, scan, sealed_end));
    if (!goes_on) return ok();
  }
}

// What is in the file instead of what its name says; empty: that.
std::string Examination::strangeness_of(const SegmentFacts& facts,
                                        const SegmentHeader& header) const {
  if (log_.log && header.log != *log_.log) return facts.file + " belongs to another log";
  if (header.number != facts.number) {
    return facts.file + " holds segment " + std::to_string(header.number) + " instead";
  }
  if (header.start != facts.start) return facts.file + " begins elsewhere than its name says";
  return {};
}

Status Examination::scan_segment(size_t index) {
  SegmentFacts& facts = log_.segments[index];
  auto segment = SegmentReader::open(disk_, path_of(facts));
  if (!segment && segment.fault().code() != FaultCode::corrupted) return segment.fault();
  trouble_ = segment ? strangeness_of(facts, segment->header()) : segment.fault().message();
  if (!segment) return prove_by_records(facts);
  if (!trouble_.empty()) return ok();  // the next one shows what is missing
  log_.log = segment->header().log;
  if (segment->is_header_damaged()) {
    log_.notes.push_back("one of the two headers of segment " + std::to_string(facts.number) +
                         " is damaged; the other one is used");
  }
  facts.is_scanned = true;
  facts.time_mark_before = segment->header().time_mark;
  facts.epoch = segment->header().epoch;
  log_.epoch = std::max(log_.epoch, facts.epoch);
  std::string why;
  LL_TRY(sealed, segment->read_index(why));
  facts.is_sealed = sealed.has_value();
  return walk(index, *segment, sealed);
}

// From where we are to where the segment begins: true when it goes on there, over a gap or none.
Result<bool> Examination::bridge_to(size_t index) {
  const LogPlace at = expected_.at;
  const LogPlace start = log_.segments[index].start;
  if (at == LogPlace{} || at == start) return true;
  LL_TRY_STATUS(look_for_proof(index));
  if (is_behind(start, proven_)) return false;
  if (is_behind(start, at)) {
    add_gap(at, start, trouble_.empty() ? "a segment is missing" : trouble_);
    expected_ = {start, {}, expected_.epoch, expected_.time_mark};  // it may be unreadable too
  }
  return true;
}

// The walk ended within the first `count` segments.
void Examination::end_at(size_t count) {
  for (size_t index = count; index < log_.segments.size(); ++index) {
    log_.dropped.push_back(log_.segments[index].file);
    log_.is_cut = true;
  }
  log_.segments.resize(count);
}

Status Examination::scan_from(size_t first) {
  for (size_t index = first; index < log_.segments.size(); ++index) {
    if (options_.progress) options_.progress(index, log_.segments.size());
    LL_TRY(goes_on, bridge_to(index));
    if (!goes_on) {
      end_at(index);
      break;
    }
    LL_TRY_STATUS(scan_segment(index));
  }
  // Nothing follows; but it may be known that more was there.
  if (is_behind(proven_, expected_.at)) {
    add_gap(expected_.at, proven_, trouble_.empty() ? "the end of the log is missing" : trouble_);
    expected_ = {proven_, {}, expected_.epoch, expected_.time_mark};
  }
  return ok();
}

void Examination::finish() {
  log_.end = expected_.at;
  log_.chain = expected_.chain.value_or(0);
  log_.time_mark = expected_.time_mark;
  if (!log_.manifest) return;
  const Manifest& manifest = *log_.manifest;
  if (log_.end == LogPlace{}) log_.end = manifest.durable;
  log_.time_mark = std::max(log_.time_mark, manifest.time_mark);  // all may have been dropped
  log_.is_closed = manifest.is_closed != 0 && manifest.durable == log_.end && !log_.is_cut;
  if (log_.segments.empty()) {
    // Nothing may be begun in a file that its writer had begun, and the disk lost.
    log_.is_closed = log_.is_closed && manifest.last_number == 0;
    return;
  }
  const SegmentFacts& last = log_.segments.back();
  // None was open when the last one was full: then its footer says where it ends.
  const bool is_its_end =
      last.end_offset == manifest.end_offset || (manifest.end_offset == 0 && last.is_sealed);
  log_.is_closed =
      log_.is_closed && last.number == manifest.last_number && is_its_end && last.end == log_.end;
}

// ---- what was purged --------------------------------------------------------

Status Examination::read_purge() {
  LL_TRY(found, load_purge_mark(disk_, folder_, log_.begin));
  if (!found.damage.empty()) {
    log_.notes.push_back("the mark of a purge cannot be used (" + found.damage +
                         "): what it dropped counts again, unless its segments are gone");
  }
  if (!found.mark) return ok();
  if (log_.log && *log_.log != found.mark->log) {
    log_.notes.push_back("the mark of a purge is another log's");
    return ok();
  }
  const LogPlace place = found.mark->place;
  const bool is_to_come = options_.durable != LogPlace{} && is_behind(place, options_.durable);
  if (is_to_come) return ok();
  log_.log = found.mark->log;
  purged_ = place;
  return ok();
}

Result<LogFacts> Examination::run() {
  LL_TRY_STATUS(read_manifest());
  LL_TRY_STATUS(tell_apart());
  const LogPlace oldest = log_.segments.empty() ? LogPlace{} : log_.segments.front().start;
  log_.begin = log_.manifest ? log_.manifest->first : oldest;
  if (log_.manifest) expected_.at = log_.manifest->first;
  if (log_.segments.empty() || !log_.manifest) expected_.at = log_.begin;
  if (!log_.manifest && !log_.segments.empty()) {
    log_.notes.push_back("the manifest is missing: what is before message " +
                         std::to_string(oldest.sequence) + " was dropped or is lost");
  }
  LL_TRY_STATUS(read_purge());
  // Of what was purged it may prove more than there is: gaps before the mark are none.
  if (log_.manifest || !log_.segments.empty()) prove(options_.durable);
  size_t first = 0;
  LL_TRY_STATUS(find_beginning(first));
  // Else the walk finds it.
  if (first != 0 && is_behind(oldest, log_.begin)) {
    add_gap(log_.begin, oldest, "a segment is missing");
  }
  LL_TRY_STATUS(scan_from(first));
  finish();
  drop_purged(log_, purged_);
  return std::move(log_);
}

}  // namespace

Result<LogFacts> examine(Disk& disk, const std::string& log_folder, const ExamineOptions& options) {
  return Examination(disk, log_folder, options).run();
}

}  // namespace loopline::io
