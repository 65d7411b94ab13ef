// Engine: one execution after the other, each thread on its fiber, each choice from the script.
//
// A thread runs until its next step that others could notice, names it (`pending`) and calls
// schedule(), which on that same stack picks whose step is next, does it, and switches to that
// thread. A state is what all threads have read so far, all views, and all stores that can still be
// read; the choices out of a state seen before are not explored again.
//
// Going back to a choice, memory and progress are undone, but a stack cannot be: the threads start
// anew and run, one after the other, up to where they were, on what their logs say they read.
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
  void perform(Operation& operation) {
    Thread& thread = *threads_[running_];
    if (thread.mortal && is_visible(operation.kind)) [[unlikely]]
      die_perhaps();
    const uint32_t signature = signature_of(operation);
    if (const Entry* entry = next_entry(thread, signature)) {
      operation.result = entry->result;
      operation.done = entry->done;
    } else {
      perform_new(thread, operation, signature);
    }
  }
  void perform_unmodelled(Operation& operation);  // of a word that may be skipped
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
  static constexpr unsigned dispatcher_number = ~0u - 1;
  static Engine* current_engine;
  static constexpr const char* hidden_input = "not the same steps again: a hidden input";

  enum class Mode { walk, explore, show, replay };
  enum class Outcome { completed, pruned, failed, learned };
  enum class Status : uint8_t { fresh, ready, paused, asleep, ended };

  // How far a thread is; what undo_to() restores.
  struct Progress {
    Status status = Status::fresh;
    bool started = false;
    bool wrote = false;  // changed something in this spin iteration
    uint32_t log_size = 0;
    Hash history;  // of all it read
    Hash history_at_pause;
    Hash iteration;  // of what it read since its last pause
    Hash last_iteration;
    Hash watched_hash;
    uint64_t watched[(location_count_max + 63) / 64] = {};  // locations read since the last pause
    uint8_t read_index[location_count_max] = {};            // the stores it read there
  };
  // What one call from the thread gave it.
  struct Entry {
    Pair result;
    uint32_t signature;  // of the call
    bool done;
  };
  struct Thread {
    Progress progress;
    uint64_t saved = 0;  // the step in which progress was saved
    bool mortal = false;
    bool dying = false;
    size_t position = 0;  // in the log; behind its end the thread is where nobody was before
    std::vector<Entry> log;
    Operation* pending = nullptr;
    StackPointer stack = nullptr;
    Fiber fiber;
  };
  struct Kept {
    char* base;
    std::vector<char> image;
  };
  struct Mark {
    size_t saved_count;
    size_t unmodelled_count;
    unsigned operations;
    unsigned time_outs;
    unsigned last;
  };

  // What a log entry belongs to, to notice a thread that does not do the same again.
  static constexpr uint32_t signature_of_choice = 1;
  static constexpr uint32_t signature_of_pause = 2;
  static uint32_t signature_of(const Operation& operation) {
    const auto place = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(operation.address));
    return (place << 4 | static_cast<uint32_t>(operation.kind)) + signature_of_pause + 1;
  }
  static bool is_visible(OperationKind kind) {
    return kind != OperationKind::load && kind != OperationKind::fence;
  }

  Report start();
  void finish(Report& report, Outcome outcome);
  void learn_by_walking();
  Outcome run_pass();
  void show(Report& report);

  // engine.cc: one execution.
  Outcome run_execution();
  Outcome continue_execution();
  void set_up();
  Outcome finish_execution();
  static void enter();
  static void enter_dispatcher();
  [[noreturn]] void run_thread();
  [[noreturn]] void stop(Outcome outcome);
  void perform_new(Thread& thread, Operation& operation, uint32_t signature);
  void switch_to(unsigned number);
  StackPointer& stack_of(unsigned number);
  void dispatch();
  void run(unsigned number, Operation& operation, unsigned back);
  void remember(Progress& progress, const Operation& operation);
  static void forget_iteration(Progress& progress);
  unsigned choose_alone(const std::vector<Option>& options);
  void die_perhaps();

  // schedule.cc: the order of steps.
  void schedule();
  unsigned find_resumable() const;
  bool can_resume(const Progress& progress) const;
  Option decide();
  Option take_next();
  Option take_new(const std::vector<Option>& options, bool alone);
  void list_options();
  void add_options_of(unsigned number);
  bool is_new_state();
  bool apply(Option option);
  void wake_sleepers(unsigned location);
  std::string describe_stuck() const;

  // schedule.cc: going back.
  Progress& change(unsigned number);
  void begin_step();
  void undo_to(unsigned step);
  void restore_threads();
  // What the log says comes next; nullptr where nobody was before.
  const Entry* next_entry(Thread& thread, uint32_t signature) {
    if (thread.position == thread.log.size()) [[unlikely]]
      return nullptr;
    const Entry* entry = &thread.log[thread.position++];
    if (entry->signature != signature) [[unlikely]]
      fail(hidden_input);
    return entry;
  }
  void add_entry(const Entry& entry);
  bool is_showing() const { return mode_ == Mode::show || mode_ == Mode::replay; }

  const Scenario& scenario_;
  Limits limits_;
  Memory memory_;
  Script script_;
  Trace trace_;
  Visited visited_;
  std::vector<std::unique_ptr<Thread>> threads_;
  std::vector<Kept> kept_;

  Mode mode_ = Mode::explore;
  bool restoring_ = false;
  unsigned running_ = main_number;
  unsigned last_ = 0;  // whose step was the last
  StackPointer main_stack_ = nullptr;
  StackPointer dispatcher_stack_ = nullptr;
  Fiber dispatcher_;  // schedules while no thread runs, so that stop() can leave it as any other
  Outcome outcome_ = Outcome::completed;
  std::string failure_;
  std::vector<Option> options_;
  std::vector<uint8_t> backs_;
  uint64_t random_ = 0;

  uint64_t step_ = 0;  // never the same again; 0: nothing is to be undone
  uint64_t step_serial_ = 0;
  std::vector<Mark> marks_;
  std::vector<std::pair<unsigned, Progress>> saved_;
  std::vector<Operation> unmodelled_;  // stores to words left out, to be done again

  unsigned operations_ = 0;
  unsigned time_outs_ = 0;
  uint64_t operations_all_ = 0;
  uint64_t transitions_ = 0;
  uint64_t executions_ = 0;
  unsigned depth_max_ = 0;
  unsigned passes_ = 0;
};

}  // namespace loopline::model
