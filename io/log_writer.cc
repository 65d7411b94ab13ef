// LogWriter: batches laid out, completions counted, segments begun and sealed.
#include "log_writer.h"

#include <algorithm>
#include <cstring>

namespace loopline::io {
namespace {

constexpr LogPlace behind(LogPlace start, uint64_t bytes, uint32_t count) {
  return {start.position + bytes, start.sequence + count};
}

void put_text(char (&field)[64], const std::string& text) {
  std::memcpy(field, text.data(), std::min(text.size(), sizeof field - 1));
}

}  // namespace

LogWriter::~LogWriter() {
  if (self_) *self_ = nullptr;
}

void LogWriter::fail(Fault fault) {
  if (!failed_) failed_ = std::move(fault);
}

// ---- segments ---------------------------------------------------------------

// Of frames, in what is left of this segment.
uint64_t LogWriter::room_here() const {
  if (open_.empty()) return 0;
  const OpenSegment& segment = open_.back();
  if (segment.is_full) return 0;
  const uint64_t left = footer_offset(segment.header.segment_bytes) - segment.offset;
  return left > sizeof(BatchRecord) ? left - sizeof(BatchRecord) : 0;
}

uint64_t LogWriter::room(uint64_t frame_bytes, uint64_t now_ns) {
  if (failed_) return 0;
  if (room_here() >= frame_bytes) return room_here();
  frame_bytes_wanted_ = frame_bytes;
  // One that was made before anybody knew of a message as large as this.
  if (next_ && frame_bytes > frame_bytes_max(next_->bytes)) give_up_next();
  // Small segments can be full before look_after() comes by: nobody waits for that.
  make_next(now_ns);
  return next_ ? frame_bytes_max(next_->bytes) : 0;
}

void LogWriter::begin_segment(uint64_t now_ns) {
  LL_CHECK(next_);  // as room() said
  if (!open_.empty()) open_.back().is_full = true;
  OpenSegment segment;
  segment.file = std::move(next_->file);
  segment.offset = batches_offset;
  segment.is_new = true;
  SegmentHeader& header = segment.header;
  header.magic = segment_magic;
  header.version = log_version;
  header.partition = options_.partition;
  header.log = options_.id;
  header.number = next_->number;
  header.epoch = manifest_.epoch;
  header.segment_bytes = next_->bytes;
  header.start = end_;
  header.chain = chain_;
  header.time_mark = time_mark_;
  header.begun_ns = now_ns;
  put_text(header.factory, options_.name.factory);
  put_text(header.station, options_.name.station);
  segment.footer.log = options_.id;
  segment.footer.number = header.number;
  segment.footer.epoch = header.epoch;
  KnownSegment known;
  known.file = segment.file->path().substr(options_.folder.size() + 1);
  known.number = header.number;
  known.bytes = header.segment_bytes;
  known.start = end_;
  known.is_ours = true;
  known_.push_back(std::move(known));
  open_.push_back(std::move(segment));
  next_.reset();
  frame_bytes_wanted_ = 0;
}

// ---- batches ----------------------------------------------------------------

void LogWriter::note_batch(OpenSegment& segment, const BatchRecord& record,
                           uint64_t time_mark_before) {
  auto& index = segment.index;
  if (index.empty() || record.offset - index.back().offset >= index_step) {
    index.push_back({record.offset, record.start, time_mark_before});
  }
  SegmentFooter& footer = segment.footer;
  footer.end = behind(record.start, record.bytes, record.count);
  footer.end_offset = segment.offset;
  footer.chain = record.hash;
  footer.time_mark = record.time_mark;
  footer.ring = record.ring;
  ++footer.batch_count;
  if (record.timestamp_min == 0) return;
  const bool is_first = footer.timestamp_min == 0 || record.timestamp_min < footer.timestamp_min;
  if (is_first) footer.timestamp_min = record.timestamp_min;
  footer.timestamp_max = std::max(footer.timestamp_max, record.timestamp_max);
}

WriteRequest LogWriter::lay_out(const BatchFrames& batch, uint64_t frames_hash,
                                std::span<std::byte> buffer, uint64_t token, uint64_t now_ns) {
  LL_CHECK(!failed_ && batch.start == end_);
  if (room_here() < batch.bytes) begin_segment(now_ns);
  OpenSegment& segment = open_.back();
  const uint64_t bytes = batch_bytes(batch.bytes);
  LL_CHECK(segment.offset + bytes <= footer_offset(segment.header.segment_bytes));
  LL_CHECK(buffer.size() >= batches_offset + bytes);
  const uint64_t time_mark_before = time_mark_;
  time_mark_ = std::max(time_mark_, batch.timestamp_max);

  BatchRecord record{};
  record.magic = batch_magic;
  record.frames_hash = frames_hash;
  record.chain = chain_;
  record.log = options_.id;
  record.number = segment.header.number;
  record.epoch = manifest_.epoch;
  record.offset = segment.offset;
  record.start = batch.start;
  record.bytes = batch.bytes;
  record.count = batch.count;
  record.kind = BatchKind::frames;
  record.ring = batch.ring;
  record.durable = durable_;
  record.timestamp_min = batch.timestamp_min;
  record.timestamp_max = batch.timestamp_max;
  record.time_mark = time_mark_;
  record.issued_ns = now_ns;
  seal_bytes(record);
  chain_ = record.hash;
  end_ = behind(batch.start, batch.bytes, batch.count);

  std::byte* const at = buffer.data() + batches_offset;
  std::memcpy(at, &record, sizeof record);
  const uint64_t used = sizeof record + batch.bytes;
  std::memset(at + used, 0, bytes - used);
  WriteRequest request{segment.file.get(), segment.offset, {at, bytes}, token};
  if (!segment.is_begun) {
    segment.is_begun = true;
    segment.header.durable = durable_;
    seal_bytes(segment.header);
    std::memset(buffer.data(), 0, batches_offset);
    std::memcpy(buffer.data(), &segment.header, sizeof segment.header);
    std::memcpy(buffer.data() + block_size, &segment.header, sizeof segment.header);
    request.offset = 0;
    request.bytes = {buffer.data(), batches_offset + bytes};
  }
  segment.offset += bytes;
  note_batch(segment, record, time_mark_before);
  in_flight_.push_back({token, end_, false});
  frames_written_ += batch.bytes;
  bytes_written_ += request.bytes.size();
  return request;
}

// Of the largest segment that may want one: an edit may have made them smaller since.
uint64_t LogWriter::footer_buffer_bytes() const {
  uint64_t largest = options_.segment_bytes;
  for (const OpenSegment& segment : open_) {
    largest = std::max(largest, segment.header.segment_bytes);
  }
  return footer_bytes(largest);
}

std::optional<WriteRequest> LogWriter::lay_out_footer(std::span<std::byte> buffer, uint64_t token,
                                                      uint64_t now_ns) {
  if (failed_) return {};
  for (OpenSegment& segment : open_) {
    if (!segment.is_full) return {};
    if (segment.footer_token) continue;
    if (segment.footer.end.position > durable_.position) return {};
    const uint64_t segment_bytes = segment.header.segment_bytes;
    const uint64_t bytes = footer_bytes(segment_bytes);
    segment.footer.sealed_ns = now_ns;
    write_footer(segment.footer, segment.index, buffer.first(bytes));
    segment.footer_token = token;
    bytes_written_ += bytes;
    return WriteRequest{
        segment.file.get(), footer_offset(segment_bytes), {buffer.data(), bytes}, token};
  }
  return {};
}

// ---- completions ------------------------------------------------------------

void LogWriter::move_durable() {
  while (!in_flight_.empty() && in_flight_.front().is_done) {
    durable_ = in_flight_.front().end;
    in_flight_.pop_front();
  }
  // Only now: a name that says a place must not stand before what is at that place.
  for (OpenSegment& segment : open_) {
    if (!segment.is_new || durable_.position <= segment.header.start.position) continue;
    segment.is_new = false;
    if (KnownSegment* const known = find_known(segment.header.number)) post_name(*known);
  }
}

bool LogWriter::completed(uint64_t token, int error) {
  if (error != 0) {
    fail(fault_from_errno(error, "cannot write the log of station \"" + options_.name.text() +
                                     "\" in " + options_.folder));
  }
  const auto segment = std::find_if(open_.begin(), open_.end(), [&](const OpenSegment& candidate) {
    return candidate.footer_token == token;
  });
  if (segment != open_.end()) {
    if (failed_) return false;
    KnownSegment* const known = find_known(segment->header.number);
    if (known != nullptr) {
      known->is_sealed = true;
      known->newest_ns = segment->footer.timestamp_max;
      if (known->newest_ns == 0) known->newest_ns = segment->footer.sealed_ns;
    }
    open_.erase(segment);
    return false;
  }
  // A batch that is done waits here for those before it, while its token may be out again.
  const auto batch = std::find_if(
      in_flight_.begin(), in_flight_.end(),
      [&](const Written& written) { return written.token == token && !written.is_done; });
  LL_CHECK(batch != in_flight_.end());
  batch->is_done = error == 0;
  if (failed_) {
    in_flight_.erase(batch);  // nobody waits for what will never be durable
    return false;
  }
  const LogPlace before = durable_;
  move_durable();
  return durable_ != before;
}

LogWriter::Size LogWriter::size() const { return {known_.size(), known_bytes()}; }

}  // namespace loopline::io
