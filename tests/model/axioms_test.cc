// Axioms: random small programs have the same outcomes by running and by definition.
#include "axioms.h"

#include <gtest/gtest.h>

#include <random>

#include "explorer.h"
#include "shm/base/atomic.h"

namespace loopline::model {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: as a random order, or to set up
constexpr unsigned location_count = 2;

struct Shape {
  unsigned threads;
  unsigned steps_max;
};

Program make_program(uint64_t seed, Shape shape) {
  constexpr std::memory_order loads[] = {relaxed, relaxed, std::memory_order_acquire,
                                         std::memory_order_acquire, std::memory_order_seq_cst};
  constexpr std::memory_order stores[] = {relaxed, relaxed, std::memory_order_release,
                                          std::memory_order_release, std::memory_order_seq_cst};
  constexpr std::memory_order updates[] = {relaxed, std::memory_order_acquire,
                                           std::memory_order_release, std::memory_order_acq_rel,
                                           std::memory_order_seq_cst};
  constexpr std::memory_order fences[] = {std::memory_order_acquire, std::memory_order_release,
                                          std::memory_order_acq_rel, std::memory_order_seq_cst,
                                          std::memory_order_seq_cst};
  std::mt19937_64 random(seed);
  Program program(shape.threads);
  for (auto& thread : program) {
    const auto count = 1 + random() % shape.steps_max;
    while (thread.size() < count) {
      Step step{};
      const auto kind = random() % 12;
      const auto pick = random() % 5;
      step.kind = kind < 4   ? StepKind::load
                  : kind < 8 ? StepKind::store
                  : kind < 9 ? StepKind::add
                             : static_cast<StepKind>(3 + kind % 2);
      step.order = step.kind == StepKind::load    ? loads[pick]
                   : step.kind == StepKind::store ? stores[pick]
                   : step.kind == StepKind::fence ? fences[pick]
                                                  : updates[pick];
      step.failure = loads[random() % 5];
      step.location = static_cast<uint8_t>(random() % location_count);
      step.value = 1 + random() % 3;
      step.expected = random() % 3;
      thread.push_back(step);
    }
  }
  return program;
}

class Runner {
 public:
  explicit Runner(const Program& program) : program_(program), reads_(program.size()) {}

  std::set<Outcome> outcomes(const Limits& limits) {
    seen_.clear();
    Scenario scenario{.name = "random", .set_up = [this] {
                        for (auto& word : words_) word.store(0, relaxed);
                        for (auto& reads : reads_) reads.clear();
                      }};
    for (unsigned thread = 0; thread < program_.size(); ++thread) {
      scenario.threads.push_back([this, thread] { run(thread); });
    }
    scenario.check = [this] {
      Outcome outcome;
      for (const auto& reads : reads_) {
        outcome.insert(outcome.end(), reads.begin(), reads.end());
        outcome.push_back(end_of_thread);
      }
      for (const auto& word : words_) outcome.push_back(word.load(relaxed));
      seen_.insert(outcome);
    };
    const Report report = explore(scenario, limits);
    EXPECT_TRUE(report.passed) << report;
    return seen_;
  }

 private:
  void run(unsigned thread) {
    auto& reads = reads_[thread];
    for (const auto& step : program_[thread]) {
      auto& word = words_[step.location];
      switch (step.kind) {
        case StepKind::load:
          reads.push_back(word.load(step.order));
          break;
        case StepKind::store:
          word.store(step.value, step.order);
          break;
        case StepKind::add:
          reads.push_back(word.fetch_add(step.value, step.order));
          break;
        case StepKind::fence:
          fence(step.order);
          break;
        case StepKind::compare_exchange: {
          uint64_t expected = step.expected;
          const bool done = word.compare_exchange(expected, step.value, step.order, step.failure);
          reads.push_back(done ? swapped : expected);
          break;
        }
      }
    }
  }

  const Program& program_;
  Atomic<uint64_t> words_[location_count];
  std::vector<Outcome> reads_;
  std::set<Outcome> seen_;
};

// The explorer finds nothing that is not allowed, and everything that is allowed in order.
void compare(uint64_t seed, Shape shape) {
  SCOPED_TRACE("seed " + std::to_string(seed));
  const Program program = make_program(seed, shape);
  const Allowed allowed = allowed_outcomes(program, location_count);
  Runner runner(program);
  const auto found = runner.outcomes({});
  for (const auto& outcome : found) {
    EXPECT_TRUE(allowed.all.contains(outcome))
        << "found, not allowed: " << testing::PrintToString(outcome);
  }
  for (const auto& outcome : allowed.in_order) {
    EXPECT_TRUE(found.contains(outcome))
        << "allowed, not found: " << testing::PrintToString(outcome);
  }
  EXPECT_EQ(found, runner.outcomes({.reduces = false}));
  EXPECT_EQ(found, runner.outcomes({.reduces = false, .prunes = false}));
}

TEST(Axioms, AllowForTwoThreadsWhatTheExplorerFinds) {
  for (uint64_t seed = 0; seed < 150 && !testing::Test::HasFailure(); ++seed) compare(seed, {2, 4});
}

TEST(Axioms, AllowForThreeThreadsWhatTheExplorerFinds) {
  for (uint64_t seed = 0; seed < 80 && !testing::Test::HasFailure(); ++seed) compare(seed, {3, 2});
}

}  // namespace
}  // namespace loopline::model
