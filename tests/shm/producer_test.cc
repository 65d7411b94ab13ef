// Producer: slots, room and waiting for it, threads, forks, and what each misuse is told.
#include "shm/producer.h"

#include <gtest/gtest.h>

#include <thread>

#include "child.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"

namespace loopline::shm {
namespace {

// ---- slots -----------------------------------------------------------------

TEST(Producer, TakesASlotOfItsOwnAndGivesItBack) {
  TestStation station;
  auto first = std::make_unique<Producer>(station.producer());
  Producer second = station.producer();
  EXPECT_NE(first->slot(), second.slot());
  EXPECT_NE(first->identity(), second.identity());
  const uint32_t slot = first->slot();
  first.reset();
  EXPECT_EQ(station.producer().slot(), slot);
}

TEST(Producer, IsRefusedWhenAllSlotsAreTaken) {
  TestStation station;
  std::vector<Producer> producers;
  for (int count = 0; count < 4; ++count) producers.push_back(station.producer());
  const auto refused = Producer::open(station.attached());
  ASSERT_EQ(code_of(refused), FaultCode::too_many);
  EXPECT_TRUE(contains(refused.fault(), "all its 4 producers"));
  producers.pop_back();
  EXPECT_TRUE(Producer::open(station.attached()));
}

TEST(Producer, TakesTheSlotOfADeadOne) {
  TestStation station;
  std::vector<std::unique_ptr<Producer>> dead;
  std::thread([&] {
    for (int count = 0; count < 4; ++count) {
      dead.push_back(std::make_unique<Producer>(station.producer()));
    }
  }).join();
  EXPECT_TRUE(Producer::open(station.attached()));
}

TEST(Producer, OfAnExclusiveRingIsAlone) {
  RingOptions options = tiny_ring();
  options.exclusive = true;
  TestStation station(options);
  auto producer = std::make_unique<Producer>(station.producer());
  const auto refused = Producer::open(station.attached());
  ASSERT_EQ(code_of(refused), FaultCode::too_many);
  EXPECT_TRUE(contains(refused.fault(), "exclusive"));
  producer.reset();
  EXPECT_TRUE(Producer::open(station.attached()));
}

TEST(Producer, OfAnExclusiveRingIsFollowedAfterItsDeathInsideAClaim) {
  RingOptions options = tiny_ring();
  options.exclusive = true;
  TestStation station(options);
  Consumer consumer = station.lossless();
  Child child = Child::run([&](Child::Parent& parent) {
    Producer producer = station.producer();
    write(producer, "one");
    open(producer, "half");
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  child.kill();
  Producer producer = station.producer();
  EXPECT_EQ(write(producer, "three"), 3u);
  EXPECT_EQ(read(consumer), texts("one", "three"));
}

TEST(Producer, NeedsAMappingItMayWriteTo) {
  TestStation station;
  for (const Access access : {Access::consume, Access::look}) {
    EXPECT_EQ(code_of(Producer::open(station.attached_as(access))), FaultCode::no_permission);
  }
}

// ---- sizes and misuse ------------------------------------------------------

TEST(Producer, RefusesWhatIsLargerThanAnEighthOfTheRing) {
  TestStation station;
  Producer producer = station.producer();
  const uint64_t largest = tiny_capacity / 8 - frame_header_size;
  write(producer, std::string(largest, 'x'));
  OpenFrame frame;
  const Status refused = producer.claim(largest + 1, 0, frame);
  ASSERT_EQ(code_of(refused), FaultCode::too_large);
  EXPECT_TRUE(contains(refused.fault(), "481 bytes")) << refused.fault().message();
  EXPECT_TRUE(contains(refused.fault(), "480")) << refused.fault().message();
  EXPECT_EQ(refusal(producer, ~uint64_t{0}), FaultCode::too_large);
  EXPECT_EQ(write(producer, "goes on"), 2u) << "no sequence was lost";
}

TEST(Producer, RefusesWhatIsLargerThanMaxMessage) {
  RingOptions options = tiny_ring();
  options.message_max = 100;
  TestStation station(options);
  Producer producer = station.producer();
  write(producer, std::string(100, 'x'));
  EXPECT_EQ(refusal(producer, 101), FaultCode::too_large);
}

TEST(Producer, CommitsAFrameOnce) {
  TestStation station;
  Producer producer = station.producer();
  OpenFrame frame = open(producer, "x");
  must(producer.commit(frame, 0));
  EXPECT_EQ(code_of(producer.commit(frame, 0)), FaultCode::invalid_argument);
  EXPECT_EQ(code_of(producer.abort(frame)), FaultCode::invalid_argument);
  OpenFrame never;
  EXPECT_EQ(code_of(producer.commit(never, 0)), FaultCode::invalid_argument);
}

TEST(Producer, AbortedLeavesNoMessage) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  OpenFrame frame = open(producer, "never mind");
  must(producer.abort(frame));
  EXPECT_EQ(code_of(producer.commit(frame, 0)), FaultCode::invalid_argument);
  EXPECT_EQ(write(producer, "two"), 2u);
  EXPECT_EQ(read(consumer), texts("two"));
}

// ---- room ------------------------------------------------------------------

TEST(Producer, IsRefusedAtOnceWhenTheRingIsFullAndToldWhoHoldsIt) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  fill(producer);
  OpenFrame frame;
  const Status refused = producer.claim(32, 0, frame);
  ASSERT_EQ(code_of(refused), FaultCode::full);
  EXPECT_TRUE(contains(refused.fault(), "consumer in cursor slot 0"));
  EXPECT_TRUE(contains(refused.fault(), "pid " + std::to_string(::getpid())));
  read(consumer);
  write(producer, "goes on");
}

TEST(Producer, WaitsUntilItsDeadlineAndSaysThatItPassed) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    TestStation station;
    Producer producer = station.producer();
    producer.wait_kind = kind;
    const Consumer consumer = station.lossless();
    fill(producer);
    const uint64_t deadline = monotonic_ns() + 2'000'000;
    OpenFrame frame;
    EXPECT_EQ(code_of(producer.claim(32, deadline, frame)), FaultCode::timed_out);
    EXPECT_GE(monotonic_ns(), deadline);
  }
}

