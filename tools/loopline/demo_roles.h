// Demo roles: what the processes of the demo do, each from its fork to its end.
#pragma once

#include <cstdint>
#include <string>

#include "demo_board.h"
#include "demo_records.h"

namespace loopline::cli {

// What every process of the demo knows.
struct DemoStage {
  const DemoRecords* records = nullptr;
  const DemoMemory* memory = nullptr;
  std::string dir;
  std::string station;
  uint64_t ring_bytes = 0;
  double rate = 0;  // of each producer, messages a second
};

// The id by which consumers know producer `index`; it keeps it over a restart.
constexpr uint64_t demo_producer_id(uint32_t index) { return index + 1; }

// Publishes every second record, from where its journal ends, at the stage's rate; told to die it
// claims, fills half, and waits inside the claim for its SIGKILL. Returns an exit status.
int run_demo_producer(const DemoStage& stage, uint32_t index);

// Reads, sums up and measures until the end; `is_lossy` ones stop now and then until they are
// lapped.
int run_demo_consumer(const DemoStage& stage, uint32_t index, bool is_lossy);

}  // namespace loopline::cli
