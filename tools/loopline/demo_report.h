// Demo report: how the demo tells what it does, and the table that it ends with.
#pragma once

#include <string>
#include <vector>

#include "demo_verdict.h"
#include "output.h"

namespace loopline::cli {

struct DemoResult {
  std::string source;
  uint64_t record_count = 0;
  uint64_t record_bytes = 0;
  uint64_t ring_bytes = 0;
  uint64_t processors = 0;
  double seconds = 0;  // of publishing
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t p50_ns = 0, p90_ns = 0, p99_ns = 0, p999_ns = 0,
           max_ns = 0;  // claim to handler, at "first"
  uint64_t killed_sequence = 0;
  uint64_t first_resumed_ns = 0;  // after the kill
  uint64_t late_resumed_ns = 0;
  JournalVerdict journals;
  std::vector<ConsumerVerdict> consumers;
  bool is_removed = false;  // nothing is left in shared memory

  bool is_equal() const;
};

// One second's figures.
struct DemoMoment {
  uint64_t second = 0;
  uint64_t published = 0;
  double published_rate = 0;
  double bytes_rate = 0;
  double handed_rate[demo_consumer_count] = {};
  bool has_late = false;
  uint64_t missed = 0;  // by the lossy consumer, so far
};

std::string demo_moments_title();
std::string demo_moment_text(const DemoMoment& moment);
void print_demo_result(Output& out, const DemoResult& result);

}  // namespace loopline::cli
