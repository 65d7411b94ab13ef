// Peers: everything that can be measured, each from its own file.
#pragma once

#include "perf/harness/cases.h"

namespace loopline::perf {

void add_loopline(Cases& cases);
void add_raw_line(Cases& cases);
void add_spsc_ring(Cases& cases);
void add_iceoryx(Cases& cases);
void add_zeromq(Cases& cases);
void add_unix_socket(Cases& cases);
void add_posix_queue(Cases& cases);
void add_boost_queue(Cases& cases);

// All of the above; who is asked for is decided by the options.
inline Cases all_cases() {
  Cases cases;
  add_loopline(cases);
  add_raw_line(cases);
  add_spsc_ring(cases);
  add_iceoryx(cases);
  add_zeromq(cases);
  add_unix_socket(cases);
  add_posix_queue(cases);
  add_boost_queue(cases);
  return cases;
}

}  // namespace loopline::perf
