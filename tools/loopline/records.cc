// Records: one buffer that grows to the largest record a station takes, and no further.
#include "records.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "options.h"
#include "shm/base/units.h"
#include "signals.h"

namespace loopline::cli {
namespace {

constexpr size_t buffer_start = 256 << 10;  // several records of 64 KiB, and less than a cache
constexpr int pipe_size = 1 << 20;          // what the kernel allows everybody
constexpr size_t prefix_size = 4;

}  // namespace

void widen_pipe(int fd) { (void)::fcntl(fd, F_SETPIPE_SZ, pipe_size); }

Result<RecordKind> parse_record_kind(const std::string& text) {
  if (text == "lines") return RecordKind::lines;
  if (text == "file") return RecordKind::file;
  if (text == "length-prefixed") return RecordKind::length_prefixed;
  return unknown_word("--records", text, "lines, file or length-prefixed");
}

RecordReader::RecordReader(int fd, RecordKind kind, uint64_t size_max, std::string name)
    : RecordReader([fd](void* into, size_t size) { return ::read(fd, into, size); }, kind, size_max,
                   std::move(name)) {}

RecordReader::RecordReader(ReadSome read, RecordKind kind, uint64_t size_max, std::string name)
    : read_(std::move(read)),
      kind_(kind),
      size_max_(size_max),
      name_(std::move(name)),
      buffer_(buffer_start) {}

Result<bool> RecordReader::fill() {
  if (held() == 0) {
    begin_ = end_ = 0;
  } else if (begin_ != 0 && end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, held());
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) buffer_.resize(2 * buffer_.size());
  for (;;) {
    const ssize_t got = read_(buffer_.data() + end_, buffer_.size() - end_);
    if (got < 0 && errno == EINTR && !stop_requested()) continue;
    if (got < 0 && errno == EINTR) return false;
    if (got < 0) return fault_from_errno(errno, "cannot read " + name_);
    end_ += static_cast<size_t>(got);
    return got != 0;
  }
}

std::string_view RecordReader::take(size_t size, size_t behind) {
  const std::string_view record(buffer_.data() + begin_, size);
  begin_ += size + behind;
  return record;
}

Fault RecordReader::too_large(uint64_t size, bool or_more) const {
  const char* what = kind_ == RecordKind::lines  ? "line "
                     : kind_ == RecordKind::file ? "file "
                                                 : "record ";
  const std::string which =
      kind_ == RecordKind::file ? what + name_ : what + format_count(number_) + " of " + name_;
  return {FaultCode::too_large, which + " has " + format_count(size) +
                                    (or_more ? " bytes or more" : " bytes") +
                                    ", the station takes messages of up to " +
                                    format_count(size_max_) + "; see: loopline station add --help"};
}

Result<std::optional<std::string_view>> RecordReader::next() {
  if (is_done_ || stop_requested()) return std::optional<std::string_view>();
  ++number_;
  switch (kind_) {
    case RecordKind::lines:
      return next_line();
    case RecordKind::file:
      return whole_input();
    case RecordKind::length_prefixed:
      return next_prefixed();
  }
  return std::optional<std::string_view>();
}

Result<std::optional<std::string_view>> RecordReader::next_line() {
  size_t looked_at = 0;
  for (;;) {
    const void* found = std::memchr(buffer_.data() + begin_ + looked_at, '\n', held() - looked_at);
    const size_t length =
        found == nullptr
            ? held()
            : static_cast<size_t>(static_cast<const char*>(found) - (buffer_.data() + begin_));
    if (length > size_max_) return too_large(length, found == nullptr);
    if (found != nullptr) return std::optional(take(length, 1));
    looked_at = held();
    LL_TRY(more, fill());
    if (more) continue;
    is_done_ = true;
    if (held() == 0 || stop_requested()) return std::optional<std::string_view>();
    return std::optional(take(held(), 0));
  }
}

Result<std::optional<std::string_view>> RecordReader::next_prefixed() {
  uint64_t needed = prefix_size;
  for (;;) {
    if (held() >= prefix_size) {
      uint32_t size = 0;
      std::memcpy(&size, buffer_.data() + begin_, prefix_size);  // x86: little-endian
      if (size > size_max_) return too_large(size, false);
      needed = prefix_size + size;
      if (held() >= needed) {
        begin_ += prefix_size;
        return std::optional(take(size, 0));
      }
    }
    LL_TRY(more, fill());
    if (more) continue;
    is_done_ = true;
    if (held() == 0 || stop_requested()) return std::optional<std::string_view>();
    return Fault(FaultCode::corrupted, name_ + " ends inside record " + format_count(number_) +
                                           ": " + format_count(needed - held()) +
                                           " bytes are missing");
  }
}

Result<std::optional<std::string_view>> RecordReader::whole_input() {
  for (;;) {
    if (held() > size_max_) return too_large(held(), true);
    LL_TRY(more, fill());
    if (more) continue;
    is_done_ = true;
    if (stop_requested()) return std::optional<std::string_view>();
    return std::optional(take(held(), 0));
  }
}

}  // namespace loopline::cli
