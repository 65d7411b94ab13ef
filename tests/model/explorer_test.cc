// Explorer: it finds what C++20 allows, and only that, in the small programs everybody knows.
#include "explorer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <set>
#include <vector>

#include "shm/base/futex.h"

namespace loopline {
namespace {

using model::Limits;
using model::Report;
using model::Scenario;
using Threads = std::vector<std::function<void()>>;
using Outcome = std::vector<uint64_t>;

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: the programs are about the orders
constexpr auto acquire = std::memory_order_acquire;  // acquire: of whatever edge the program has
constexpr auto release = std::memory_order_release;  // release: of whatever edge the program has
constexpr auto acq_rel = std::memory_order_acq_rel;  // acq_rel: of whatever edge the program has
constexpr auto seq_cst =
    std::memory_order_seq_cst;  // seq_cst: what forbids the interesting outcome

// The counts belong to the test: they change when the exploration does, and a reader should know.
void record(const Report& report) {
  testing::Test::RecordProperty("states", std::to_string(report.states));
  testing::Test::RecordProperty("executions", std::to_string(report.executions));
  std::printf("  %s states %llu, transitions %llu, executions %llu, depth %u, passes %u\n",
              report.name.c_str(), static_cast<unsigned long long>(report.states),
              static_cast<unsigned long long>(report.transitions),
              static_cast<unsigned long long>(report.executions), report.depth_max, report.passes);
}

// A few words, a few results, and the set of results ever seen together.
class Explorer : public testing::Test {
 protected:
  std::set<Outcome> outcomes(Threads threads) {
    std::set<Outcome> seen;
    const auto set_up = [this] {
      for (auto* word : {&x_, &y_, &z_}) word->store(0, relaxed);
      pair_.store({0, 0}, relaxed);
      for (auto& result : read_) result = 0;
    };
    const Report report = model::explore(
        {.name = "litmus", .set_up = set_up, .threads = std::move(threads), .check = [&] {
           seen.insert({read_[0], read_[1], read_[2], read_[3]});
         }});
    EXPECT_TRUE(report.passed) << report;
    record(report);
    return seen;
  }
  // The same, but with conditions inside. With every access interleaved they hold or fail as well.
  Report explore(Threads threads, Limits limits = {}) {
    const Scenario conditions = scenario(std::move(threads));
    const Report report = model::explore(conditions, limits);
    record(report);
    limits.reduces = false;
    EXPECT_EQ(model::explore(conditions, limits).passed, report.passed) << report;
    return report;
  }
  Scenario scenario(Threads threads) {
    return {.name = "conditions",
            .prepare =
                [this] {
                  model::name_location(&x_, "x");
                  model::name_location(&y_, "y");
                  model::name_location(&bell_, "bell");
                  model::name_location(&parked_, "parked");
                },
            .set_up =
                [this] {
                  for (auto* word : {&x_, &y_, &z_}) word->store(0, relaxed);
                  bell_.store(0, relaxed);
                  parked_.store(0, relaxed);
                },
            .threads = std::move(threads)};
  }

