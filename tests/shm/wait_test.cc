// Waiter: spins with manners, sleeps at last, and wakes for a bell, a death or its deadline.
#include "shm/wait.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

#include "child.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"

namespace loopline::shm {
namespace {

constexpr uint64_t minute_ns = 60'000'000'000;

TEST(Waiter, SpinsForEverWhenItIsToldTo) {
  Waiter waiter(WaitKind::spin, wait_for_ever);
  for (int round = 0; round < 3000; ++round) EXPECT_TRUE(waiter.spin());
}

TEST(Waiter, NeverSpinsWhenItIsToldToPark) {
  Waiter waiter(WaitKind::park, wait_for_ever);
  EXPECT_FALSE(waiter.spin());
  EXPECT_FALSE(waiter.spin());
}

TEST(Waiter, SpinsForAtLeastItsBudgetBeforeItSleeps) {
  const uint64_t started = monotonic_ns();
  Waiter waiter(WaitKind::adaptive, wait_for_ever);
  while (waiter.spin()) {
  }
  EXPECT_GE(monotonic_ns() - started, spin_budget_ns);
}

TEST(Waiter, LooksAroundFirstAndThenNowAndThen) {
  Waiter waiter(WaitKind::spin, wait_for_ever);
  EXPECT_TRUE(waiter.time_to_look_around());
  int looks = 0;
  for (int round = 0; round < 5 * 4096; ++round) {
    waiter.spin();
    if (waiter.time_to_look_around()) ++looks;
  }
  EXPECT_EQ(looks, 5);
}

TEST(Waiter, ExpiresAtItsDeadlineAndNotBefore) {
  EXPECT_FALSE(Waiter(WaitKind::spin, wait_for_ever).expired());
  EXPECT_FALSE(Waiter(WaitKind::spin, monotonic_ns() + minute_ns).expired());
  EXPECT_TRUE(Waiter(WaitKind::spin, 0).expired());
  EXPECT_TRUE(Waiter(WaitKind::spin, monotonic_ns()).expired());
  EXPECT_FALSE(Waiter(WaitKind::spin, 0).may_wait());
}

TEST(Waiter, DoesNotSleepPastItsDeadline) {
  TestStation station;
  const uint64_t deadline = monotonic_ns() + 3'000'000;
  Waiter waiter(WaitKind::park, deadline);
  BellLine& bell = station.control().data_bell;
  while (!waiter.expired()) {
    waiter.sleep(std::array{Bedside{&bell, prepare_to_park(bell, 1), &station.roster(), nobody}});
  }
  EXPECT_GE(monotonic_ns(), deadline);
}

TEST(Waiter, DoesNotSleepWhenTheBellRangSinceItLooked) {
  TestStation station;
  BellLine& bell = station.control().data_bell;
  const uint32_t ticket = prepare_to_park(bell, 1);
  ring_if_parked(bell);
  Waiter(WaitKind::park, wait_for_ever)
      .sleep(std::array{Bedside{&bell, ticket, &station.roster(), nobody}});
}

TEST(Waiter, IsWokenByTheBell) {
  TestStation station;
  BellLine& bell = station.control().data_bell;
  Atomic<uint32_t> done{};
  std::thread sleeper([&] {
    Waiter waiter(WaitKind::park, wait_for_ever);
    for (;;) {
      const uint32_t ticket = prepare_to_park(bell, 1);
      if (done.load(std::memory_order_acquire) != 0) return;
      waiter.sleep(std::array{Bedside{&bell, ticket, &station.roster(), nobody}});
    }
  });
  while (bell.parked.load(std::memory_order_acquire) == 0) std::this_thread::yield();
  done.store(1, std::memory_order_release);
  ring_if_parked(bell);
  sleeper.join();
}

TEST(Waiter, WakesForTheDeathOfTheOneItWatches) {
  TestStation station;
  Child child = Child::run([&](Child::Parent& parent) {
    station.producer();
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  SeatId seat = nobody;
  for (uint32_t entry = 0; entry < station.roster().entry_count(); ++entry) {
    if (station.roster().alive(station.roster().seat_of(entry)))
      seat = station.roster().seat_of(entry);
  }
  ASSERT_NE(seat, nobody);
  BellLine& bell = station.control().data_bell;
  std::thread sleeper([&] {
    Waiter waiter(WaitKind::park, wait_for_ever);
    while (station.roster().alive(seat)) {
      waiter.sleep(std::array{Bedside{&bell, prepare_to_park(bell, 1), &station.roster(), seat}});
    }
  });
  while (bell.parked.load(std::memory_order_acquire) == 0) std::this_thread::yield();
  child.kill();
  sleeper.join();
}

TEST(Waiter, DoesNotSleepForOneWhoIsDeadAlready) {
  TestStation station;
  SeatId seat = nobody;
  std::thread([&] { seat = must(station.roster().my_seat()); }).join();
  BellLine& bell = station.control().data_bell;
  Waiter(WaitKind::park, wait_for_ever)
      .sleep(std::array{Bedside{&bell, prepare_to_park(bell, 1), &station.roster(), seat}});
}

TEST(Bell, IsNotRungWhenNobodySleeps) {
  TestStation station;
  BellLine& bell = station.control().data_bell;
  const uint32_t before = bell.doorbell.load(std::memory_order_acquire);
  ring_if_parked(bell);
  EXPECT_EQ(bell.doorbell.load(std::memory_order_acquire), before);
}

TEST(Bell, ForgetsTheSleepersItHasWoken) {
  TestStation station;
  BellLine& bell = station.control().data_bell;
  prepare_to_park(bell, 1u << 3);
  prepare_to_park(bell, 1u << 31);
  EXPECT_EQ(bell.parked.load(std::memory_order_acquire), 1u << 3 | 1u << 31);
  ring_if_parked(bell);
  EXPECT_EQ(bell.parked.load(std::memory_order_acquire), 0u);
}

}  // namespace
}  // namespace loopline::shm
