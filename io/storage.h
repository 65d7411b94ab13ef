// Storage: how the flusher writes: many writes in flight, each safe on the disk when it is done.
//
// The seam between the flusher and the kernel. UringStorage writes through io_uring, PosixStorage
// by threads (for kernels and containers that forbid io_uring), the tests' simulated one decides by
// itself what survives. One thread uses it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "log/disk.h"
#include "sleep.h"

namespace loopline::io {

struct WriteRequest {
  DiskFile* file = nullptr;
  uint64_t offset = 0;
  std::span<const std::byte> bytes;  // whole aligned blocks, untouched until it is done
  uint64_t token = 0;
};

struct WriteDone {
  uint64_t token = 0;
  int error = 0;  // errno; a write that came out short is EIO. Not 0: nothing is known of its bytes
};

class Storage {
 public:
  virtual ~Storage() = default;
  // "io_uring", "posix".
  virtual const char* name() const = 0;
  // So many writes may be in flight.
  virtual uint32_t depth() const = 0;
  // At most depth() at once. It goes out with the next reap() or wait() at the latest.
  virtual void submit(const WriteRequest& request) = 0;
  // What is done, in any order; sends what was submitted.
  virtual size_t reap(std::span<WriteDone> done) = 0;
  // Sleeps until a write is done, one of the bells is rung, or the deadline (monotonic) passes. The
  // tickets were drawn, and the bells' work looked for, before.
  virtual void wait(std::span<const BellTicket> bells, uint64_t deadline_ns) = 0;
};

// The best there is: io_uring where the kernel lets us, else posix; `why_not` says what is missing.
// `wanted` is "auto", "io_uring" (a fault when it cannot be had) or "posix".
Result<std::unique_ptr<Storage>> make_storage(const std::string& wanted, uint32_t depth,
                                              std::string& why_not);

}  // namespace loopline::io