TEST(Producer, GoesOnWhenASlowReaderMakesRoom) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    TestStation station;
    Producer producer = station.producer();
    producer.wait_kind = kind;
    Consumer consumer = station.lossless();
    const uint64_t written = fill(producer);
    std::thread writer([&] {
      OpenFrame frame = open(producer, "at last", wait_for_ever);
      must(producer.commit(frame, 0));
    });
    while (station.control().space_bell.parked.load(std::memory_order_acquire) == 0 &&
           kind != WaitKind::spin) {
      std::this_thread::yield();
    }
    auto got = read(consumer);  // perhaps with the last one already
    writer.join();
    for (const auto& text : read(consumer)) got.push_back(text);
    ASSERT_EQ(got.size(), written + 1);
    EXPECT_EQ(got.back(), "at last");
    EXPECT_GT(station.ring().producers[0].blocked_ns.load(std::memory_order_relaxed), 0u);
  }
}

TEST(Producer, GoesOnWhenTheSlowReaderLeaves) {
  TestStation station;
  Producer producer = station.producer();
  producer.wait_kind = WaitKind::park;
  auto consumer = std::make_unique<Consumer>(station.lossless());
  fill(producer);
  std::thread writer([&] {
    must(
        producer.commit(*std::make_unique<OpenFrame>(open(producer, "at last", wait_for_ever)), 0));
  });
  while (station.control().space_bell.parked.load(std::memory_order_acquire) == 0) {
    std::this_thread::yield();
  }
  consumer.reset();
  writer.join();
}

TEST(Producer, IsHeldBackByAnOpenMessageAndToldWhose) {
  TestStation station;
  Producer slow = station.producer(), fast = station.producer();
  OpenFrame held = open(slow, "slow");
  fill(fast);
  OpenFrame frame;
  const Status refused = fast.claim(32, 0, frame);
  ASSERT_EQ(code_of(refused), FaultCode::full);
  EXPECT_TRUE(contains(refused.fault(), "an open message of producer slot 0"));
  must(slow.commit(held, 0));
  write(fast, "goes on");
}

TEST(Producer, NeedsNoRoomFromLossyReaders) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  for (int count = 0; count < 1000; ++count) write(producer, std::to_string(count));
  EXPECT_EQ(read(consumer).back(), "999");
}

