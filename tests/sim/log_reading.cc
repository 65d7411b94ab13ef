// LogReading: block by block through the segments that count.
#include "log_reading.h"

#include <algorithm>

#include "shm/base/hash.h"

namespace loopline::sim {
namespace {

using io::LogPlace;

// Those before `bound`: of an older batch that crosses it, the rest is the next segment's.
void take_frames(const io::BatchRecord& record, std::span<const std::byte> frames, uint64_t bound,
                 std::vector<MessageBytes>& messages) {
  LogPlace at = record.start;
  for (uint32_t index = 0; index < record.count && at.position < bound; ++index) {
    const auto frame = io::read_frame(frames.subspan(at.position - record.start.position), at);
    const auto bytes = frames.subspan(at.position - record.start.position, frame->bytes);
    messages.push_back({at, frame->bytes, hash64(bytes)});
    at = {at.position + frame->bytes, at.sequence + 1};
  }
}

// The whole batches of a segment from its beginning up to `bound`, wherever they stand.
Status take_segment(io::Disk& disk, const std::string& path, const io::SegmentFacts& facts,
                    const io::LogFacts& log, uint64_t bound, std::vector<MessageBytes>& messages) {
  auto segment = io::SegmentReader::open(disk, path);
  if (!segment && segment.fault().code() == FaultCode::corrupted) return ok();
  if (!segment) return segment.fault();
  const io::SegmentHeader& header = segment->header();
  if (header.number != facts.number || header.log != *log.log) return ok();
  const uint64_t end = io::footer_offset(header.segment_bytes);
  uint64_t position = header.start.position;
  uint64_t epoch = 0;
  std::string why;
  for (uint64_t offset = io::batches_offset; offset < end;) {
    LL_TRY(block, segment->bytes(offset, io::block_size));
    const auto record = io::read_record(block, header, offset, why);
    offset += io::block_size;
    if (!record || record->start.position < position || record->epoch < epoch) continue;
    if (record->start.position >= bound) break;
    // An earlier writer's, behind where a later one began: never acknowledged.
    const bool is_stale = log.manifest && record->epoch < log.manifest->epoch &&
                          record->start.position >= log.manifest->durable.position;
    if (is_stale) continue;
    LL_TRY(frames, segment->bytes(record->offset + sizeof(io::BatchRecord), record->bytes));
    if (!io::check_frames(*record, frames).empty()) continue;
    take_frames(*record, frames, bound, messages);
    position = record->start.position + record->bytes;
    epoch = record->epoch;
    offset = record->offset + io::batch_bytes(record->bytes);
  }
  return ok();
}

std::string check_places(const LogReading& log) {
  LogPlace at = log.facts.begin;
  size_t gap = 0;
  const auto pass_gap = [&] {
    if (gap == log.facts.gaps.size() || log.facts.gaps[gap].from != at) return;
    at = log.facts.gaps[gap++].to;
  };
  for (const MessageBytes& message : log.messages) {
    pass_gap();
    if (message.at != at) {
      return "a message at " + text_of(message.at) + ", but " + text_of(at) + " was next";
    }
    at = {at.position + message.bytes, at.sequence + 1};
  }
  pass_gap();
  if (gap != log.facts.gaps.size()) {
    return "a gap from " + text_of(log.facts.gaps[gap].from) +
           " where messages can be read, or none";
  }
  if (at != log.facts.end) {
    return "it ends at " + text_of(log.facts.end) + ", but can be read up to " + text_of(at);
  }
  return {};
}

}  // namespace

std::string text_of(LogPlace place) {
  return "{" + std::to_string(place.position) + ", " + std::to_string(place.sequence) + "}";
}

LogReading read_log(io::Disk& disk, const std::string& folder, const io::ExamineOptions& options) {
  LogReading log;
  auto facts = io::examine(disk, folder, options);
  if (!facts) {
    log.wrong = facts.fault().message();
    return log;
  }
  log.facts = std::move(*facts);
  const auto& segments = log.facts.segments;
  for (size_t index = 0; index < segments.size() && log.facts.log; ++index) {
    const bool is_last = index + 1 == segments.size();
    uint64_t bound = is_last ? log.facts.end.position : segments[index + 1].start.position;
    // Behind the end of a sealed one stands what a killed writer left there.
    if (segments[index].is_sealed) bound = std::min(bound, segments[index].end.position);
    const Status taken = take_segment(disk, folder + "/" + segments[index].file, segments[index],
                                      log.facts, bound, log.messages);
    if (!taken) log.wrong = taken.fault().message();
  }
  // A purge may begin in the midst of a segment.
  std::erase_if(log.messages, [&](const MessageBytes& message) {
    return message.at.position < log.facts.begin.position;
  });
  if (log.wrong.empty()) log.wrong = check_places(log);
  return log;
}

std::string compare(const LogReading& found, const std::vector<MessageBytes>& expected,
                    LogPlace end_min) {
  if (!found.wrong.empty()) return found.wrong;
  if (found.facts.end.position < end_min.position) {
    return "the log ends at " + text_of(found.facts.end) + ", but up to " + text_of(end_min) +
           " was acknowledged";
  }
  for (const MessageBytes& message : found.messages) {
    const uint64_t first = expected.empty() ? 0 : expected.front().at.sequence;
    const uint64_t index = message.at.sequence - first;
    if (message.at.sequence < first || index >= expected.size()) {
      return "a message at " + text_of(message.at) + " that nobody wrote";
    }
    if (!(message == expected[index])) {
      return "the message at " + text_of(message.at) + " is not the one written there";
    }
  }
  return {};
}

}  // namespace loopline::sim
