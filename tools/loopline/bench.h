// Bench: what a measurement between two processes found.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace loopline::cli {

struct BenchResult {
  std::string bench;  // rtt, or one-way
  uint64_t size_bytes = 0;
  std::string wait;
  std::vector<int> cpus;  // one for each process; empty: not pinned
  double seconds = 0;
  uint64_t messages = 0;  // round trips, or messages that arrived
  double rate_per_s = 0;
  double bytes_per_s = 0;
  // Of a round trip, or of one call to publish.
  uint64_t p50_ns = 0, p99_ns = 0, p999_ns = 0, max_ns = 0;
};

}  // namespace loopline::cli
