// Deaths: how long messages wait for an event loop while their producers are killed.
#pragma once

#include "shm/base/histogram.h"
#include "shm/base/result.h"

namespace loopline::perf {

struct DeathsOfProducers {
  int killed_count = 0;
  Histogram waited_ns;  // of each message, from its claim until the loop has it
};

// One consumer in epoll by fd(), one producer after another, each killed within some milliseconds
// of publishing a message every 50 us or so. Takes about 10 seconds.
Result<DeathsOfProducers> kill_producers_of_a_loop();

}  // namespace loopline::perf
