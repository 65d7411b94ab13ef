// Explorer: runs a few threads in every order, with every stale value they may read, and reports.
//
//   Atomic<uint64_t> data, flag;
//   model::Scenario scenario{
//       .name = "message passing",
//       .set_up = [&] { data.store(0, relaxed); flag.store(0, relaxed); },
//       .threads = {[&] { data.store(7, relaxed); flag.store(1, release); },
//                   [&] { if (flag.load(acquire) == 1) model::require(data.load(relaxed) == 7,
//                   "7"); }},
//   };
//   const model::Report report = model::explore(scenario);
//   EXPECT_TRUE(report.passed) << report;
//
// The threads are fibers of the calling thread: everything they share must go through atomic.h, and
// a thread must do the same again when it reads the same again (no clock, no thread_local, no
// chance). How it explores, what it covers and what not: README.md.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <iosfwd>
#include <string>
#include <vector>

namespace loopline::model {

struct Scenario {
  std::string name;
  // Once, before the first execution: makes the memory, names it, keeps it (keep_memory). May be
  // empty.
  std::function<void()> prepare = {};
  // Before every execution: brings what the threads use to its initial state. May be empty.
  std::function<void()> set_up = {};
  std::vector<std::function<void()>> threads = {};
  // After every execution in which all threads ended: sees the newest values. May be empty.
  std::function<void()> check = {};
  // Threads (by index) that may be killed before any step that others can see. Instead of the rest
  // of the body, the victim then runs `on_death` (what its kernel does for it), unless that is
  // empty.
  std::vector<unsigned> mortals = {};
  std::function<void(unsigned thread)> on_death = {};
};

struct Limits {
  uint64_t states_max = 100'000'000;
  unsigned steps_max = 2'000;         // choices in one execution; more means a loop without end
  unsigned operations_max = 100'000;  // accesses in one execution
  unsigned time_outs = 0;             // how many futex waits of one execution may time out
  size_t payload_words =
      ~size_t{0};  // of a bulk copy, only so many first and last words are modelled
  // For the explorer's own tests: without either it interleaves every access, or revisits states.
  bool reduces = true;
  bool prunes = true;
  bool pause_waits = true;  // false: spin_pause is nothing, for loops that count their spins
};

struct Report {
  std::string name;
  bool passed = false;       // no finding, and everything was explored
  std::string failure;       // the first finding, or why the exploration is not complete
  std::string trace;         // the steps that led there
  std::string seed;          // one line for replay()
  uint64_t states = 0;       // distinct ones with a choice
  uint64_t transitions = 0;  // distinct steps out of them
  uint64_t executions = 0;
  uint64_t operations = 0;  // accesses, replayed ones included
  unsigned depth_max = 0;   // of choices in one execution
  unsigned passes = 0;      // starts; all but the last ended by learning something (memory.h)
  double seconds = 0;
};
std::ostream& operator<<(std::ostream& out, const Report& report);

Report explore(const Scenario& scenario, const Limits& limits = {});
// Runs exactly the execution of a report's seed, and ends with its trace.
Report replay(const Scenario& scenario, const std::string& seed, const Limits& limits = {});

// In a thread, or in check: a condition that must hold in every execution.
void require(bool condition, const char* what);
// In a thread: any number below `count`; all are explored.
unsigned choose(unsigned count);
// In a thread: its index; and ~0u outside.
unsigned this_thread();
// In a thread: a line for the trace.
void note(const char* what, uint64_t value);
// In a thread, between two calls of the code under test: from here on it depends on its past only
// through these words. Merges states that differ in the past alone; wrong words hide bugs.
void remember_only(std::initializer_list<uint64_t> words);

// In prepare or set_up: how the trace calls an address, and what lies up to 4 KiB behind it.
void name_location(const void* address, std::string name);
// In prepare: [base + size, base + 2 size) is the same memory as [base, base + size).
void add_mirror(const void* base, size_t size);
// In prepare: bytes that return, before every set_up, to what they were when prepare ended.
void keep_memory(void* base, size_t size);

}  // namespace loopline::model
