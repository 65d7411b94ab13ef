// Process: one handle of a process on a station, as `process ls` tells it.
#pragma once

#include <optional>
#include <string>

#include "rates.h"
#include "shm/inspect.h"

namespace loopline::cli {

struct Attachment {
  std::string station;
  std::string role;  // producer | consumer
  std::string kind;  // of a consumer: lossless | lossy
  uint32_t slot = 0;
  shm::Occupant who;
  uint64_t messages = 0;
  uint64_t bytes = 0;
  uint64_t lag_messages = 0;
  std::optional<Rate> rate;
};

}  // namespace loopline::cli
