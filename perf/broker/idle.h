// Idle: what a thousand stations on disk cost a broker while nothing happens, and how soon it is
// back.
#pragma once

#include "perf/durable/disk_bench.h"

namespace loopline::perf {

// Prints its tables; takes about two minutes.
Status measure_idle(DiskBench& bench, const Options& options);

}  // namespace loopline::perf
