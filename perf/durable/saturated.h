// Saturated: a file station that is given more than the disk takes, and a reader of its log.
#pragma once

#include "rows.h"

namespace loopline::perf {

// Messages of 64 KiB as fast as the ring takes them; counted when they are durable. Segments are
// dropped and used again, so that none is made while it is measured. Cores are those of the
// flusher: the thread that publishes is left out.
Result<Figures> write_saturated(const Site& site, bool is_spinning);

// A log of as many bytes as the big file, read and checked batch by batch, as a consumer does that
// has fallen behind.
Result<Figures> read_log(const Site& site);

}  // namespace loopline::perf
