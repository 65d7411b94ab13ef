// Peephole: a ring file read piece by piece with pread, so that nothing that happens to the file
// can hurt whoever looks: a file cut short is a short read and a fault, not a SIGBUS.
#pragma once

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

#include "base/result.h"
#include "file.h"
#include "layout.h"

namespace loopline::shm {

class Peephole {
 public:
  static constexpr uint64_t control_offset = page_size;

  Peephole(const File& file, const std::string& name) : file_(file), name_(name) {}

  Status read(void* into, size_t size, uint64_t offset) const {
    const ssize_t got = ::pread(file_.fd(), into, size, static_cast<off_t>(offset));
    if (got == static_cast<ssize_t>(size)) return ok();
    if (got < 0) return fault_from_errno(errno, "cannot read ring " + name_);
    return Fault(FaultCode::corrupted, "ring " + name_ + " was cut short while it was looked at");
  }

  // pread does not promise to copy 16 bytes at once. Both halves of a pair only grow, so two equal
  // reads in a row are one pair that really stood there.
  Result<Pair> pair(uint64_t control_place) const {
    constexpr int tries_max = 64;
    Pair last, now;
    LL_TRY_STATUS(read(&last, sizeof last, control_offset + control_place));
    for (int count = 0; count < tries_max; ++count) {
      LL_TRY_STATUS(read(&now, sizeof now, control_offset + control_place));
      if (now == last) break;
      last = now;
    }
    return now;
  }

  Result<LimitWord> limit() const {
    LL_TRY(packed, pair(offsetof(ControlBlock, limit)));
    return LimitWord::unpack(packed);
  }

 private:
  const File& file_;
  const std::string& name_;
};

// Aligned words of a region of the file, a block at a time.
class WordReader {
 public:
  WordReader(const Peephole& hole, uint64_t region_offset, uint64_t region_size)
      : hole_(hole), offset_(region_offset), size_(region_size), block_(block_size / 8) {}

  // `is_fresh` says whether the file was read for it, now.
  Result<uint64_t> word(uint64_t place, bool& is_fresh) {
    is_fresh = place < first_ || place >= end_;
    if (is_fresh) {
      first_ = place;
      end_ = std::min(place + block_size, size_);
      LL_TRY_STATUS(hole_.read(block_.data(), end_ - first_, offset_ + first_));
    }
    return block_[(place - first_) / 8];
  }
  void forget() { first_ = end_ = 0; }

 private:
  static constexpr uint64_t block_size = 16 << 10;

  const Peephole& hole_;
  uint64_t offset_, size_;
  uint64_t first_ = 0, end_ = 0;
  std::vector<uint64_t> block_;
};

}  // namespace loopline::shm
