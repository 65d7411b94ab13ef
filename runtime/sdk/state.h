// State: what stands behind the public handles, hidden from programs that link the library.
#pragma once

#include <memory>
#include <utility>

#include "loopline/consumer.h"
#include "loopline/producer.h"
#include "shm/consumer.h"
#include "shm/producer.h"

namespace loopline {

struct ProducerState {
  shm::Producer ring;
  bool reject = false;  // the station's when-full
  bool identified = false;
  uint64_t id = 0;
  uint32_t epoch = 0;
  uint64_t next_sequence = 1;
};

struct ConsumerState {
  explicit ConsumerState(shm::Consumer consumer) : ring(std::move(consumer)) {}

  shm::Consumer ring;
  shm::FrameView views[Consumer::run_max];
  Message messages[Consumer::run_max];
};

// A duration as a deadline in monotonic time.
uint64_t deadline_after(std::chrono::nanoseconds timeout);

}  // namespace loopline
