// Why findings: from two looks at a ring to what is slow on it; touches nothing but /proc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "finding.h"
#include "shm/inspect.h"

namespace loopline::cli {

// What was there both times is stuck; what differs moves.
struct TwoLooks {
  shm::RingSnapshot before;
  shm::RingSnapshot now;
  std::optional<shm::RingSnapshot> predecessor;  // while it is still read
  double seconds() const;
  double messages_per_s() const;
};

// Never empty: when nothing is wrong, it says that.
std::vector<Finding> why_findings(const TwoLooks& looks);

// How much of the ring no producer may reuse: 0 to 1.
double fill_of(const shm::RingSnapshot& snapshot);
// "45%"
std::string percent_text(double part);

}  // namespace loopline::cli
