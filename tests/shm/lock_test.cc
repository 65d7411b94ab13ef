// Tests of RobustLock: who gets it, who is told of a death, and what foreign bytes can do.
#include "shm/lock.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <random>
#include <thread>

#include "child.h"
#include "shm/base/clock.h"
#include "tests/support/wait_until.h"

namespace loopline::shm {
namespace {

constexpr uint64_t long_ns = 30'000'000'000;

// A mutex in memory that forked children share.
class SharedMutex {
 public:
  SharedMutex()
      : mutex_(static_cast<pthread_mutex_t*>(::mmap(nullptr, sizeof(pthread_mutex_t),
                                                    PROT_READ | PROT_WRITE,
                                                    MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {
    init_robust(*mutex_);
  }
  ~SharedMutex() { ::munmap(mutex_, sizeof(pthread_mutex_t)); }
  pthread_mutex_t& operator*() const { return *mutex_; }

  // A child that holds it, in the way `take` takes it, until it is killed.
  template <class Take>
  Child held_by_child(Take take) const {
    Child child = Child::run([&](Child::Parent& parent) {
      if (!take(*mutex_)) return false;
      parent.say();
      parent.wait_to_be_killed();
    });
    EXPECT_TRUE(child.listen());
    return child;
  }
  Child held_by_child() const {
    return held_by_child(
        [](pthread_mutex_t& mutex) { return try_lock(mutex) != LockOutcome::busy; });
  }

 private:
  pthread_mutex_t* mutex_;
};

TEST(RobustLock, IsTakenAndGivenBack) {
  const SharedMutex mutex;
  EXPECT_EQ(holder_of(*mutex).tid, 0u);
  EXPECT_EQ(try_lock(*mutex), LockOutcome::taken);
  EXPECT_EQ(holder_of(*mutex).tid, static_cast<uint32_t>(::gettid()));
  unlock(*mutex);
  EXPECT_EQ(holder_of(*mutex).tid, 0u);
  EXPECT_EQ(lock_for(*mutex, 0), LockOutcome::taken);
  unlock(*mutex);
}

TEST(RobustLock, IsBusyForItsOwnHolderToo) {
  const SharedMutex mutex;
  ASSERT_EQ(try_lock(*mutex), LockOutcome::taken);
  EXPECT_EQ(try_lock(*mutex), LockOutcome::busy);
  unlock(*mutex);
}

TEST(RobustLock, IsBusyWhileAnotherProcessHoldsIt) {
  const SharedMutex mutex;
  const Child child = mutex.held_by_child();
  EXPECT_EQ(try_lock(*mutex), LockOutcome::busy);
  EXPECT_EQ(holder_of(*mutex).tid, static_cast<uint32_t>(child.pid()));
  EXPECT_FALSE(holder_of(*mutex).died);
}

TEST(RobustLock, TellsTheNextHolderThatTheLastOneDied) {
  const SharedMutex mutex;
  mutex.held_by_child().kill();
  EXPECT_TRUE(test::wait_until([&] { return holder_of(*mutex).died; }));
  EXPECT_EQ(try_lock(*mutex), LockOutcome::inherited);
  EXPECT_FALSE(holder_of(*mutex).died);
  unlock(*mutex);
  EXPECT_EQ(try_lock(*mutex), LockOutcome::taken);
  unlock(*mutex);
}

TEST(RobustLock, IsInheritedAgainWhenTheHeirDiesBeforeItIsConsistent) {
  const SharedMutex mutex;
  mutex.held_by_child().kill();
  mutex
      .held_by_child(
          [](pthread_mutex_t& raw) { return ::pthread_mutex_trylock(&raw) == EOWNERDEAD; })
      .kill();
  EXPECT_EQ(try_lock(*mutex), LockOutcome::inherited);
  unlock(*mutex);
}

TEST(RobustLock, IsBrokenOnceAnHeirGaveItBackInconsistent) {
  const SharedMutex mutex;
  mutex.held_by_child().kill();
  ASSERT_EQ(::pthread_mutex_trylock(&*mutex), EOWNERDEAD);
  ::pthread_mutex_unlock(&*mutex);
  EXPECT_EQ(try_lock(*mutex), LockOutcome::broken);
  EXPECT_EQ(lock_for(*mutex, long_ns), LockOutcome::broken);
}

TEST(RobustLock, WaitsNoLongerThanItIsTold) {
  const SharedMutex mutex;
  const Child child = mutex.held_by_child();
  const uint64_t begin_ns = monotonic_ns();
  EXPECT_EQ(lock_for(*mutex, 2'000'000), LockOutcome::busy);
  EXPECT_GE(monotonic_ns() - begin_ns, 2'000'000u);
}

TEST(RobustLock, IsInheritedByOneWhoWaits) {
  const SharedMutex mutex;
  Child child = mutex.held_by_child();
  LockOutcome outcome = LockOutcome::busy;
  std::thread waiter([&] {
    outcome = lock_for(*mutex, long_ns);
    unlock(*mutex);
  });
  child.kill();
  waiter.join();
  EXPECT_EQ(outcome, LockOutcome::inherited);
}

TEST(RobustLock, GuardGivesItBackAndRemembersHowItCame) {
  const SharedMutex mutex;
  {
    const LockGuard guard(*mutex, try_lock(*mutex));
    EXPECT_TRUE(guard);
    EXPECT_FALSE(guard.inherited());
    const LockGuard second(*mutex, try_lock(*mutex));
    EXPECT_FALSE(second);
  }
  mutex.held_by_child().kill();
  {
    const LockGuard guard(*mutex, try_lock(*mutex));
    EXPECT_TRUE(guard.inherited());
  }
  EXPECT_EQ(holder_of(*mutex).tid, 0u);
}

TEST(RobustLock, OfAParentIsNeitherHeldNorGivenBackByItsChild) {
  const SharedMutex mutex;
  ASSERT_EQ(try_lock(*mutex), LockOutcome::taken);
  Child child = Child::run([&](Child::Parent&) {
    unlock(*mutex);  // is refused: another tid holds it
    return try_lock(*mutex) == LockOutcome::busy;
  });
  EXPECT_TRUE(child.passes());
  EXPECT_EQ(holder_of(*mutex).tid, static_cast<uint32_t>(::gettid()));
  EXPECT_FALSE(holder_of(*mutex).died);
  unlock(*mutex);
}

TEST(RobustLock, SurvivesAKindThatIsScribbledOverWhileItIsHeld) {
  const SharedMutex mutex;
  ASSERT_EQ(try_lock(*mutex), LockOutcome::taken);
  (*mutex).__data.__kind = 0x55;
  unlock(*mutex);
  EXPECT_EQ(try_lock(*mutex), LockOutcome::taken);
  unlock(*mutex);
}

TEST(RobustLock, OfAnotherKindIsBroken) {
  for (const int kind : {0, 1, 2, 16, 32, 128, 160, 176, 0x7fffffff, -1}) {
    const SharedMutex mutex;
    (*mutex).__data.__kind = kind;
    EXPECT_EQ(try_lock(*mutex), LockOutcome::broken) << kind;
    EXPECT_EQ(lock_for(*mutex, long_ns), LockOutcome::broken) << kind;
  }
}

// Any bytes: at worst it is busy for ever, and waiting is bounded.
TEST(RobustLock, OfRandomBytesNeverHangsOrCrashes) {
  std::mt19937_64 random(7);
  const SharedMutex mutex;
  const int kind = (*mutex).__data.__kind;
  for (int round = 0; round < 4000; ++round) {
    uint64_t bytes[sizeof(pthread_mutex_t) / sizeof(uint64_t)];
    for (uint64_t& word : bytes) word = random() & (random() % 4 == 0 ? 0 : ~0ull);
    std::memcpy(&*mutex, bytes, sizeof bytes);
    if (round % 2 == 0) (*mutex).__data.__kind = kind;
    if (round % 3 == 0) (*mutex).__data.__lock = 0;
    const LockOutcome outcome = round % 100 == 0 ? lock_for(*mutex, 1'000'000) : try_lock(*mutex);
    if (outcome == LockOutcome::taken || outcome == LockOutcome::inherited) unlock(*mutex);
  }
}

}  // namespace
}  // namespace loopline::shm
