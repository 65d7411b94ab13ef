// Explorer: the passes over all executions, the report, and the calls that scenarios and alias.h
// make.
#include "explorer.h"

#include <signal.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ostream>

#include "engine.h"
#include "shm/base/check.h"

namespace loopline::model {

namespace {

constexpr unsigned walk_count = 200;

// A crash inside a thread (LL_CHECK, a wild pointer) is a finding like any other: the handler
// leaves for good, to the explorer's own stack.
class CrashCatcher {
 public:
  CrashCatcher() {
    stack_t stack{};
    stack.ss_sp = stack_;
    stack.ss_size = sizeof stack_;
    ::sigaltstack(&stack, &old_stack_);
    struct sigaction action {};
    action.sa_handler = &CrashCatcher::handle;
    action.sa_flags = SA_NODEFER | SA_ONSTACK;
    for (unsigned index = 0; index < std::size(signals); ++index) {
      ::sigaction(signals[index], &action, &old_actions_[index]);
    }
  }
  ~CrashCatcher() {
    for (unsigned index = 0; index < std::size(signals); ++index) {
      ::sigaction(signals[index], &old_actions_[index], nullptr);
    }
    ::sigaltstack(&old_stack_, nullptr);
  }
  CrashCatcher(const CrashCatcher&) = delete;
  CrashCatcher& operator=(const CrashCatcher&) = delete;

 private:
  static constexpr int signals[] = {SIGABRT, SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGFPE};

  static void handle(int number) {
    Engine* engine = Engine::current();
    if (engine != nullptr && engine->in_thread()) {
      engine->fail("t" + std::to_string(engine->running()) + " crashes: " + ::strsignal(number));
    }
    ::signal(number, SIG_DFL);
    ::raise(number);
  }

