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

constexpr auto kRelaxed = std::memory_order_relaxed;  // relaxed: one thread, or atomicity alone
constexpr auto kAcquire = std::memory_order_acquire;  // acquire: the tests' only edge
constexpr auto kRelease = std::memory_order_release;  // release: the tests' only edge

TEST(Atomic, ReturnsTheOldValueFromEveryExchange) {
  Atomic<uint64_t> word{};
  EXPECT_EQ(word.load(kRelaxed), 0u);
  word.store(5, kRelaxed);
  EXPECT_EQ(word.exchange(6, kRelaxed), 5u);
  EXPECT_EQ(word.fetch_add(4, kRelaxed), 6u);
  EXPECT_EQ(word.fetch_or(0x10, kRelaxed), 10u);
  EXPECT_EQ(word.fetch_and(0x18, kRelaxed), 0x1au);
  EXPECT_EQ(word.load(kRelaxed), 0x18u);
}

TEST(Atomic, ChangesTheWordOnlyWhenItIsTheExpectedOne) {
  Atomic<uint32_t> word{};
  word.store(5, kRelaxed);
  uint32_t expected = 4;
  EXPECT_FALSE(word.compare_exchange(expected, 9, kRelaxed, kRelaxed));
  EXPECT_EQ(expected, 5u);
  EXPECT_EQ(word.load(kRelaxed), 5u);
  EXPECT_TRUE(word.compare_exchange(expected, 9, kRelaxed, kRelaxed));
  EXPECT_EQ(expected, 5u);
  EXPECT_EQ(word.load(kRelaxed), 9u);
}

TEST(Atomic, LosesNoIncrementOfTwoThreads) {
  constexpr uint64_t kRounds = 100'000;
  Atomic<uint64_t> added{};
  Atomic<uint64_t> swapped{};
  const auto count = [&] {
    for (uint64_t round = 0; round < kRounds; ++round) {
      added.fetch_add(1, kRelaxed);
      uint64_t seen = swapped.load(kRelaxed);
      while (!swapped.compare_exchange(seen, seen + 1, kRelaxed, kRelaxed)) spin_pause();
    }
  };
  std::thread other(count);
  count();
  other.join();
  EXPECT_EQ(added.load(kRelaxed), 2 * kRounds);
  EXPECT_EQ(swapped.load(kRelaxed), 2 * kRounds);
}

TEST(AtomicPair, StoresAndLoadsBothHalves) {
  AtomicPair pair{};
  EXPECT_EQ(pair.load(kRelaxed), Pair{});
  for (const auto order : {kRelaxed, kRelease, std::memory_order_seq_cst}) {  // release: any order
    pair.store({1, 2}, order);
    EXPECT_EQ(pair.load(kAcquire), (Pair{1, 2}));
    EXPECT_EQ(pair.load_first(kAcquire), 1u);
    pair.store({~uint64_t{0}, 7}, order);
    EXPECT_EQ(pair.load(kRelaxed), (Pair{~uint64_t{0}, 7}));
  }
}

TEST(AtomicPair, ChangesOnlyWhenBothHalvesAreTheExpectedOnes) {
  AtomicPair pair{};
  pair.store({1, 2}, kRelaxed);
  for (const Pair wrong : {Pair{1, 3}, Pair{3, 2}, Pair{2, 1}}) {
    Pair expected = wrong;
    EXPECT_FALSE(pair.compare_exchange(expected, {8, 9}, kRelaxed, kRelaxed));
    EXPECT_EQ(expected, (Pair{1, 2}));
    EXPECT_EQ(pair.load(kRelaxed), (Pair{1, 2}));
  }
  Pair expected{1, 2};
  EXPECT_TRUE(pair.compare_exchange(expected, {8, 9}, kRelaxed, kRelaxed));
  EXPECT_EQ(pair.load(kRelaxed), (Pair{8, 9}));
}

TEST(AtomicPair, IsNeverSeenTornBetweenTwoStores) {
  constexpr uint64_t kRounds = 300'000;
  AtomicPair pair{};
  pair.store({0, ~uint64_t{0}}, kRelaxed);
  std::thread writer([&] {
    for (uint64_t round = 1; round <= kRounds; ++round) pair.store({round, ~round}, kRelease);
  });
  uint64_t torn_count = 0;
  uint64_t backward_count = 0;
  for (uint64_t last = 0; last < kRounds;) {
    const Pair seen = pair.load(kAcquire);
    torn_count += seen.second != ~seen.first;
    backward_count += seen.first < last;
    last = seen.first;
  }
  writer.join();
  EXPECT_EQ(torn_count, 0u);
  EXPECT_EQ(backward_count, 0u);
}

TEST(AtomicPair, LosesNoChangeWhenStoresOfTwoThreadsCompete) {
  constexpr uint64_t kRounds = 50'000;
  AtomicPair pair{};
  const auto count = [&] {
    for (uint64_t round = 0; round < kRounds; ++round) {
      Pair seen = pair.load(kRelaxed);
      while (!pair.compare_exchange(seen, {seen.first + 1, seen.second + 3}, kRelaxed, kRelaxed)) {
        spin_pause();
      }
    }
  };
  std::thread other(count);
  count();
  other.join();
  EXPECT_EQ(pair.load(kAcquire), (Pair{2 * kRounds, 6 * kRounds}));
}

TEST(AtomicPair, CanBeReadInMemoryThatMayOnlyBeRead) {
  const auto size = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  void* memory =
      ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* pair = new (memory) AtomicPair;
  pair->store({3, 4}, kRelease);
  ASSERT_EQ(::mprotect(memory, size, PROT_READ), 0);
  EXPECT_EQ(pair->load(kAcquire), (Pair{3, 4}));
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
  word.store(1, kRelaxed);
  futex_wait(word, 0, 60'000'000'000);  // a minute: the test would be killed if it slept
  SUCCEED();
}

TEST(Futex, WakesASleeperInAnotherThread) {
  Atomic<uint32_t> word{};
  std::thread sleeper([&] {
    while (word.load(kAcquire) == 0) futex_wait(word, 0, 1'000'000'000);
  });
  word.store(1, kRelease);
  futex_wake_all(word);
  sleeper.join();
  EXPECT_EQ(word.load(kRelaxed), 1u);
}

}  // namespace
}  // namespace loopline
