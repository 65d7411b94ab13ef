// NextDrop: the oldest segment against each bound, as the flusher does it.
#include "next_drop.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "io/log/posix_disk.h"
#include "output.h"
#include "shm/base/units.h"

namespace loopline::cli {
namespace {

// As its footer says, which a flusher looks at too.
uint64_t newest_of(const LogOnDisk& log, const io::SegmentFacts& facts) {
  if (facts.is_scanned && facts.timestamp_max != 0) return facts.timestamp_max;
  auto segment = io::SegmentReader::open(io::posix_disk(), log.folder + "/" + facts.file);
  if (!segment) return 0;
  std::string no_matter;
  const auto index = segment->read_index(no_matter);
  if (!index || !*index) return 0;
  const io::SegmentFooter& footer = (**index).footer;
  return footer.timestamp_max != 0 ? footer.timestamp_max : footer.sealed_ns;
}

uint64_t bytes_behind_oldest(const LogOnDisk& log) {
  uint64_t bytes = 0;
  for (size_t index = 1; index < log.facts.segments.size(); ++index) {
    struct stat status;
    const std::string path = log.folder + "/" + log.facts.segments[index].file;
    if (::stat(path.c_str(), &status) == 0) bytes += static_cast<uint64_t>(status.st_size);
  }
  return bytes;
}

uint64_t left_of(uint64_t bound, uint64_t there) { return bound - std::min(bound, there); }

std::string due_text(const LogOnDisk& log) {
  const bool is_flushed =
      log.ring && log.ring->log && log.ring->log->state == shm::LogState::flushing;
  return is_flushed ? "may go now: who flushes it looks after that by and by"
                    : "would go, and nobody flushes it; start the broker: loopline up";
}

std::string bounds_text(const NextDrop& next) {
  std::string text;
  const auto add = [&](const std::string& bound) { text += (text.empty() ? "" : ", or ") + bound; };
  if (next.in_ns) add("in " + format_duration_rounded(static_cast<double>(*next.in_ns)));
  if (next.after_messages) add("after " + counted(*next.after_messages, "more message"));
  if (next.after_bytes) {
    add("after " + format_size_rounded(static_cast<double>(*next.after_bytes)) + " more on disk");
  }
  return "go " + text;
}

}  // namespace

NextDrop next_drop(const LogOnDisk& log, const io::Retention& keep, uint64_t now_ns) {
  NextDrop next;
  const auto& segments = log.facts.segments;
  if (keep == io::Retention{}) {
    next.text = "nothing is ever dropped: retention is off";
    return next;
  }
  if (segments.size() < 2) {
    next.text = segments.empty() ? "there is no segment that could go"
                                 : "there is but one segment, and the one that is written stays";
    return next;
  }
  const uint64_t end = segments[1].start.sequence;
  next.first_sequence = log.first_sequence();
  next.last_sequence = end - 1;
  next.newest_ns = newest_of(log, segments.front());
  if (keep.age_ns != 0 && next.newest_ns != 0) {
    next.in_ns = left_of(next.newest_ns + keep.age_ns, now_ns);
  }
  if (keep.messages != 0) {
    next.after_messages = left_of(keep.messages, left_of(log.end_sequence(), end));
  }
  if (keep.bytes != 0) next.after_bytes = left_of(keep.bytes, bytes_behind_oldest(log));
  next.is_due = next.in_ns == 0 || next.after_messages == 0 || next.after_bytes == 0;
  const bool is_never = !next.in_ns && !next.after_messages && !next.after_bytes;
  const std::string age =
      next.newest_ns == 0 || next.newest_ns > now_ns
          ? ""
          : ", the newest " +
                format_duration_rounded(static_cast<double>(now_ns - next.newest_ns)) + " old,";
  next.text = fmt::format("messages {} to {}{} ", format_count(next.first_sequence),
                          format_count(next.last_sequence), age);
  next.text += next.is_due ? due_text(log)
               : is_never  ? "stay: when the newest was written is not known"
                           : bounds_text(next);
  return next;
}

}  // namespace loopline::cli
