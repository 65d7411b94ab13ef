// Ring watch: the figures of a ring over one interval.
#pragma once

#include <optional>
#include <vector>

#include "rates.h"
#include "shm/inspect.h"

namespace loopline::cli {

struct RingFigures {
  shm::RingSnapshot snapshot;                  // at the interval's end
  Rate in;                                     // of all producers
  std::vector<std::optional<Rate>> producers;  // in the order of the snapshot
  std::vector<std::optional<Rate>> consumers;
  uint64_t lag_max = 0;  // in messages
  double fill = 0;       // how much of the ring no producer may reuse: 0 to 1
};

}  // namespace loopline::cli
