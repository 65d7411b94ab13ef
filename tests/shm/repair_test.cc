// Repair: what the dead left open becomes a filler with its number, and nothing else is touched.
#include "shm/repair.h"

#include <gtest/gtest.h>

#include <thread>

#include "child.h"
#include "ring_fixture.h"
#include "shm/lock.h"

namespace loopline::shm {
namespace {

// ---- the walk --------------------------------------------------------------

TEST(Repair, CompletesTheOpenFrameOfTheDeadAsAFillerWithItsNumber) {
  BareRing ring;
  Claimer dead = ring.claimer(1), alive = ring.claimer(2);
  ring.put(alive, "one");
  const Claim open = ring.open(dead, "half");
  ring.put(alive, "three");
  EXPECT_EQ(ring.read_all(), texts("one"));
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_EQ(ring.read_all(), texts("one", "three"));
  const FrameHeader& frame = ring->frame(open.position);
  EXPECT_EQ(meta_type(frame.meta.load(std::memory_order_acquire)), FrameType::dead);
  EXPECT_EQ(frame.sequence.load(std::memory_order_acquire), 2u);
  EXPECT_EQ(ring.flags_at(open.position), word_filler | word_next_verify) << "one is behind it";
}

TEST(Repair, CompletesSeveralFramesOfOneDeadOwner) {
  BareRing ring;
  Claimer dead = ring.claimer(1), alive = ring.claimer(2);
  for (int count = 0; count < 5; ++count) {
    ring.open(dead, "half");
    ring.put(alive, std::to_string(count));
  }
  EXPECT_EQ(repair_owner(ring.ring(), 1), 5u);
  EXPECT_EQ(ring.read_all(), texts("0", "1", "2", "3", "4"));
}

TEST(Repair, IsDoneWhenItIsDoneAgain) {
  BareRing ring;
  Claimer dead = ring.claimer(1);
  ring.open(dead, "half");
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_EQ(repair_owner(ring.ring(), 1), 0u);
}

TEST(Repair, LeavesTheOpenFramesOfOthersAlone) {
  BareRing ring;
  Claimer dead = ring.claimer(1), slow = ring.claimer(2);
  ring.open(dead, "half");
  const Claim open = ring.open(slow, "still writing");
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_TRUE(ring.read_all().empty());
  ring.commit(slow, open, "still writing");
  EXPECT_EQ(ring.read_all(), texts("still writing"));
}

TEST(Repair, LeavesWhatTheDeadCommittedAlone) {
  BareRing ring;
  Claimer dead = ring.claimer(1);
  ring.put(dead, "whole");
  ring.open(dead, "half");
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_EQ(ring.read_all(), texts("whole"));
}

TEST(Repair, FindsItsWayOnAnyLap) {
  BareRing ring;
  Claimer dead = ring.claimer(1), alive = ring.claimer(2);
  for (int count = 0; count < 1000; ++count) ring.put(alive, std::string(50, 'x'));
  ring.open(dead, std::string(300, 'y'));
  ring.put(alive, "behind");
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_EQ(ring.read_all().back(), "behind");
}

// Claims until one stands on a place that a payload of the lap before forged to look committed.
Claim open_mimic(const BareRing& ring, Claimer& filler, Claimer& owner) {
  for (;;) {
    const Pair at = ring.control().hint.pair.load(std::memory_order_acquire);
    const Claim claim = ring.open(owner, "");
    if (claim.mimic) return claim;
    ring.commit(owner, claim, "");
    ring.put(filler, forged_body(ring.ring(), at.first + unit_size, 300));
  }
}

TEST(Repair, CompletesAnOpenFrameThatLooksCommitted) {
  BareRing ring;
  Claimer dead = ring.claimer(1), alive = ring.claimer(2);
  const Claim open = open_mimic(ring, alive, dead);
  ASSERT_TRUE(
      carries_tag(ring->word(open.position).load(std::memory_order_acquire), open.position));
  ring.put(alive, "behind");
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_EQ(ring.side_at(open.position) & side_state_mask, side_committed);
  EXPECT_EQ(ring.flags_at(open.position) & (word_filler | word_mimic), word_filler | word_mimic);
  EXPECT_EQ(ring.read_all().back(), "behind");
}

TEST(Repair, CompletesAMimicWhoseOwnerDiedBetweenItsTwoStores) {
  BareRing ring;
  Claimer dead = ring.claimer(1), alive = ring.claimer(2);
  const Claim open = open_mimic(ring, alive, dead);
  ring->word(open.position).store(word_tag(open.position) | word_mimic, std::memory_order_release);
  ring.put(alive, "behind");
  EXPECT_NE(ring.read_all().back(), "behind");
  EXPECT_EQ(repair_owner(ring.ring(), 1), 1u);
  EXPECT_EQ(ring.read_all().back(), "behind");
}

TEST(Repair, EndsOnSideWordsThatMakeNoChain) {
  BareRing ring;
  for (uint64_t unit = 0; unit < tiny_capacity / unit_size; ++unit) {
    ring->side_words[unit].store(~uint64_t{0}, std::memory_order_relaxed);
  }
  EXPECT_EQ(repair_owner(ring.ring(), 1), 0u);
}

// ---- the caretaker ---------------------------------------------------------

// A producer of a thread that ends with a claim open; its handle is kept so that nothing is tidied.
struct Abandoned {
  explicit Abandoned(const TestStation& station) {
    std::thread([&] {
      producer = std::make_unique<Producer>(station.producer());
      frame = open(*producer, "half");
    }).join();
  }
  std::unique_ptr<Producer> producer;
  OpenFrame frame;
};

TEST(Janitor, LeavesTheLivingAlone) {
  TestStation station;
  Producer producer = station.producer();
  const OpenFrame frame = open(producer, "half");
  EXPECT_EQ(station.attached()->janitor().clean_producer(producer.slot()), Cleaned::nothing);
  uint32_t slot = 0;
  EXPECT_EQ(station.attached()->janitor().owner_of_open(frame.claim.position, slot),
            must(station.roster().my_seat()));
}

TEST(Janitor, CleansUpAfterAThreadThatEnded) {
  TestStation station;
  const Abandoned abandoned(station);
  Janitor janitor = station.attached()->janitor();
  EXPECT_EQ(janitor.clean_producer(abandoned.producer->slot()), Cleaned::done);
  EXPECT_EQ(janitor.clean_producer(abandoned.producer->slot()), Cleaned::nothing);
  EXPECT_EQ(station.control().repairs.load(std::memory_order_relaxed), 1u);
  EXPECT_EQ(station.control().fillers.load(std::memory_order_relaxed), 1u);
  EXPECT_EQ(station.ring().producers[0].owner.load(std::memory_order_acquire), nobody);
}

TEST(Janitor, CleansUpAfterAProcessThatWasKilledInsideAClaim) {
  TestStation station;
  Producer mine = station.producer();
  write(mine, "before");
  Child child = Child::run([&](Child::Parent& parent) {
    Producer producer = station.producer();
    open(producer, "half");
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  write(mine, "behind");
  Consumer consumer = station.lossless();
  EXPECT_EQ(read(consumer), texts("before"));
  child.kill();
  EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
  EXPECT_EQ(read(consumer), texts("behind"));
  EXPECT_EQ(station.control().fillers.load(std::memory_order_relaxed), 1u);
}

TEST(Janitor, ReleasesTheCursorOfAConsumerThatWasKilled) {
  TestStation station;
  Child child = Child::run([&](Child::Parent& parent) {
    const Consumer consumer = station.lossless();
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  Producer producer = station.producer();
  fill(producer);
  EXPECT_EQ(refusal(producer, 1), FaultCode::full);
  child.kill();
  write(producer, "goes on");
  EXPECT_EQ(gating_count(station.ring()), 0u);
  EXPECT_EQ(station.control().reaped.load(std::memory_order_relaxed), 1u);
}

TEST(Janitor, ReleasesOneThatWasKilledWhileItJoined) {
  TestStation station;
  Child child = Child::run([&](Child::Parent& parent) {
    const SeatId seat = must(station.roster().my_seat());
    const uint32_t slot = *take_cursor_slot(station.ring(), seat, CursorKind::lossless);
    station.ring().cursors[slot].cursor.store({0, 0}, std::memory_order_release);
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  Producer producer = station.producer();
  fill(producer);
  EXPECT_EQ(refusal(producer, 1), FaultCode::full);
  child.kill();
  write(producer, "goes on");
}

TEST(Janitor, GoesOnWhereADeadRepairerStopped) {
  TestStation station;
  const Abandoned abandoned(station);
  Child child = Child::run([&](Child::Parent& parent) {
    if (lock_for(station.control().lock.mutex, 0) != LockOutcome::taken) return;
    auto& owner = station.ring().producers[0].owner;
    owner.fetch_or(repairing_bit, std::memory_order_acq_rel);
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  EXPECT_EQ(station.attached()->janitor().clean_producer(0), Cleaned::busy);
  child.kill();
  EXPECT_EQ(station.attached()->janitor().clean_producer(0), Cleaned::done);
  EXPECT_EQ(station.ring().producers[0].owner.load(std::memory_order_acquire), nobody);
}

TEST(Janitor, GoesOnWhereADeadReaperStopped) {
  TestStation station;
  std::thread([&] {
    const SeatId seat = must(station.roster().my_seat());
    const uint32_t slot = *take_cursor_slot(station.ring(), seat, CursorKind::lossless);
    EXPECT_TRUE(join(station.ring(), slot));
    station.ring().cursors[slot].owner.store(seat | repairing_bit, std::memory_order_release);
  }).join();
  EXPECT_EQ(station.attached()->janitor().clean_cursor(0), Cleaned::done);
  EXPECT_EQ(gating_count(station.ring()), 0u);
}

TEST(Janitor, SweepsEverythingAtOnce) {
  TestStation station;
  const Abandoned producers[] = {Abandoned(station), Abandoned(station)};
  std::unique_ptr<Consumer> consumer;
  std::thread([&] { consumer = std::make_unique<Consumer>(station.lossless()); }).join();
  station.attached()->janitor().sweep();
  for (uint32_t slot = 0; slot < 4; ++slot) {
    EXPECT_EQ(station.ring().producers[slot].owner.load(std::memory_order_acquire), nobody);
    EXPECT_EQ(station.ring().cursors[slot].owner.load(std::memory_order_acquire), nobody);
  }
}

TEST(SweepRing, FreesAllThatTheDeadLeftAndSaysHowMuch) {
  TestStation station;
  std::vector<Producer> producers;  // in one thread: each opening sweeps as well
  std::unique_ptr<Consumer> consumer;
  std::thread([&] {
    consumer = std::make_unique<Consumer>(station.lossless());
    for (int count = 0; count < 2; ++count) {
      producers.push_back(station.producer());
      open(producers.back(), "half");
    }
  }).join();
  const Swept swept = sweep_ring(*station.attached());
  EXPECT_EQ(swept.producers, 2u);
  EXPECT_EQ(swept.cursors, 1u);
  EXPECT_EQ(swept.left, 0u);
  EXPECT_EQ(station.control().fillers.load(std::memory_order_relaxed), 2u);
  EXPECT_EQ(gating_count(station.ring()), 0u);
  const Swept again = sweep_ring(*station.attached());
  EXPECT_EQ(again.producers + again.cursors + again.left, 0u);
}

TEST(SweepRing, FreesSlotsWithNothingOpen) {
  TestStation station;
  std::unique_ptr<Producer> producer;
  std::thread([&] { producer = std::make_unique<Producer>(station.producer()); }).join();
  EXPECT_EQ(sweep_ring(*station.attached()).producers, 1u);
  EXPECT_EQ(station.control().fillers.load(std::memory_order_relaxed), 0u);
}

TEST(SweepRing, LeavesTheLivingAloneAndTakesNoLock) {
  TestStation station;
  Producer producer = station.producer();
  const Consumer consumer = station.lossless();
  open(producer, "half");
  std::memset(&station.control().lock, 0x5a, sizeof station.control().lock);
  const Swept swept = sweep_ring(*station.attached());
  EXPECT_EQ(swept.producers + swept.cursors + swept.left, 0u);
}

TEST(SweepRing, DoesNotWaitForALockHolderWhoLives) {
  TestStation station;
  const Abandoned abandoned(station);
  Child child = Child::run([&](Child::Parent& parent) {
    if (lock_for(station.control().lock.mutex, 0) != LockOutcome::taken) return;
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  const Swept swept = sweep_ring(*station.attached());
  EXPECT_EQ(swept.left, 1u);
  EXPECT_EQ(swept.why_left, Cleaned::busy);
  child.kill();
  EXPECT_EQ(sweep_ring(*station.attached()).producers, 1u);
}

TEST(SweepRing, SaysWhyTheDeadStay) {
  TestStation station;
  const Abandoned abandoned(station);
  EXPECT_EQ(sweep_ring(*station.attached_as(Access::look)).why_left, Cleaned::may_not);
  std::memset(&station.control().lock, 0x5a, sizeof station.control().lock);
  const Swept swept = sweep_ring(*station.attached());
  EXPECT_EQ(swept.left, 1u);
  EXPECT_EQ(swept.why_left, Cleaned::broken);
}

TEST(Janitor, RepairsThroughAMappingThatOnlyReads) {
  TestStation station;
  const Abandoned abandoned(station);
  const auto reading = station.attached_as(Access::consume);
  EXPECT_EQ(reading->janitor().clean_producer(0), Cleaned::done);
  EXPECT_EQ(meta_type(station.ring().frame(tiny_capacity).meta.load(std::memory_order_acquire)),
            FrameType::dead);
}

TEST(Janitor, LeavesRepairToOthersWhereItMayOnlyLook) {
  TestStation station;
  const Abandoned abandoned(station);
  const auto looking = station.attached_as(Access::look);
  EXPECT_EQ(looking->janitor().clean_producer(0), Cleaned::may_not);
}

TEST(Janitor, SaysThatTheRingLockIsBroken) {
  TestStation station;
  const Abandoned abandoned(station);
  std::memset(&station.control().lock, 0x5a, sizeof station.control().lock);
  EXPECT_EQ(station.attached()->janitor().clean_producer(0), Cleaned::broken);
}

TEST(Janitor, KnowsNoSlotBeyondTheLast) {
  TestStation station;
  EXPECT_EQ(station.attached()->janitor().clean_producer(4), Cleaned::nothing);
  EXPECT_EQ(station.attached()->janitor().clean_cursor(~0u), Cleaned::nothing);
}

TEST(Janitor, TakesNonsenseInASlotForDeadAndFreesIt) {
  TestStation station;
  station.ring().producers[2].owner.store(~uint64_t{0} >> 1, std::memory_order_release);
  EXPECT_EQ(station.attached()->janitor().clean_producer(2), Cleaned::done);
  EXPECT_EQ(station.ring().producers[2].owner.load(std::memory_order_acquire), nobody);
}

}  // namespace
}  // namespace loopline::shm
