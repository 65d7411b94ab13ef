// State: what stands behind the public handles, hidden from programs that link the library.
#pragma once

#include <memory>
#include <optional>
#include <string_view>
#include <utility>
#include <vector>

#include "catch_up.h"
#include "loopline/consumer.h"
#include "loopline/producer.h"
#include "shm/consumer.h"
#include "shm/producer.h"
#include "shm/readiness.h"
#include "shm/recorder.h"

namespace loopline {

// `rings` by partition; they are never moved once the handle is made: slots point to them.
struct ProducerState {
  std::vector<shm::Producer> rings;
  bool identified = false;
  uint64_t id = 0;
  uint64_t next_sequence = 1;
  bool is_checked = false;  // its numbers are looked up, and others are fenced
  bool was_duplicate = false;
  uint32_t epoch = 0;
  uint64_t last_known = 0;                              // of its messages, when it was opened
  std::vector<std::optional<shm::Recorder>> recorders;  // by partition, opened when first needed
  bool is_on_disk = false;  // a file station: durable is a level, and what publish waits for
  uint32_t turn = 0;        // of the next message without a key

  uint32_t partition_for(std::string_view key);
  Result<shm::Recorder*> recorder(uint32_t partition, uint64_t deadline_ns);
  Status take_over(uint64_t first_sequence);
};

struct ConsumerState {
  // One or all partitions of the station.
  struct Source {
    shm::Consumer ring;
    uint32_t partition = 0;
    bool is_ended = false;              // the station was removed, and this one read to its end
    std::unique_ptr<CatchUp> log = {};  // of a file station

    bool is_behind() const { return log && log->is_active(); }
    Result<size_t> read(std::span<shm::FrameView> views);
  };
  explicit ConsumerState(std::vector<Source> all) : sources(std::move(all)) {}

  std::vector<Source> sources;
  uint32_t last = 0;                        // the one that was read last
  bool has_run = false;                     // and has not been released
  std::optional<shm::Readiness> readiness;  // once it was asked for an fd
  shm::FrameView views[Consumer::run_max];
  Message messages[Consumer::run_max];
};

// Where the messages of a key go.
uint32_t partition_of_key(std::string_view key, size_t partitions);

// A duration as a deadline in monotonic time.
uint64_t deadline_after(std::chrono::nanoseconds timeout);

}  // namespace loopline
