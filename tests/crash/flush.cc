// Flush: the steps of io's flusher and log, with one thread and a disk that never fails.
#include "flush.h"

#include <cstring>

namespace loopline::crash {
namespace {

// Small, so that a few messages are several writes.
constexpr uint64_t run_bytes_max = 1024;
constexpr int in_flight_max = 2;

std::string at(Pair place) {
  return " at position " + std::to_string(place.first) + " sequence " +
         std::to_string(place.second);
}

std::string told(const char* what, const Fault& fault) {
  return std::string(what) + ": " + name_of(fault.code()) + ": " + fault.message();
}

// A frame's header as bytes: nobody writes it any more.
struct Header {
  uint64_t word, meta, sequence, timestamp;
};
static_assert(sizeof(Header) == shm::frame_header_size);

Header header_at(const Platter& platter, uint64_t offset) {
  Header header;
  std::memcpy(&header, platter.frames + offset, sizeof header);
  return header;
}

// Whether the frame at `place` is the one that must stand there.
bool is_next(const Header& header, Pair place, uint64_t room) {
  const uint64_t size = shm::frame_size(shm::meta_body(header.meta));
  return shm::carries_tag(header.word, place.first) && header.sequence == place.second &&
         size <= room;
}

}  // namespace

Pair end_of(const Platter& platter, std::string& problem) {
  const uint64_t bytes = platter.bytes;
  Pair place = platter.start;
  while (place.first - platter.start.first < bytes) {
    const uint64_t offset = place.first - platter.start.first;
    const Header header = header_at(platter, offset);
    if (!is_next(header, place, bytes - offset)) {
      problem = "the log is broken" + at(place);
      return place;
    }
    place.first += shm::frame_size(shm::meta_body(header.meta));
    ++place.second;
  }
  return place;
}

std::string examine(const Platter& platter, Journals& journals, bool& is_whole) {
  Examiner examiner(journals, Examiner::Kind::lossless, platter.start.second);
  std::string problem;
  const Pair end = end_of(platter, problem);
  if (!problem.empty()) return problem;
  shm::FrameView view;
  view.position = platter.start.first;
  while (view.position < end.first) {
    const uint64_t offset = view.position - platter.start.first;
    const Header header = header_at(platter, offset);
    view.sequence = header.sequence;
    view.body = platter.frames + offset + shm::frame_header_size;
    view.body_size = shm::meta_body(header.meta);
    const uint64_t size = shm::frame_size(view.body_size);
    const bool is_message = shm::meta_type(header.meta) == shm::FrameType::message &&
                            (header.word & shm::word_filler) == 0;
    if (is_message && !examiner.examine(view, size)) break;
    view.position += size;
  }
  is_whole = examiner.at_end();
  return examiner.wrong().empty() ? "" : "on disk: " + examiner.wrong();
}

std::string Flush::take_over(std::shared_ptr<shm::Attached> oldest) {
  auto cursor = shm::FlushCursor::open(std::move(oldest));
  if (!cursor) return told("take over", cursor.fault());
  cursor_ = std::move(*cursor);
  is_over_ = false;
  std::string problem;
  const Pair end = end_of(platter_, problem);
  if (!problem.empty()) return problem;
  if (cursor_->durable().first > end.first) {
    return "durable" + at(cursor_->durable()) + ", and the log ends" + at(end);
  }
  // The one before died between the disk and its word about it.
  const Status skipped = cursor_->skip_to(end);
  if (!skipped) return told("skip", skipped.fault());
  cursor_->set_durable(end);
  return "";
}

std::string Flush::write(const shm::FlushRun& run) {
  const uint64_t bytes = platter_.bytes;
  if (run.at.first != platter_.start.first + bytes) return "a gap in the log" + at(run.at);
  if (run.bytes > Platter::bytes_max - bytes) return "the disk of this test is too small";
  step();
  std::memcpy(platter_.frames + bytes, cursor_->data(run.at.first), run.bytes);
  step();
  platter_.bytes = bytes + run.bytes;
  return "";
}

// The ring is all on disk.
std::string Flush::go_on() {
  auto next = cursor_->finish();
  is_over_ = !next && next.fault().code() == FaultCode::closed;
  if (is_over_) return "";
  if (!next) return told("finish", next.fault());
  return take_over(std::move(*next));
}

std::string Flush::everything() {
  while (!is_over_) {
    shm::FlushRun run;
    Pair upto;
    for (int count = 0; count < in_flight_max && !run.sealed; ++count) {
      auto found = cursor_->next(run_bytes_max);
      if (!found) return told("next", found.fault());
      run = *found;
      if (run.bytes == 0) break;
      const std::string problem = write(run);
      if (!problem.empty()) return problem;
      upto = run.end();
    }
    if (upto.first != 0) cursor_->set_durable(upto);
    if (run.sealed) {
      const std::string problem = go_on();
      if (!problem.empty()) return problem;
    }
    if (run.sealed || upto.first != 0) continue;
    const Status cleaned = cursor_->clean_up_ahead();
    if (!cleaned) return told("clean up ahead", cleaned.fault());
    if (!cursor_->ready()) return "";
  }
  return "";
}

}  // namespace loopline::crash
