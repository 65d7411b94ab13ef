// SpscRing: which benches it takes part in.
#include "spsc_ring.h"

#include "peers.h"
#include "perf/harness/loops.h"

namespace loopline::perf {

void add_spsc_ring(Cases& cases) {
  for (const uint64_t size : message_sizes) {
    add_case<SpscRing>(cases, "rtt", size, measure_rtt<SpscRing>);
    add_case<SpscRing>(cases, "one-way", size, measure_one_way<SpscRing>);
  }
}

}  // namespace loopline::perf
