// Records: cuts an input into messages: lines, whole files, or length-prefixed records.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/base/result.h"

namespace loopline::cli {

enum class RecordKind {
  lines,            // without their newline; the last one may lack it
  file,             // the whole input
  length_prefixed,  // u32 little-endian, then as many bytes
};
// A pipe holds 64 KiB unless it is told otherwise; with a megabyte its two sides take turns less
// often. Where that is refused, or it is no pipe, nothing changes.
void widen_pipe(int fd);

// Faults: invalid_argument.
Result<RecordKind> parse_record_kind(const std::string& text);

// As read(2): how many bytes it put there, 0 at the end, -1 and errno.
using ReadSome = std::function<ssize_t(void* into, size_t size)>;

class RecordReader {
 public:
  // `name` ("stdin", a path) and `size_max` are for refusals; the descriptor stays the caller's.
  RecordReader(int fd, RecordKind kind, uint64_t size_max, std::string name);
  RecordReader(ReadSome read, RecordKind kind, uint64_t size_max, std::string name);

  // The next record, valid until the call after; nothing at the end of the input, or when the
  // process was asked to stop. Faults: too_large (said before it is read to its end), corrupted
  // (the input ends inside a record), io_error.
  Result<std::optional<std::string_view>> next();

 private:
  Result<std::optional<std::string_view>> next_line();
  Result<std::optional<std::string_view>> next_prefixed();
  Result<std::optional<std::string_view>> whole_input();
  // More bytes behind those there are; false at the end of the input.
  Result<bool> fill();
  size_t held() const { return end_ - begin_; }
  std::string_view take(size_t size, size_t behind);
  Fault too_large(uint64_t size, bool or_more) const;

  ReadSome read_;
  RecordKind kind_;
  uint64_t size_max_;
  std::string name_;
  std::vector<char> buffer_;
  size_t begin_ = 0, end_ = 0;
  uint64_t number_ = 0;  // of the record in hand, from 1
  bool is_done_ = false;
};

}  // namespace loopline::cli
