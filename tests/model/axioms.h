// Axioms: every outcome of a small program that C++20 allows, from the definition and not by
// running.
//
// An oracle for the explorer that shares nothing with it: it tries every way in which loads could
// read from stores and stores could be ordered, and keeps what the axioms allow (RC11: Lahav,
// Vafeiadis, Kang, Hur, Dreyer: Repairing Sequential Consistency in C/C++11, 2017; release
// sequences as in C++20).
#pragma once

#include <atomic>
#include <cstdint>
#include <set>
#include <vector>

namespace loopline::model {

enum class StepKind : uint8_t { load, store, add, compare_exchange, fence };

struct Step {
  StepKind kind;
  uint8_t location = 0;
  std::memory_order order;
  std::memory_order failure = std::memory_order_relaxed;  // relaxed: unless the step says otherwise
  uint64_t value = 0;                                     // stored, added, or exchanged
  uint64_t expected = 0;
};
using Program = std::vector<std::vector<Step>>;  // by thread
// What each thread read, in order and ended by `end_of_thread`, then what each location holds. A
// compare_exchange that succeeded read `swapped`.
using Outcome = std::vector<uint64_t>;
constexpr uint64_t end_of_thread = ~uint64_t{0};
constexpr uint64_t swapped = 1000;

struct Allowed {
  std::set<Outcome> all;
  // Without those in which a store takes its place before one that already ran, or in which the
  // total order of seq_cst is not that of running: what the explorer does not look for.
  std::set<Outcome> in_order;
};
Allowed allowed_outcomes(const Program& program, unsigned location_count);

}  // namespace loopline::model
