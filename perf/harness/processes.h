// Processes: runs two or three roles as pinned processes and brings their results back.
//
//   parent   Stage in shared memory ── fork ──> role 0 (cpu 0)   meet()  measure  -> outcome(0)
//                                   └─ fork ──> role 1 (cpu 1)   meet()  measure  -> outcome(1)
//            sleeps until both are gone, kills all when one fails or the time is up
//
// A role's body runs after the fork; what it captured by reference is the child's own copy, except
// for shared memory. The parent sleeps meanwhile, so the processors belong to the roles.
//
// Happens-before edges
//   [meet]  every role stores arrived -> every role loads it    preparations are done everywhere
//   [exit]  a role's stores -> the parent after waitpid         outcomes may be read (the kernel's)
#pragma once

#include <array>
#include <functional>
#include <span>
#include <vector>

#include "shared_block.h"
#include "shm/base/atomic.h"
#include "shm/base/histogram.h"
#include "shm/base/result.h"

namespace loopline::perf {

inline constexpr uint32_t roles_max = 4;

// What a role measured; zeroed before the run.
struct Outcome {
  uint64_t message_count;
  uint64_t bad_count;  // messages lost, repeated, torn or of the wrong size
  uint64_t wall_ns;    // of the measured part only, like the two below
  uint64_t cpu_ns;
  uint64_t delayed_ns;  // ready to run, and something else was running
  char fault[256];      // why the role gave up; empty when it did not
  Histogram latency_ns;
};

// The page that all roles of a run share.
class Stage {
 public:
  void expect(uint32_t role_count) { role_count_ = role_count; }

  // Waits until every role is here. Whoever never comes is killed by the parent's deadline.
  void meet();
  Outcome& outcome(uint32_t role) { return outcomes_[role]; }
  const Outcome& outcome(uint32_t role) const { return outcomes_[role]; }

 private:
  Atomic<uint32_t> arrived_;
  uint32_t role_count_;
  Outcome outcomes_[roles_max];
};

// Measures this process between begin() and end(): wall, processor time, and time spent waiting for
// a processor. The last comes from the kernel's run queue statistics and is 0 where it keeps none.
class Usage {
 public:
  void begin();
  void end(Outcome& outcome) const;

 private:
  uint64_t wall_ns_ = 0;
  uint64_t cpu_ns_ = 0;
  uint64_t delayed_ns_ = 0;
};

struct Role {
  const char* name;
  std::vector<int> cpus;  // it may run on these, and on no others
  std::function<Status(Stage&, Outcome&)> body;
};

// What the roles left behind.
class Outcomes {
 public:
  explicit Outcomes(SharedBlock block) : block_(std::move(block)) {}
  const Outcome& operator[](uint32_t role) const { return block_.as<Stage>().outcome(role); }

 private:
  SharedBlock block_;
};

// Runs all roles to their end. A role that fails, dies or outlives `timeout_ns` ends the run: the
// others are killed, and the fault says which role it was.
Result<Outcomes> run_roles(std::span<const Role> roles, uint64_t timeout_ns);

// Puts this process, and what it forks from now on, before everything else, or back.
Status set_realtime(bool wanted);

// The first two processors this process may use.
Result<std::array<int, 2>> first_two_cpus();

}  // namespace loopline::perf