TEST(Producer, UsesEveryPositionUpToTheLastAndStopsThere) {
  RingOptions options = tiny_ring();
  options.born = false;
  TestStation station(options);
  give_birth(station.ring(), {position_max - 3 * tiny_capacity, 1'000'000});
  station.control().gate.pair.store(no_cursor, std::memory_order_release);
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  uint64_t written = 0;
  for (;; ++written) {
    OpenFrame frame;
    const Status claimed = producer.claim(4, 0, frame);
    if (!claimed) {
      EXPECT_EQ(claimed.fault().code(), FaultCode::full);
      EXPECT_TRUE(contains(claimed.fault(), "positions")) << claimed.fault().message();
      break;
    }
    must(producer.commit(frame, 0));
    ASSERT_EQ(read(consumer).size(), 1u) << written;
    ASSERT_EQ(consumer.at().second, 1'000'001 + written);
  }
  EXPECT_GT(written, 3 * tiny_capacity / unit_size - 2);
  EXPECT_EQ(claim_seal(station.ring(), seal_removed).bytes, unit_size) << "and can be sealed";
}

TEST(Producer, ToldOfDamageInsteadOfWaitingForEver) {
  TestStation station;
  Producer producer = station.producer();
  for (uint64_t unit = 0; unit < tiny_capacity / unit_size; ++unit) {
    station.ring().side_words[unit].store(~uint64_t{0}, std::memory_order_relaxed);
  }
  OpenFrame frame;
  EXPECT_EQ(code_of(producer.claim(32, wait_for_ever, frame)), FaultCode::corrupted);
}

// ---- threads and forks -----------------------------------------------------

TEST(Producer, MovesToAnotherThread) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "here");
  SeatId there = nobody;
  std::thread([&, moved = std::move(producer)]() mutable {
    write(moved, "there");
    there = station.ring().producers[0].owner.load(std::memory_order_acquire);
    EXPECT_EQ(there, must(station.roster().my_seat()));
  }).join();
  EXPECT_EQ(read(consumer), texts("here", "there"));
  EXPECT_EQ(station.ring().producers[0].owner.load(std::memory_order_acquire), nobody);
}

TEST(Producer, TakesAnOpenMessageAlongToAnotherThread) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  OpenFrame frame = open(producer, "begun here");
  std::thread([&] { must(producer.commit(frame, 0)); }).join();
  EXPECT_EQ(read(consumer), texts("begun here"));
}

TEST(Producer, SurvivesTheEndOfItsThreadWhenNobodyNoticed) {
  TestStation station;
  Consumer consumer = station.lossless();
  std::unique_ptr<Producer> producer;
  OpenFrame frame;
  std::thread([&] {
    producer = std::make_unique<Producer>(station.producer());
    frame = open(*producer, "begun there");
  }).join();
  must(producer->commit(frame, 0));
  EXPECT_EQ(read(consumer), texts("begun there"));
}

TEST(Producer, IsFencedWhenItsThreadEndedAndItWasCleanedUpAfter) {
  TestStation station;
  Consumer consumer = station.lossless();
  std::unique_ptr<Producer> producer;
  OpenFrame frame;
  std::thread([&] {
    producer = std::make_unique<Producer>(station.producer());
    frame = open(*producer, "begun there");
  }).join();
  station.attached()->janitor().sweep();
  EXPECT_EQ(code_of(producer->commit(frame, 0)), FaultCode::fenced);
  EXPECT_EQ(refusal(*producer, 1), FaultCode::fenced);
  EXPECT_TRUE(read(consumer).empty());
  Producer other = station.producer();
  EXPECT_EQ(write(other, "two"), 2u) << "the filler kept number 1";
  producer.reset();
  EXPECT_NE(station.ring().producers[0].owner.load(std::memory_order_acquire), nobody)
      << "a fenced handle does not free the slot of the next one";
}

TEST(Producer, AnswersForkedInAChildWhileTheParentGoesOn) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  OpenFrame frame = open(producer, "the parent's");
  Child child = Child::run([&](Child::Parent&) {
    return refusal(producer, 1) == FaultCode::forked &&
           code_of(producer.commit(frame, 0)) == FaultCode::forked &&
           code_of(producer.abort(frame)) == FaultCode::forked;
  });
  EXPECT_TRUE(child.passes());
  must(producer.commit(frame, 0));
  write(producer, "goes on");
  EXPECT_EQ(read(consumer), texts("the parent's", "goes on"));
}

TEST(Producer, ClosedInAChildStaysOpenInTheParent) {
  TestStation station;
  auto producer = std::make_unique<Producer>(station.producer());
  Child child = Child::run([&](Child::Parent&) { producer.reset(); });
  EXPECT_TRUE(child.passes());
  EXPECT_EQ(station.ring().producers[0].owner.load(std::memory_order_acquire),
            must(station.roster().my_seat()));
  write(*producer, "goes on");
}

