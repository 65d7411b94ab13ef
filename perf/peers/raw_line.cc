// RawLine: which benches it takes part in.
#include "raw_line.h"

#include "peers.h"
#include "perf/harness/loops.h"

namespace loopline::perf {

void add_raw_line(Cases& cases) {
  add_case<RawLine>(cases, "rtt", message_sizes[0], measure_rtt<RawLine>);
  add_wake<RawLine>(cases);
}

}  // namespace loopline::perf