  char stack_[64 << 10];
  stack_t old_stack_{};
  struct sigaction old_actions_[std::size(signals)]{};
};

}  // namespace

Engine::Engine(const Scenario& scenario, const Limits& limits)
    : scenario_(scenario), limits_(limits) {
  LL_CHECK(current_engine == nullptr);
  LL_CHECK(scenario.threads.size() <= thread_count_max);
  current_engine = this;
  for (size_t index = 0; index < scenario.threads.size(); ++index) {
    threads_.push_back(std::make_unique<Thread>());
  }
  for (const unsigned mortal : scenario.mortals) threads_.at(mortal)->mortal = true;
}

Engine::~Engine() { current_engine = nullptr; }

void Engine::keep(void* base, size_t size) {
  kept_.push_back({static_cast<char*>(base), std::vector<char>(size)});
}

Report Engine::start() {
  if (scenario_.prepare) scenario_.prepare();
  for (auto& kept : kept_) std::memcpy(kept.image.data(), kept.base, kept.image.size());
  Report report;
  report.name = scenario_.name;
  return report;
}

void Engine::finish(Report& report, Outcome outcome) {
  report.failure = failure_;
  report.passed = outcome != Outcome::failed;
  report.states = visited_.count();
  report.transitions = transitions_;
  report.executions = executions_;
  report.operations = operations_all_;
  report.depth_max = depth_max_;
  report.passes = passes_;
}

// A few random executions learn most unordered accesses for far less than a pass each.
void Engine::learn_by_walking() {
  mode_ = Mode::walk;
  random_ = 0x2545f4914f6cdd1d;
  memory_.start_pass();
  for (unsigned walk = 0; walk < walk_count; ++walk) {
    run_execution();
    if (memory_.learned() == Learned::layout) memory_.start_pass();
  }
}

Engine::Outcome Engine::run_pass() {
  ++passes_;
  memory_.start_pass();
  visited_.clear();
  script_.clear();
  transitions_ = 0;
  executions_ = 0;
  depth_max_ = 0;
  Outcome outcome = run_execution();
  while (outcome != Outcome::failed && outcome != Outcome::learned) {
    if (!script_.backtrack()) return Outcome::completed;
    ++transitions_;
    outcome = continue_execution();
  }
  return outcome;
}

void Engine::show(Report& report) {
  mode_ = Mode::show;
  run_execution();
  report.trace = trace_.text();
  report.seed = trace_.seed();
}

Report Engine::explore() {
  const auto began = std::chrono::steady_clock::now();
  Report report = start();
  learn_by_walking();
  mode_ = Mode::explore;
  Outcome outcome = Outcome::learned;
  while (outcome == Outcome::learned) outcome = run_pass();
  finish(report, outcome);
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  if (outcome == Outcome::failed) show(report);
  return report;
}

Report Engine::replay(const std::string& seed) {
  Report report = start();
  mode_ = Mode::replay;
  Outcome outcome = Outcome::learned;
  while (outcome == Outcome::learned) {
    memory_.start_pass();
    script_.clear();
    for (const Option option : from_seed(seed)) script_.push({option}, false);
    outcome = run_execution();
  }
  finish(report, outcome);
  report.trace = trace_.text();
  report.seed = trace_.seed();
  return report;
}

Report explore(const Scenario& scenario, const Limits& limits) {
  const CrashCatcher catcher;
  Engine engine(scenario, limits);
  return engine.explore();
}

Report replay(const Scenario& scenario, const std::string& seed, const Limits& limits) {
  const CrashCatcher catcher;
  Engine engine(scenario, limits);
  return engine.replay(seed);
}

std::ostream& operator<<(std::ostream& out, const Report& report) {
  char line[256];
  std::snprintf(line, sizeof line,
                "%llu states, %llu transitions, %llu executions, depth %u, %u passes, "
                "%llu accesses, %.2f s",
                static_cast<unsigned long long>(report.states),
                static_cast<unsigned long long>(report.transitions),
                static_cast<unsigned long long>(report.executions), report.depth_max, report.passes,
                static_cast<unsigned long long>(report.operations), report.seconds);
  out << report.name << ": " << (report.passed ? "passed" : "FAILED") << ", " << line << "\n";
  if (report.passed) return out;
  return out << "  finding: " << report.failure << "\n  replay: " << report.seed << "\n"
             << report.trace;
}

void require(bool condition, const char* what) {
  if (condition) return;
  LL_CHECK(Engine::current() != nullptr);
  Engine::current()->fail(what);
}

unsigned choose(unsigned count) { return Engine::current()->choose(count); }

unsigned this_thread() {
  const Engine* engine = Engine::current();
  return engine == nullptr ? ~0u : engine->running();
}

void note(const char* what, uint64_t value) { Engine::current()->note(what, value); }

void remember_only(std::initializer_list<uint64_t> words) {
  Engine::current()->remember_only(words);
}

void name_location(const void* address, std::string name) {
  Engine* engine = Engine::current();
  engine->trace().name(engine->memory().canonical(address), std::move(name));
}

void add_mirror(const void* base, size_t size) {
  Engine::current()->memory().add_mirror(reinterpret_cast<uintptr_t>(base), size);
}

void keep_memory(void* base, size_t size) { Engine::current()->keep(base, size); }

// --- Bulk copies ---

namespace {

// Word by word, as a processor may do it; `shared` is modelled, `own` is not.
void copy_words(OperationKind kind, char* shared, char* own, size_t size) {
  Engine& engine = *Engine::current();
  const auto begin = reinterpret_cast<uintptr_t>(shared);
  const uintptr_t first = begin & ~uintptr_t{7};
  const size_t count = (begin + size - first + 7) / 8;
  const size_t border = std::min(engine.limits().payload_words, count);
  for (size_t index = 0; index < count; ++index) {
    const uintptr_t word = first + 8 * index;
    const uintptr_t from = std::max(word, begin);
    const uintptr_t to = std::min(word + 8, begin + size);
    char* mine = own + (from - begin);
    Operation operation{.kind = kind,
                        .size = static_cast<uint8_t>(to - from),
                        .address = reinterpret_cast<const void*>(from)};
    if (kind == OperationKind::store) std::memcpy(&operation.value, mine, to - from);
    if (index >= border && index < count - border &&
        engine.may_skip(reinterpret_cast<const void*>(word))) {
      engine.perform_unmodelled(operation);
    } else {
      engine.perform(operation);
    }
    if (kind == OperationKind::load) std::memcpy(mine, &operation.result, to - from);
  }
}

bool is_modelled() { return Engine::current() != nullptr && Engine::current()->in_thread(); }

}  // namespace

void copy_in(void* to, const void* from, size_t size) {
  if (!is_modelled()) {
    std::memcpy(to, from, size);
    return;
  }
  // Only read, as the kind says.
  copy_words(OperationKind::store, static_cast<char*>(to),
             const_cast<char*>(static_cast<const char*>(from)), size);
}

void copy_out(void* to, const void* from, size_t size) {
  if (!is_modelled()) {
    std::memcpy(to, from, size);
    return;
  }
  copy_words(OperationKind::load, const_cast<char*>(static_cast<const char*>(from)),
             static_cast<char*>(to), size);
}

}  // namespace loopline::model
