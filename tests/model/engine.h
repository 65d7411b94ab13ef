// Engine: one execution after the other, each thread on its fiber, each choice from the script.
//
// A thread runs until its next step that others could notice, names it (`pending`) and calls
// schedule(), which on that same stack picks whose step is next, does it, and switches to that
// thread. A state is what all threads have read so far, all views, and all stores that can still be
// read; the choices out of a state seen before are not explored again.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "explorer.h"
#include "fiber.h"
#include "memory.h"
#include "script.h"
#include "trace.h"
#include "visited.h"

namespace loopline::model {

class Engine {
 public:
  Engine(const Scenario& scenario, const Limits& limits);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // The engine at work; explorations do not nest.
  static Engine* current() { return current_engine; }

  Report explore();
  Report replay(const std::string& seed);

  // From threads of the scenario.
  bool in_thread() const { return running_ != main_number; }
  unsigned running() const { return running_; }
  void perform(Operation& operation);
  void pause();
  unsigned choose(unsigned count);
  void remember_only(std::initializer_list<uint64_t> words);
  void note(const char* what, uint64_t value);
  bool may_skip(const void* word) { return memory_.may_skip(memory_.canonical(word)); }
  const Limits& limits() const { return limits_; }

  void fail(const std::string& what);  // returns only outside of threads
  Memory& memory() { return memory_; }
  Trace& trace() { return trace_; }
  void keep(void* base, size_t size);

 private:
  static constexpr unsigned main_number = ~0u;
  static Engine* current_engine;

  enum class Mode { walk, explore, show, replay };
  enum class Outcome { completed, pruned, failed, learned };
  enum class Status { fresh, ready, paused, asleep, woken, ended };

  struct Thread {
    Status status = Status::fresh;
    bool mortal = false;
    bool dying = false;
    bool wrote = false;  // changed something in this spin iteration
    StackPointer stack = nullptr;
    Operation* pending = nullptr;
    Hash history;  // of all it read
    Hash history_at_pause;
    Hash iteration;  // of what it read since its last pause
    Hash last_iteration;
    Hash watched_hash;
    std::vector<uint8_t> watched;  // locations read since the last pause
    uint8_t read_index[location_count_max] = {};
    uint32_t watch_stamp[location_count_max] = {};
    uint32_t stamp = 1;
    Fiber fiber;
  };
  struct Kept {
    char* base;
    std::vector<char> image;
  };

  Report start();
  void finish(Report& report, Outcome outcome);
  void learn_by_walking();
  Outcome run_pass();
  Outcome run_execution();
  void show(Report& report);

  static void enter();
  [[noreturn]] void run_thread();
  void schedule();
  [[noreturn]] void stop(Outcome outcome);
  void switch_to(unsigned number);
  unsigned find_resumable() const;
  bool can_resume(const Thread& thread) const;
  Option decide();
  Option take_new(const std::vector<Option>& options);
  void list_options();
  void add_options_of(unsigned number);
  bool is_new_state();
  bool apply(Option option);
  void run(unsigned number, Operation& operation, unsigned back);
  void remember(Thread& thread, const Operation& operation);
  void forget_iteration(Thread& thread);
  void wake_sleepers(unsigned location);
  unsigned choose_alone(const std::vector<Option>& options);
  void die_perhaps();
  std::string describe_stuck() const;

  const Scenario& scenario_;
  Limits limits_;
  Memory memory_;
  Script script_;
  Trace trace_;
  Visited visited_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Kept> kept_;

  Mode mode_ = Mode::explore;
  unsigned running_ = main_number;
  unsigned last_ = 0;  // whose step was the last
  StackPointer main_stack_ = nullptr;
  Outcome outcome_ = Outcome::completed;
  std::string failure_;
  std::vector<Option> options_;
  std::vector<uint8_t> backs_;
  uint64_t random_ = 0;
  unsigned operations_ = 0;
  unsigned time_outs_ = 0;
  uint64_t operations_all_ = 0;
  uint64_t transitions_ = 0;
  uint64_t executions_ = 0;
  unsigned depth_max_ = 0;
  unsigned passes_ = 0;
};

}  // namespace loopline::model
