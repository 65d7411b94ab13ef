// Rates: how fast counters of producers and consumers grow, from one look at a ring to the next.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>

#include "shm/inspect.h"

namespace loopline::cli {

struct Rate {
  double messages = 0;  // a second
  double bytes = 0;
};

class Rates {
 public:
  // How fast the handle went since the look before; nothing when it was not there, or now for the
  // first time. Notes its counts for the next look.
  std::optional<Rate> of(const shm::RingSnapshot& snapshot, const shm::ProducerFacts& producer);
  std::optional<Rate> of(const shm::RingSnapshot& snapshot, const shm::CursorFacts& cursor);
  // The look is over: the next one is compared with it.
  void turn();
  bool has_looked() const { return has_looked_; }

 private:
  struct Counts {
    uint64_t taken_ns = 0;
    uint64_t messages = 0;
    uint64_t bytes = 0;
  };
  std::optional<Rate> between(const std::string& key, const Counts& now);

  std::map<std::string, Counts> before_, now_;
  bool has_looked_ = false;
};

}  // namespace loopline::cli
