// Segment: reading ahead in large pieces, and going from batch to batch.
#include "segment.h"

#include <algorithm>
#include <cstring>

namespace loopline::io {
namespace {

constexpr uint64_t ahead_bytes_min = 256u << 10;
constexpr uint64_t ahead_bytes_max = 2u << 20;  // of it about a half is read at a time

bool is_version_fault(const std::string& why) { return why.starts_with("it is of version"); }

}  // namespace

Result<SegmentReader> SegmentReader::open(Disk& disk, const std::string& path) {
  LL_TRY(file, disk.open(path, DiskAccess::read));
  SegmentReader segment(std::move(file));
  AlignedBytes blocks(batches_offset);
  LL_TRY(got, segment.file_->read(0, blocks.span()));
  std::string why[2];
  std::optional<SegmentHeader> found[2];
  for (size_t copy = 0; copy < 2; ++copy) {
    if (got < (copy + 1) * block_size) {
      why[copy] = "it is too short";
      continue;
    }
    found[copy] = read_header(blocks.span().subspan(copy * block_size, block_size), why[copy]);
  }
  if (!found[0] && !found[1]) {
    const bool is_other = is_version_fault(why[0]) || is_version_fault(why[1]);
    return Fault(is_other ? FaultCode::version_mismatch : FaultCode::corrupted,
                 "the header of segment " + path +
                     " cannot be used: " + (is_version_fault(why[1]) ? why[1] : why[0]));
  }
  segment.header_ = found[0] ? *found[0] : *found[1];
  // The second copy is written with the first batch; one left from an earlier use is no damage of
  // this one, but it is no help either.
  segment.header_damaged_ = !found[0] || !found[1] || found[0]->hash != found[1]->hash;
  return segment;
}

Result<std::optional<SegmentReader>> SegmentReader::open_headless(Disk& disk,
                                                                  const std::string& path,
                                                                  LogId log, uint64_t number) {
  LL_TRY(file, disk.open(path, DiskAccess::read));
  LL_TRY(bytes, file->size());
  if (!is_segment_size(bytes)) return std::optional<SegmentReader>();
  SegmentReader segment(std::move(file));
  segment.header_.log = log;
  segment.header_.number = number;
  segment.header_.segment_bytes = bytes;
  segment.header_damaged_ = true;
  return std::optional<SegmentReader>(std::move(segment));
}

Result<std::optional<Index>> SegmentReader::read_index(std::string& why) {
  const uint64_t size = footer_bytes(header_.segment_bytes);
  LL_TRY(blocks, bytes(footer_offset(header_.segment_bytes), size, true));
  return read_footer(blocks, header_, why);
}

Result<std::span<const std::byte>> SegmentReader::bytes(uint64_t offset, uint64_t size,
                                                        bool fresh) {
  const uint64_t end = offset + size;
  const bool is_there = offset >= window_offset_ && end <= window_offset_ + window_bytes_;
  if (fresh || !is_there) LL_TRY_STATUS(fill_window(offset, end, fresh));
  const uint64_t before = offset - window_offset_;
  const uint64_t there = window_bytes_ - std::min(window_bytes_, before);
  if (there == 0) return std::span<const std::byte>();
  return std::span<const std::byte>(window_.data() + before, std::min(size, there));
}

// Whoever reads on gets more at a time, and nothing twice; whoever looks here and there, little.
Status SegmentReader::fill_window(uint64_t offset, uint64_t end, bool fresh) {
  const uint64_t from = offset & ~(block_size - 1);
  const uint64_t window_end = window_offset_ + (window_bytes_ & ~(block_size - 1));
  const bool goes_on = !fresh && window_bytes_ != 0 && from >= window_offset_ && from <= window_end;
  ahead_bytes_ = goes_on ? std::min(2 * ahead_bytes_, ahead_bytes_max) : ahead_bytes_min;
  const uint64_t most = header_.segment_bytes - std::min(from, header_.segment_bytes);
  const uint64_t wanted = std::min(std::max(round_up(end - from, block_size), ahead_bytes_),
                                   round_up(most, block_size));
  const uint64_t kept = goes_on ? window_end - from : 0;
  const std::byte* const kept_bytes = window_.data() + (goes_on ? from - window_offset_ : 0);
  AlignedBytes larger;
  if (wanted > window_.size()) larger = AlignedBytes(wanted);
  std::byte* const to = larger.size() != 0 ? larger.data() : window_.data();
  if (to != kept_bytes && kept != 0) std::memmove(to, kept_bytes, kept);
  if (larger.size() != 0) window_ = std::move(larger);
  window_offset_ = from;
  window_bytes_ = kept;
  while (window_bytes_ < wanted) {
    const uint64_t piece = std::min(wanted - window_bytes_, piece_bytes_);
    LL_TRY(got, file_->read(from + window_bytes_, window_.span().subspan(window_bytes_, piece)));
    window_bytes_ += got;
    if (got < piece) break;
  }
  return ok();
}

Result<std::optional<BatchRecord>> BatchScan::record_here(bool fresh) {
  LL_TRY(block, segment_->bytes(offset_, sizeof(BatchRecord), fresh));
  return read_record(block, segment_->header(), offset_, why_);
}

Result<bool> BatchScan::is_next(const BatchRecord& record) {
  why_ = "it does not go on where the one before ended";
  if (record.start != expected_.at || record.epoch < expected_.epoch) return false;
  if (expected_.chain && record.chain != *expected_.chain) return false;
  why_ = "a writer that was killed left it there";
  if (cut_.is_stale(record)) return false;
  why_.clear();
  return true;
}

void BatchScan::pass(const BatchRecord& record) {
  expected_.at = {record.start.position + record.bytes, record.start.sequence + record.count};
  expected_.chain = record.hash;
  expected_.epoch = record.epoch;
  expected_.time_mark = record.time_mark;
  offset_ += batch_bytes(record.bytes);
}

Result<std::optional<BatchScan::Batch>> BatchScan::next() {
  // Once more from the disk itself: what was read ahead may be older than what was written since.
  for (const bool fresh : {false, true}) {
    LL_TRY(record, record_here(fresh));
    if (!record) continue;
    LL_TRY(fits, is_next(*record));
    if (!fits) continue;
    LL_TRY(frames, segment_->bytes(offset_ + sizeof(BatchRecord), record->bytes, false));
    why_ = check_frames(*record, frames);
    if (!why_.empty()) continue;
    const Batch batch{*record, frames};
    pass(*record);
    return std::optional<Batch>(batch);
  }
  return std::optional<Batch>();
}

Result<std::optional<BatchRecord>> BatchScan::next_record() {
  for (const bool fresh : {false, true}) {
    LL_TRY(record, record_here(fresh));
    if (!record) continue;
    LL_TRY(fits, is_next(*record));
    if (!fits) continue;
    pass(*record);
    return record;
  }
  return std::optional<BatchRecord>();
}

Result<bool> BatchScan::leap(uint64_t position_min, LogPlace& durable, uint64_t upto) {
  const uint64_t end = std::min(footer_offset(segment_->header().segment_bytes), upto);
  bool found = false;
  uint64_t found_offset = offset_;
  Expected found_expected = expected_;
  const uint64_t from = offset_ + block_size;
  for (offset_ = from; offset_ < end; offset_ += block_size) {
    LL_TRY(record, record_here(false));
    if (!record || record->epoch < expected_.epoch) continue;
    if (record->durable.position > durable.position) durable = record->durable;
    if (found || record->start.position < position_min || cut_.is_stale(*record)) continue;
    LL_TRY(frames, segment_->bytes(offset_ + sizeof(BatchRecord), record->bytes));
    if (!check_frames(*record, frames).empty()) continue;
    found = true;
    found_offset = offset_;
    found_expected = {record->start, {}, record->epoch, record->time_mark};
  }
  offset_ = found ? found_offset : from - block_size;
  if (found) expected_ = found_expected;
  return found;
}

}  // namespace loopline::io
