// UringStorage: writes through io_uring, one request each, synced by RWF_DSYNC.
//
// One request with RWF_DSYNC beats a write linked to an fsync (18 % of a core against 43 %).
// The sleeper for completions also sleeps by bells (FUTEX_WAITV inside io_uring, kernels from 6.7
// on); older kernels see new messages while writes are in flight only when one of them is done,
// which groups commits as of old.
#pragma once

#include "storage.h"

namespace loopline::io {

// To be made by the thread that uses it. Faults: unsupported (no io_uring here, and why).
Result<std::unique_ptr<Storage>> make_uring_storage(uint32_t depth);

}  // namespace loopline::io
