// Atomic: words and pairs are exchanged as one, never torn, and a CAS reports what it found.
#include "shm/base/atomic.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <new>
#include <thread>

#include "shm/base/futex.h"

namespace loopline {
namespace {

constexpr auto relaxed = std::memory_order_relaxed;  // relaxed: one thread, or atomicity alone
constexpr auto acquire = std::memory_order_acquire;  // acquire: the tests' only edge
constexpr auto release = std::memory_order_release;  // release: the tests' only edge

TEST(Atomic, ReturnsTheOldValueFromEveryExchange) {
  Atomic<uint64_t> word{};
  EXPECT_EQ(word.load(relaxed), 0u);
  word.store(5, relaxed);
  EXPECT_EQ(word.exchange(6, relaxed), 5u);
  EXPECT_EQ(word.fetch_add(4, relaxed), 6u);
  EXPECT_EQ(word.fetch_or(0x10, relaxed), 10u);
  EXPECT_EQ(word.fetch_and(0x18, relaxed), 0x1au);
  EXPECT_EQ(word.load(relaxed), 0x18u);
}

TEST(Atomic, ChangesTheWordOnlyWhenItIsTheExpectedOne) {
  Atomic<uint32_t> word{};
  word.store(5, relaxed);
  uint32_t expected = 4;
  EXPECT_FALSE(word.compare_exchange(expected, 9, relaxed, relaxed));
  EXPECT_EQ(expected, 5u);
  EXPECT_EQ(word.load(relaxed), 5u);
  EXPECT_TRUE(word.compare_exchange(expected, 9, relaxed, relaxed));
  EXPECT_EQ(expected, 5u);
  EXPECT_EQ(word.load(relaxed), 9u);
}

TEST(Atomic, LosesNoIncrementOfTwoThreads) {
  constexpr uint64_t round_count = 100'000;
  Atomic<uint64_t> added{};
  Atomic<uint64_t> swapped{};
  const auto count = [&] {
    for (uint64_t round = 0; round < round_count; ++round) {
      added.fetch_add(1, relaxed);
      uint64_t seen = swapped.load(relaxed);
      while (!swapped.compare_exchange(seen, seen + 1, relaxed, relaxed)) spin_pause();
    }
  };
  std::thread other(count);
  count();
  other.join();
  EXPECT_EQ(added.load(relaxed), 2 * round_count);
  EXPECT_EQ(swapped.load(relaxed), 2 * round_count);
}

TEST(AtomicPair, StoresAndLoadsBothHalves) {
  AtomicPair pair{};
  EXPECT_EQ(pair.load(relaxed), Pair{});
  for (const auto order : {relaxed, release, std::memory_order_seq_cst}) {  // release: any order
    pair.store({1, 2}, order);
    EXPECT_EQ(pair.load(acquire), (Pair{1, 2}));
    EXPECT_EQ(pair.load_first(acquire), 1u);
    pair.store({~uint64_t{0}, 7}, order);
    EXPECT_EQ(pair.load(relaxed), (Pair{~uint64_t{0}, 7}));
  }
}

TEST(AtomicPair, ChangesOnlyWhenBothHalvesAreTheExpectedOnes) {
  AtomicPair pair{};
  pair.store({1, 2}, relaxed);
  for (const Pair wrong : {Pair{1, 3}, Pair{3, 2}, Pair{2, 1}}) {
    Pair expected = wrong;
    EXPECT_FALSE(pair.compare_exchange(expected, {8, 9}, relaxed, relaxed));
    EXPECT_EQ(expected, (Pair{1, 2}));
    EXPECT_EQ(pair.load(relaxed), (Pair{1, 2}));
  }
  Pair expected{1, 2};
  EXPECT_TRUE(pair.compare_exchange(expected, {8, 9}, relaxed, relaxed));
  EXPECT_EQ(pair.load(relaxed), (Pair{8, 9}));
}

TEST(AtomicPair, IsNeverSeenTornBetweenTwoStores) {
  constexpr uint64_t round_count = 300'000;
  AtomicPair pair{};
  pair.store({0, ~uint64_t{0}}, relaxed);
  std::thread writer([&] {
    for (uint64_t round = 1; round <= round_count; ++round) pair.store({round, ~round}, release);
  });
  uint64_t torn_count = 0;
  uint64_t backward_count = 0;
  for (uint64_t last = 0; last < round_count;) {
    const Pair seen = pair.load(acquire);
    torn_count += seen.second != ~seen.first;
    backward_count += seen.first < last;
    last = seen.first;
  }
  writer.join();
  EXPECT_EQ(torn_count, 0u);
  EXPECT_EQ(backward_count, 0u);
}

TEST(AtomicPair, LosesNoChangeWhenStoresOfTwoThreadsCompete) {
  constexpr uint64_t round_count = 50'000;
  AtomicPair pair{};
  const auto count = [&] {
    for (uint64_t round = 0; round < round_count; ++round) {
      Pair seen = pair.load(relaxed);
      while (!pair.compare_exchange(seen, {seen.first + 1, seen.second + 3}, relaxed, relaxed)) {
        spin_pause();
      }
    }
  };
  std::thread other(count);
  count();
  other.join();
  EXPECT_EQ(pair.load(acquire), (Pair{2 * round_count, 6 * round_count}));
}

TEST(AtomicPair, CanBeReadInMemoryThatMayOnlyBeRead) {
  const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* pair = new (memory) AtomicPair;
  pair->store({3, 4}, release);
  ASSERT_EQ(::mprotect(memory, size, PROT_READ), 0);
  EXPECT_EQ(pair->load(acquire), (Pair{3, 4}));
  ::munmap(memory, size);
}

TEST(Atomic, MovesBulkBytesUnchanged) {
  unsigned char from[777];
  unsigned char shared[777] = {};
  unsigned char back[777] = {};
  for (size_t index = 0; index < sizeof from; ++index) from[index] = static_cast<uint8_t>(index);
  copy_to_shared(shared, from, sizeof from);
  copy_from_shared(back, shared, sizeof back);
  EXPECT_EQ(std::memcmp(from, back, sizeof from), 0);
}

TEST(Futex, ReturnsAtOnceWhenTheWordHasChangedAlready) {
  Atomic<uint32_t> word{};
  word.store(1, relaxed);
  futex_wait(word, 0, 60'000'000'000);  // a minute: the test would be killed if it slept
  SUCCEED();
}

TEST(Futex, WakesASleeperInAnotherThread) {
  Atomic<uint32_t> word{};
  std::thread sleeper([&] {
    while (word.load(acquire) == 0) futex_wait(word, 0, 1'000'000'000);
  });
  word.store(1, release);
  futex_wake_all(word);
  sleeper.join();
  EXPECT_EQ(word.load(relaxed), 1u);
}

}  // namespace
}  // namespace loopline