  Atomic<uint64_t> x_, y_, z_;
  Atomic<uint32_t> bell_, parked_;
  AtomicPair pair_;
  uint64_t read_[4] = {};
};

using Litmus = Explorer;

// --- Two locations ---

TEST_F(Litmus, StoreBufferingReadsBothOldWithoutFences) {
  const auto seen = outcomes({[&] { x_.store(1, release), read_[0] = y_.load(acquire); },
                              [&] { y_.store(1, release), read_[1] = x_.load(acquire); }});
  EXPECT_EQ(seen, (std::set<Outcome>{{0, 0, 0, 0}, {0, 1, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 0}}));
}

TEST_F(Litmus, StoreBufferingNeverReadsBothOldWithFences) {
  const auto seen =
      outcomes({[&] { x_.store(1, relaxed), fence(seq_cst), read_[0] = y_.load(relaxed); },
                [&] { y_.store(1, relaxed), fence(seq_cst), read_[1] = x_.load(relaxed); }});
  EXPECT_EQ(seen, (std::set<Outcome>{{0, 1, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 0}}));
}

TEST_F(Litmus, StoreBufferingReadsBothOldWithOneFence) {
  const auto seen =
      outcomes({[&] { x_.store(1, relaxed), fence(seq_cst), read_[0] = y_.load(relaxed); },
                [&] { y_.store(1, relaxed), fence(acq_rel), read_[1] = x_.load(relaxed); }});
  EXPECT_TRUE(seen.contains({0, 0, 0, 0}));
}

TEST_F(Litmus, StoreBufferingNeverReadsBothOldWithTotalOrder) {
  const auto seen = outcomes({[&] { x_.store(1, seq_cst), read_[0] = y_.load(seq_cst); },
                              [&] { y_.store(1, seq_cst), read_[1] = x_.load(seq_cst); }});
  EXPECT_EQ(seen, (std::set<Outcome>{{0, 1, 0, 0}, {1, 0, 0, 0}, {1, 1, 0, 0}}));
}

TEST_F(Litmus, StoreBufferingNeverReadsBothOldWithExchangeAgainstFence) {
  const auto seen =
      outcomes({[&] { x_.store(1, seq_cst), read_[0] = y_.load(seq_cst); },
                [&] { y_.store(1, relaxed), fence(seq_cst), read_[1] = x_.load(relaxed); }});
  EXPECT_FALSE(seen.contains({0, 0, 0, 0}));
}

// read_[0] is the flag, read_[1] the payload behind it.
TEST_F(Litmus, MessagePassingIsStaleWhenEitherSideIsRelaxed) {
  const auto pass = [&](std::memory_order store_order, std::memory_order load_order) {
    return outcomes(
        {[&, store_order] { x_.store(1, relaxed), y_.store(1, store_order); },
         [&, load_order] { read_[0] = y_.load(load_order), read_[1] = x_.load(relaxed); }});
  };
  EXPECT_TRUE(pass(relaxed, acquire).contains({1, 0, 0, 0}));
  EXPECT_TRUE(pass(release, relaxed).contains({1, 0, 0, 0}));
  EXPECT_EQ(pass(release, acquire), (std::set<Outcome>{{0, 0, 0, 0}, {0, 1, 0, 0}, {1, 1, 0, 0}}));
}

TEST_F(Litmus, MessagePassingByFencesNeedsBoth) {
  const auto pass = [&](std::memory_order store_fence, std::memory_order load_fence) {
    return outcomes(
        {[&, store_fence] { x_.store(1, relaxed), fence(store_fence), y_.store(1, relaxed); },
         [&, load_fence] {
           read_[0] = y_.load(relaxed), fence(load_fence), read_[1] = x_.load(relaxed);
         }});
  };
  EXPECT_FALSE(pass(release, acquire).contains({1, 0, 0, 0}));
  EXPECT_FALSE(pass(acq_rel, acq_rel).contains({1, 0, 0, 0}));
  EXPECT_TRUE(pass(acquire, acquire).contains({1, 0, 0, 0}));
  EXPECT_TRUE(pass(release, release).contains({1, 0, 0, 0}));
}

TEST_F(Litmus, AReleaseFenceAfterThePayloadOnlyHelpsLaterStores) {
  const auto seen = outcomes({[&] { fence(release), x_.store(1, relaxed), y_.store(1, relaxed); },
                              [&] { read_[0] = y_.load(acquire), read_[1] = x_.load(relaxed); }});
  EXPECT_TRUE(seen.contains({1, 0, 0, 0}));
}

TEST_F(Litmus, LoadBufferingIsNotModelled) {
  const auto seen = outcomes({[&] { read_[0] = x_.load(relaxed), y_.store(1, relaxed); },
                              [&] { read_[1] = y_.load(relaxed), x_.store(1, relaxed); }});
  EXPECT_FALSE(seen.contains({1, 1, 0, 0}));  // README: what it does not cover
}

// --- One location ---

TEST_F(Litmus, OneLocationIsReadInItsModificationOrder) {
  const auto seen = outcomes({[&] { x_.store(1, relaxed), x_.store(2, relaxed); },
                              [&] { read_[0] = x_.load(relaxed), read_[1] = x_.load(relaxed); }});
  EXPECT_EQ(seen.size(), 6u);
  for (const auto& outcome : seen) EXPECT_LE(outcome[0], outcome[1]);
}

TEST_F(Litmus, TwoReadersAgreeOnTheOrderOfTwoWriters) {
  const auto seen = outcomes({[&] { x_.store(1, relaxed); }, [&] { x_.store(2, relaxed); },
                              [&] { read_[0] = x_.load(relaxed), read_[1] = x_.load(relaxed); },
                              [&] { read_[2] = x_.load(relaxed), read_[3] = x_.load(relaxed); }});
  EXPECT_TRUE(seen.contains({1, 2, 1, 2}));
  EXPECT_TRUE(seen.contains({2, 1, 2, 1}));
  EXPECT_FALSE(seen.contains({1, 2, 2, 1}));
}

TEST_F(Litmus, WritersInDifferentOrderAreSeenByIndependentReadersUnlessOrderIsTotal) {
  const auto readers = [&](std::memory_order store_order, std::memory_order load_order) {
    return outcomes(
        {[&, store_order] { x_.store(1, store_order); },
         [&, store_order] { y_.store(1, store_order); },
         [&, load_order] { read_[0] = x_.load(load_order), read_[1] = y_.load(load_order); },
         [&, load_order] { read_[2] = y_.load(load_order), read_[3] = x_.load(load_order); }});
  };
  EXPECT_TRUE(readers(release, acquire).contains({1, 0, 1, 0}));
  EXPECT_FALSE(readers(seq_cst, seq_cst).contains({1, 0, 1, 0}));
}

TEST_F(Litmus, IndependentReadersAgreeWithFencesBetweenTheirLoads) {
  const auto seen =
      outcomes({[&] { x_.store(1, relaxed); }, [&] { y_.store(1, relaxed); },
                [&] { read_[0] = x_.load(relaxed), fence(seq_cst), read_[1] = y_.load(relaxed); },
                [&] { read_[2] = y_.load(relaxed), fence(seq_cst), read_[3] = x_.load(relaxed); }});
  EXPECT_FALSE(seen.contains({1, 0, 1, 0}));
}

TEST_F(Litmus, CausalityIsPassedOnByAThirdThread) {
  const auto seen = outcomes({[&] { x_.store(1, relaxed), y_.store(1, release); },
                              [&] {
                                if (y_.load(acquire) == 1) z_.store(1, release);
                              },
                              [&] { read_[0] = z_.load(acquire), read_[1] = x_.load(relaxed); }});
  EXPECT_TRUE(seen.contains({1, 1, 0, 0}));
  EXPECT_FALSE(seen.contains({1, 0, 0, 0}));
}

// --- Read-modify-writes ---

TEST_F(Litmus, AReleaseSequenceGoesOnThroughARelaxedReadModifyWrite) {
  const auto seen = outcomes({[&] { x_.store(1, relaxed), y_.store(1, release); },
                              [&] { y_.fetch_add(10, relaxed); },
                              [&] { read_[0] = y_.load(acquire), read_[1] = x_.load(relaxed); }});
  EXPECT_TRUE(seen.contains({11, 1, 0, 0}));
  EXPECT_FALSE(seen.contains({11, 0, 0, 0}));
}

TEST_F(Litmus, AReleaseSequenceEndsAtAPlainStoreOfTheSameThread) {
  const auto seen =
      outcomes({[&] { x_.store(1, relaxed), y_.store(1, release), y_.store(2, relaxed); },
                [&] { read_[0] = y_.load(acquire), read_[1] = x_.load(relaxed); }});
  EXPECT_TRUE(seen.contains({2, 0, 0, 0}));
  EXPECT_FALSE(seen.contains({1, 0, 0, 0}));
}

TEST_F(Litmus, AFailedCompareExchangeMayFindAStaleValue) {
  const auto seen = outcomes({[&] { x_.store(1, relaxed), x_.store(2, relaxed); },
                              [&] {
                                uint64_t expected = 2;
                                if (x_.compare_exchange(expected, 9, relaxed, relaxed)) return;
                                read_[0] = x_.load(relaxed) == 2 && expected == 0;
                                read_[1] = 1 + expected;
                              }});
  EXPECT_TRUE(seen.contains({1, 1, 0, 0}));
  EXPECT_TRUE(seen.contains({0, 2, 0, 0}));
  EXPECT_FALSE(seen.contains({0, 3, 0, 0}));  // never spuriously
}

TEST_F(Explorer, ACompareExchangeLoopLosesNoIncrement) {
  const auto count = [&] {
    uint64_t seen = x_.load(relaxed);
    while (!x_.compare_exchange(seen, seen + 1, relaxed, relaxed)) {
    }
  };
  Scenario counting = scenario({count, count, count});
  counting.check = [&] { model::require(x_.load(relaxed) == 3, "three increments"); };
  const Report report = model::explore(counting);
  record(report);
  EXPECT_TRUE(report.passed) << report;
}

TEST_F(Explorer, LoadThenStoreLosesAnIncrement) {
  const auto count = [&] { x_.store(x_.load(relaxed) + 1, relaxed); };
  Scenario counting = scenario({count, count});
  counting.check = [&] { model::require(x_.load(relaxed) == 2, "two increments"); };
  const Report report = model::explore(counting);
  EXPECT_FALSE(report.passed);
  EXPECT_EQ(report.failure, "two increments");
}

// --- Widths ---

TEST_F(Litmus, APairIsNeverTorn) {
  const auto seen = outcomes({[&] {
                                pair_.store({1, 1}, relaxed), pair_.store({2, 2}, relaxed);
                              },
                              [&] {
                                const Pair pair = pair_.load(relaxed);
                                read_[0] = pair.first, read_[1] = pair.second;
                                read_[2] = pair_.load_first(relaxed);
                              }});
  for (const auto& outcome : seen) {
    EXPECT_EQ(outcome[0], outcome[1]);
    EXPECT_LE(outcome[0], outcome[2]);
  }
  EXPECT_EQ(seen.size(), 6u);
}

TEST_F(Litmus, TwoWordsAreTorn) {
  const auto seen = outcomes({[&] { x_.store(1, release), y_.store(1, release); },
                              [&] { read_[0] = x_.load(acquire), read_[1] = y_.load(acquire); }});
  EXPECT_TRUE(seen.contains({1, 0, 0, 0}));
  EXPECT_TRUE(seen.contains({0, 1, 0, 0}));
}

TEST_F(Litmus, APairWrittenAsBytesIsTorn) {
  const auto seen = outcomes({[&] {
                                const Pair both{1, 1};
                                copy_to_shared(&pair_, &both, sizeof both);
                              },
                              [&] {
                                const Pair pair = pair_.load(relaxed);
                                read_[0] = pair.first, read_[1] = pair.second;
                              }});
  EXPECT_TRUE(seen.contains({1, 0, 0, 0}));
  EXPECT_TRUE(seen.contains({1, 1, 0, 0}));
}

TEST_F(Litmus, HalvesOfAWordAreLocationsOfTheirOwnUntilSomebodyReadsBoth) {
  alignas(8) Atomic<uint32_t> halves[2];
  const auto clear = [&] { halves[0].store(0, relaxed), halves[1].store(0, relaxed); };
  const auto write = [&] { halves[0].store(1, relaxed), halves[1].store(1, release); };
  const auto read_halves = [&] {
    if (halves[1].load(acquire) == 1)
      model::require(halves[0].load(relaxed) == 1, "the first half");
  };
  const auto read_both = [&] {
    uint64_t word;
    copy_from_shared(&word, halves, sizeof word);
    model::require(word != 1ull << 32, "they are stored in order");
  };
  const Report report = model::explore(
      {.name = "halves", .set_up = clear, .threads = {write, read_halves, read_both}});
  EXPECT_TRUE(report.passed) << report;
}

TEST_F(Explorer, BytesAreCopiedWholeAndTheMiddleMayBeLeftOut) {
  constexpr size_t size = 77;
  static char shared[96];
  const auto fill = [] {
    char own[size];
    std::memset(own, 'b', size);
    copy_to_shared(shared + 3, own, size);
  };
  const auto look = [] {
    char own[size];
    copy_from_shared(own, shared + 3, size);
    for (const char byte : own)
      model::require(byte == 'a' || byte == 'b', "bytes of one or the other");
  };
  const Scenario copying{
      .name = "copies",
      .prepare =
          [] {
            std::memset(shared, 'a', sizeof shared), model::keep_memory(shared, sizeof shared);
          },
      .threads = {fill, look},
      .check =
          [] {
            model::require(shared[2] == 'a' && shared[3 + size] == 'a', "the bytes around");
            for (size_t index = 0; index < size; ++index) {
              model::require(shared[3 + index] == 'b', "the bytes copied");
            }
          }};
  const Report whole = model::explore(copying);
  const Report border = model::explore(copying, {.payload_words = 1});
  EXPECT_TRUE(whole.passed) << whole;
  EXPECT_TRUE(border.passed) << border;
  EXPECT_LT(border.states, whole.states);
}

TEST_F(Explorer, AHeaderWordInTheMiddleOfACopyIsModelledAllTheSame) {
  static char data[128];
  auto* header = reinterpret_cast<Atomic<uint64_t>*>(data + 64);
  const Scenario forging{
      .name = "forged header",
      .prepare = [] { std::memset(data, 0, sizeof data), model::keep_memory(data, sizeof data); },
      .threads = {[] {
                    char own[sizeof data];
                    std::memset(own, 1, sizeof own);
                    copy_to_shared(data, own, sizeof own);
                  },
                  [=] {
                    const bool forged = header->load(relaxed) != 0;
                    model::require(!forged || header->load(relaxed) != 0, "not taken back");
                    model::require(!forged, "forged");
                  }}};
  const Report report = model::explore(forging, {.payload_words = 1});
  EXPECT_EQ(report.failure, "forged");
}

TEST_F(Explorer, TheMirrorIsTheSameMemory) {
  alignas(16) static char ring[128];
  auto* there = reinterpret_cast<Atomic<uint64_t>*>(ring + 8);
  auto* mirrored = reinterpret_cast<Atomic<uint64_t>*>(ring + 64 + 8);
  const Scenario passing{
      .name = "mirror",
      .prepare =
          [] {
            model::add_mirror(ring, 64);
            model::keep_memory(ring, 64);
          },
      .threads = {[=] { there->store(1, relaxed), mirrored->store(2, release); },
                  [=] {
                    const uint64_t seen = there->load(acquire);
                    model::require(mirrored->load(relaxed) >= seen, "one modification order");
                  }},
      .check = [=] { model::require(there->load(relaxed) == 2, "the newest through either"); }};
  const Report report = model::explore(passing);
  record(report);
  EXPECT_TRUE(report.passed) << report;
}

// --- Waiting ---

TEST_F(Explorer, ASpinLoopEndsAndSeesTheStore) {
  const auto wait = [&] {
    while (x_.load(acquire) != 3) spin_pause();
    model::require(y_.load(relaxed) == 1, "what was stored before");
  };
  const auto work = [&] {
    y_.store(1, relaxed);
    for (uint64_t value = 1; value <= 3; ++value) x_.store(value, release);
  };
  const Report report = explore({wait, wait, work});
  EXPECT_TRUE(report.passed) << report;
}

TEST_F(Explorer, ASpinLoopNobodyEndsIsAFinding) {
  const Report report = explore({[&] {
                                   while (x_.load(acquire) != 2) spin_pause();
                                 },
                                 [&] { x_.store(1, release); }});
  EXPECT_EQ(report.failure, "nobody can go on: t0 spins on x");
}

TEST_F(Explorer, ATestAndSetLockExcludes) {
  const auto locked = [&] {
    while (x_.exchange(1, acquire) != 0) spin_pause();
    y_.store(y_.load(relaxed) + 1, relaxed);
    x_.store(0, release);
  };
  Scenario counting = scenario({locked, locked, locked});
  counting.check = [&] { model::require(y_.load(relaxed) == 3, "three increments"); };
  const Report report = model::explore(counting);
  record(report);
  EXPECT_TRUE(report.passed) << report;
}

TEST_F(Explorer, TwoLocksInOppositeOrderAreADeadlock) {
  const auto take_both = [](Atomic<uint64_t>& first, Atomic<uint64_t>& second) {
    while (first.exchange(1, acquire) != 0) spin_pause();
    while (second.exchange(1, acquire) != 0) spin_pause();
    second.store(0, release), first.store(0, release);
  };
  EXPECT_FALSE(explore({[&] { take_both(x_, y_); }, [&] { take_both(y_, x_); }}).passed);
  EXPECT_TRUE(explore({[&] { take_both(x_, y_); }, [&] { take_both(x_, y_); }}).passed);
}

// The protocol of shm/bell.h, with one rule left out at a time.
struct Parking {
  bool doorbell_first = true;  // else read after the look
  bool sleeper_fence = true;
  bool waker_fence = true;
  bool clears_first = true;  // else after the wake
};

class ParkedExplorer : public Explorer {
 protected:
  void sleep(const Parking& rules, uint32_t bit) {
    for (;;) {
      uint32_t ticket = 0;
      if (rules.doorbell_first) ticket = bell_.load(acquire);
      parked_.fetch_or(bit, acq_rel);
      if (rules.sleeper_fence) fence(seq_cst);
      if (x_.load(relaxed) != 0) return;
      if (!rules.doorbell_first) ticket = bell_.load(acquire);
      futex_wait(bell_, ticket, 0);
    }
  }
  void wake(const Parking& rules) {
    x_.store(1, release);
    if (rules.waker_fence) fence(seq_cst);
    if (parked_.load(relaxed) == 0) return;
    if (rules.clears_first) parked_.exchange(0, acq_rel);
    bell_.fetch_add(1, acq_rel);
    futex_wake_all(bell_);
    if (!rules.clears_first) parked_.exchange(0, acq_rel);
  }
  Report explore_parking(const Parking& rules) {
    return explore({[=, this] { sleep(rules, 1); }, [=, this] { wake(rules); }});
  }
};

TEST_F(ParkedExplorer, TheProtocolLosesNoWakeUp) {
  const Report report = explore_parking({});
  EXPECT_TRUE(report.passed) << report;
}

TEST_F(ParkedExplorer, TheProtocolLosesNoWakeUpOfTwoSleepers) {
  const Parking rules;
  const Report report = explore(
      {[=, this] { sleep(rules, 1); }, [=, this] { sleep(rules, 2); }, [=, this] { wake(rules); }});
  EXPECT_TRUE(report.passed) << report;
}

TEST_F(ParkedExplorer, ADoorbellReadAfterTheLookLosesAWakeUp) {
  const Report report = explore_parking({.doorbell_first = false});
  EXPECT_EQ(report.failure, "nobody can go on: t0 sleeps on bell") << report;
}

TEST_F(ParkedExplorer, ASleeperWithoutFenceLosesAWakeUp) {
  const Report report = explore_parking({.sleeper_fence = false});
  EXPECT_EQ(report.failure, "nobody can go on: t0 sleeps on bell") << report;
}

TEST_F(ParkedExplorer, AWakerWithoutFenceLosesAWakeUp) {
  const Report report = explore_parking({.waker_fence = false});
  EXPECT_EQ(report.failure, "nobody can go on: t0 sleeps on bell") << report;
}

// Two messages: the sleeper wakes for the first, parks again, and its new bit is cleared.
TEST_F(ParkedExplorer, BitsClearedAfterTheWakeLoseAWakeUp) {
  const auto explore_twice = [&](const Parking& rules) {
    const auto wake_for = [=, this](uint64_t message) {
      x_.store(message, release);
      fence(seq_cst);
      if (parked_.load(relaxed) == 0) return;
      if (rules.clears_first) parked_.exchange(0, acq_rel);
      bell_.fetch_add(1, acq_rel);
      futex_wake_all(bell_);
      if (!rules.clears_first) parked_.exchange(0, acq_rel);
    };
    const auto sleep_until = [this](uint64_t message) {
      for (;;) {
        const uint32_t ticket = bell_.load(acquire);
        parked_.fetch_or(1, acq_rel);
        fence(seq_cst);
        if (x_.load(relaxed) >= message) return;
        futex_wait(bell_, ticket, 0);
      }
    };
    return explore({[=] { sleep_until(1), sleep_until(2); }, [=] { wake_for(1), wake_for(2); }});
  };
  EXPECT_TRUE(explore_twice({}).passed);
  EXPECT_EQ(explore_twice({.clears_first = false}).failure, "nobody can go on: t0 sleeps on bell");
}

// A wake reaches everyone in the model; a waker that means only one of them leaves the other's bit
// cleared and the doorbell unrung for it.
TEST_F(ParkedExplorer, WakingOneOfTwoLosesAWakeUp) {
  Atomic<uint32_t> other_bell;
  Scenario waking = scenario({[&] { sleep({}, 1); },
                              [&] {
                                for (;;) {
                                  const uint32_t ticket = other_bell.load(acquire);
                                  parked_.fetch_or(2, acq_rel);
                                  fence(seq_cst);
                                  if (x_.load(relaxed) != 0) return;
                                  futex_wait(other_bell, ticket, 0);
                                }
                              },
                              [&] { wake({}); }});
  const auto set_up = waking.set_up;
  waking.set_up = [&, set_up] { set_up(), other_bell.store(0, relaxed); };
  const Report report = model::explore(waking);
  EXPECT_FALSE(report.passed);
}

TEST_F(ParkedExplorer, ATimeOutEndsALostWakeUp) {
  const Parking rules{.waker_fence = false};
  const Report report =
      explore({[=, this] { sleep(rules, 1); }, [=, this] { wake(rules); }}, {.time_outs = 1});
  EXPECT_FALSE(report.passed);  // the one time-out may fire too early
  const Report once = explore({[=, this] {
                                const uint32_t ticket = bell_.load(acquire);
                                futex_wait(bell_, ticket, 0);
                              }},
                              {.time_outs = 1});
  EXPECT_EQ(once.failure, "") << once;
}

// --- The engine ---

TEST_F(Explorer, AFindingIsReplayedFromItsSeed) {
  const Scenario passing = scenario({[&] { x_.store(5, relaxed), y_.store(1, relaxed); },
                                     [&] {
                                       while (y_.load(acquire) == 0) spin_pause();
                                       model::require(x_.load(relaxed) == 5, "the payload");
                                     }});
  const Report report = model::explore(passing);
  ASSERT_EQ(report.failure, "the payload");
  EXPECT_NE(report.trace.find("load relaxed x -> 0 (1 behind the newest)"), std::string::npos)
      << report;
  const Report again = model::replay(passing, report.seed);
  EXPECT_EQ(again.failure, "the payload") << again;
  EXPECT_EQ(again.trace, report.trace);
}

TEST_F(Explorer, EveryNumberIsChosen) {
  std::set<unsigned> seen;
  const Report report =
      explore({[&] { seen.insert(model::choose(3)), x_.store(1, relaxed); },
               [&] { seen.insert(10 + model::choose(2)), x_.store(2, relaxed); }});
  EXPECT_TRUE(report.passed) << report;
  EXPECT_EQ(seen, (std::set<unsigned>{0, 1, 2, 10, 11}));
}

TEST_F(Explorer, AMortalThreadIsKilledBeforeEachOfItsStores) {
  std::set<Outcome> seen;
  Scenario dying = scenario({[&] { x_.store(1, release), y_.store(1, release); }});
  dying.mortals = {0};
  dying.on_death = [&](unsigned thread) { z_.store(7 + thread, release); };
  dying.check = [&] { seen.insert({x_.load(relaxed), y_.load(relaxed), z_.load(relaxed)}); };
  const Report report = model::explore(dying);
  EXPECT_TRUE(report.passed) << report;
  EXPECT_EQ(seen, (std::set<Outcome>{{0, 0, 7}, {1, 0, 7}, {1, 1, 0}}));
}

TEST_F(Explorer, ACrashInAThreadIsAFinding) {
  const Report report = explore({[&] { x_.store(1, relaxed); },
                                 [&] {
                                   if (x_.load(relaxed) == 1) std::abort();
                                 }});
  EXPECT_EQ(report.failure, "t1 crashes: Aborted");
  EXPECT_NE(report.trace, "");
}

TEST_F(Explorer, ALoopWithoutEndIsAFinding) {
  const Report report = explore({[&] {
    while (x_.load(relaxed) == 0) y_.store(0, relaxed);
  }});
  EXPECT_NE(report.failure, "");
}

TEST_F(Explorer, AThreadWithAHiddenInputIsAFinding) {
  uint64_t hidden = 0;
  const auto threads = [&] {
    if (++hidden % 3 == 0) y_.load(seq_cst);
    x_.fetch_add(1, seq_cst);
    y_.fetch_add(1, seq_cst);
  };
  EXPECT_EQ(explore({threads, threads}).failure, "not the same steps again: a hidden input");
}

TEST_F(Explorer, RememberingOnlyWhatMattersMergesStates) {
  const auto count = [&](bool forget) {
    return explore({[=, this] {
                      for (int round = 0; round < 4; ++round) {
                        x_.fetch_add(1, acq_rel);
                        if (forget) model::remember_only({static_cast<uint64_t>(round)});
                      }
                    },
                    [=, this] {
                      for (int round = 0; round < 4; ++round) {
                        x_.fetch_add(1, acq_rel);
                        if (forget) model::remember_only({static_cast<uint64_t>(round)});
                      }
                    }});
  };
  const Report all = count(false);
  const Report merged = count(true);
  EXPECT_TRUE(all.passed && merged.passed) << all << merged;
  EXPECT_LT(merged.states, all.states);
}

}  // namespace
}  // namespace loopline