TEST(Producer, MayBeOpenedAnewInAChild) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  Child child = Child::run([&](Child::Parent&) {
    Producer own = station.producer();
    write(own, "the child's");
  });
  EXPECT_TRUE(child.passes());
  write(producer, "the parent's");
  EXPECT_EQ(read(consumer), texts("the child's", "the parent's"));
}

TEST(Producer, StoppedInsideAMessageIsWaitedForAndNotForced) {
  TestStation station;
  Consumer consumer = station.lossless();
  Child child = Child::run([&](Child::Parent& parent) {
    Producer producer = station.producer();
    OpenFrame frame = open(producer, "in its own time");
    parent.say();
    ::raise(SIGSTOP);
    must(producer.commit(frame, 0));
  });
  ASSERT_TRUE(child.listen());
  EXPECT_FALSE(must(consumer.wait(monotonic_ns() + 2'000'000)));
  EXPECT_EQ(station.attached()->janitor().clean_producer(0), Cleaned::nothing);
  // It may not have stopped yet: continued until it is through.
  while (!must(consumer.wait(monotonic_ns() + 2'000'000))) child.send(SIGCONT);
  EXPECT_EQ(read(consumer), texts("in its own time"));
  EXPECT_TRUE(child.passes());
}

// ---- what it writes --------------------------------------------------------

TEST(Producer, StampsMessagesAsTheRingSays) {
  for (const TimestampKind kind :
       {TimestampKind::precise, TimestampKind::coarse, TimestampKind::off}) {
    RingOptions options = tiny_ring();
    options.timestamp = kind;
    TestStation station(options);
    Producer producer = station.producer();
    Consumer consumer = station.lossless();
    const uint64_t before = kind == TimestampKind::coarse ? utc_coarse_ns() : utc_ns();
    write(producer, "x");
    const uint64_t after = kind == TimestampKind::coarse ? utc_coarse_ns() : utc_ns();
    FrameView view;
    ASSERT_EQ(must(consumer.read({&view, 1})), 1u);
    if (kind == TimestampKind::off) {
      EXPECT_EQ(view.timestamp, 0u);
    } else {
      EXPECT_GE(view.timestamp, before);
      EXPECT_LE(view.timestamp, after);
    }
  }
}

TEST(Producer, CountsWhatItPublishedForAllToSee) {
  TestStation station;
  Producer producer = station.producer();
  write(producer, "12345");
  write(producer, "678");
  OpenFrame frame = open(producer, "not counted");
  must(producer.abort(frame));
  const ProducerSlot& slot = station.ring().producers[producer.slot()];
  EXPECT_EQ(slot.messages.load(std::memory_order_relaxed), 2u);
  EXPECT_EQ(slot.bytes.load(std::memory_order_relaxed), 8u);
  EXPECT_EQ(slot.identity.load(std::memory_order_relaxed), producer.identity());
}

TEST(Producer, GivesManyThreadsOneDenseOrder) {
  TestStation station(tiny_ring(64 << 10));
  constexpr uint64_t each = 5000;
  Consumer consumer = station.lossless();
  std::vector<std::thread> writers;
  for (char letter : {'a', 'b', 'c'}) {
    writers.emplace_back([&, letter] {
      Producer producer = station.producer();
      for (uint64_t count = 0; count < each; ++count) {
        OpenFrame frame = open(producer, letter + std::to_string(count), wait_for_ever);
        must(count % 7 == 3 ? producer.abort(frame) : producer.commit(frame, 0));
      }
    });
  }
  uint64_t next[3] = {0, 0, 0}, sequence = 0;
  FrameView views[64];
  while (next[0] + next[1] + next[2] < 3 * each) {
    ASSERT_TRUE(must(consumer.wait(wait_for_ever)));
    const size_t count = must(consumer.read(views));
    for (size_t index = 0; index < count; ++index) {
      const std::string text = text_of(views[index]);
      uint64_t& expected = next[text[0] - 'a'];
      if (expected % 7 == 3) ++expected;
      ASSERT_EQ(text.substr(1), std::to_string(expected));
      ++expected;
      ASSERT_GT(views[index].sequence, sequence);
      sequence = views[index].sequence;
    }
    must(consumer.release());
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(sequence, 3 * each);
}

}  // namespace
}  // namespace loopline::shm
