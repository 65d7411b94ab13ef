// Consumer: runs, what they hold back, gaps, waiting, threads, forks, and what bad bytes get.
#include "shm/consumer.h"

#include <gtest/gtest.h>

#include <thread>

#include "child.h"
#include "named_station.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"

namespace loopline::shm {
namespace {

// ---- where it begins -------------------------------------------------------

Consumer joined(const TestStation& station, bool lossy, From from) {
  return lossy ? station.lossy(from) : station.lossless(from);
}

TEST(Consumer, FromEarliestGetsWhatIsThere) {
  TestStation station;
  Producer producer = station.producer();
  write(producer, "one");
  write(producer, "two");
  Consumer consumer = station.lossless(From::earliest);
  write(producer, "three");
  EXPECT_EQ(read(consumer), texts("one", "two", "three"));
}

TEST(Consumer, FromLatestGetsWhatComes) {
  for (const bool lossy : {false, true}) {
    TestStation station;
    Producer producer = station.producer();
    write(producer, "one");
    Consumer consumer = joined(station, lossy, From::latest);
    EXPECT_FALSE(must(consumer.wait(0)));
    write(producer, "two");
    EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
    EXPECT_EQ(read(consumer), texts("two"));
    EXPECT_EQ(consumer.take_gap().count, 0u);
  }
}

TEST(Consumer, FromASequenceGetsItAndWhatFollows) {
  for (const bool lossy : {false, true}) {
    TestStation station;
    Producer producer = station.producer();
    for (const char* text : {"one", "two", "three"}) write(producer, text);
    Consumer second = joined(station, lossy, From::sequence(2)),
             first = joined(station, lossy, From::sequence(0));
    Consumer to_come = joined(station, lossy, From::sequence(5));
    EXPECT_EQ(read(second), texts("two", "three"));
    EXPECT_EQ(read(first), texts("one", "two", "three"));
    EXPECT_EQ(read(to_come), texts());
    write(producer, "four");
    write(producer, "five");
    EXPECT_EQ(read(to_come), texts("five"));
    EXPECT_EQ(read(second), texts("four", "five"));
    EXPECT_EQ(second.take_gap().count + first.take_gap().count + to_come.take_gap().count, 0u);
  }
}

TEST(Consumer, IsToldWhatIsNoLongerThereOfWhatItAskedFor) {
  for (const bool lossy : {false, true}) {
    TestStation station;
    Producer producer = station.producer();
    for (int count = 1; count <= 500; ++count) write(producer, std::to_string(count));
    Consumer consumer = joined(station, lossy, From::sequence(7));
    const auto got = read(consumer);
    const Gap gap = consumer.take_gap();
    EXPECT_EQ(gap.first, 7u);
    EXPECT_EQ(7 + gap.count, std::stoull(got.front()));
    EXPECT_EQ(got.back(), "500");
  }
}

TEST(Consumer, OnItsWayToASequenceMissesOnlyWhatItAskedFor) {
  TestStation station;
  Producer producer = station.producer();
  write(producer, "1");
  Consumer early = station.lossy(From::sequence(400));
  Consumer late = station.lossy(From::sequence(600));
  for (int count = 2; count <= 500; ++count) write(producer, std::to_string(count));
  const auto got = read(early);
  const Gap gap = early.take_gap();
  EXPECT_EQ(gap.first, 400u);
  EXPECT_EQ(400 + gap.count, std::stoull(got.front()));
  EXPECT_EQ(read(late), texts());
  EXPECT_EQ(late.take_gap().count, 0u);
}

TEST(Consumer, FromLastGetsTheNewest) {
  for (const bool lossy : {false, true}) {
    TestStation station;
    Producer producer = station.producer();
    for (const char* text : {"one", "two", "three"}) write(producer, text);
    Consumer two = joined(station, lossy, From::last(2)),
             all = joined(station, lossy, From::last(99)),
             none = joined(station, lossy, From::last(0));
    write(producer, "four");
    EXPECT_EQ(read(two), texts("two", "three", "four"));
    EXPECT_EQ(read(all), texts("one", "two", "three", "four"));
    EXPECT_EQ(read(none), texts("four"));
  }
}

TEST(Consumer, FromATimeGetsWhatIsNotOlder) {
  RingOptions options = tiny_ring();
  options.timestamp = TimestampKind::precise;
  for (const bool lossy : {false, true}) {
    TestStation station(options);
    Producer producer = station.producer();
    write(producer, "before");
    const uint64_t now = utc_ns();
    write(producer, "after");
    Consumer exact = joined(station, lossy, From::time(now)),
             all = joined(station, lossy, From::time(0));
    Consumer none = joined(station, lossy, From::time(~0ull));
    EXPECT_EQ(read(exact), texts("after"));
    EXPECT_EQ(read(all), texts("before", "after"));
    EXPECT_EQ(read(none), texts());
  }
}

TEST(Consumer, IsRefusedATimeWhereNoneAreKept) {
  TestStation station;
  const auto refused = Consumer::open(station.attached(), {.from = From::time(1)});
  EXPECT_EQ(code_of(refused), FaultCode::unsupported);
}

TEST(Consumer, FromLatestHoldsTheWindowForMessagesStillOpen) {
  TestStation station;
  Producer slow = station.producer(), fast = station.producer();
  OpenFrame held = open(slow, "older than the reader");
  write(fast, "as well");
  Consumer consumer = station.lossless(From::latest);
  write(fast, "new");
  fill(fast);
  EXPECT_EQ(refusal(fast, 1), FaultCode::full);
  must(slow.commit(held, 0));
  EXPECT_EQ(read(consumer).front(), "new");
}

TEST(Consumer, JoiningLateGetsTheWholeWindowAndNoMore) {
  TestStation station;
  Producer producer = station.producer();
  for (int count = 0; count < 500; ++count) write(producer, std::to_string(count));
  Consumer consumer = station.lossless(From::earliest);
  const auto got = read(consumer);
  EXPECT_EQ(got.back(), "499");
  EXPECT_GE(got.size(), 58u) << "a ring of 63, less what was moved ahead for claims";
  EXPECT_EQ(consumer.take_gap().count, 0u) << "what was before it, it did not miss";
}

TEST(Consumer, JoinsWhileProducersRunLapAfterLap) {
  TestStation station;
  Atomic<uint32_t> stop{};
  std::thread writer([&] {
    Producer producer = station.producer();
    for (uint64_t count = 1; stop.load(std::memory_order_relaxed) == 0; ++count) {
      OpenFrame frame = open(producer, std::to_string(count), wait_for_ever);
      must(producer.commit(frame, 0));
    }
  });
  for (int round = 0; round < 200; ++round) {
    Consumer consumer = station.lossless(round % 2 == 0 ? From::earliest : From::latest);
    uint64_t expected = 0;
    for (int run = 0; run < 3; ++run) {
      ASSERT_TRUE(must(consumer.wait(wait_for_ever)));
      for (const std::string& text : read(consumer)) {
        if (expected != 0) {
          ASSERT_EQ(text, std::to_string(expected));
        }
        expected = std::stoull(text) + 1;
      }
    }
  }
  stop.store(1, std::memory_order_relaxed);
  writer.join();
}

// ---- runs ------------------------------------------------------------------

TEST(Consumer, ReadsAsManyAsFit) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  for (int count = 0; count < 10; ++count) write(producer, std::to_string(count));
  FrameView views[4];
  EXPECT_EQ(must(consumer.read(views)), 4u);
  EXPECT_EQ(text_of(views[0]), "0");
  EXPECT_EQ(must(consumer.read(views)), 4u);
  EXPECT_EQ(must(consumer.read(views)), 2u);
  EXPECT_EQ(text_of(views[1]), "9");
  EXPECT_EQ(must(consumer.read(views)), 0u);
  EXPECT_EQ(must(consumer.read({})), 0u);
}

TEST(Consumer, HoldsARunUntilItReleasesIt) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  const uint64_t written = fill(producer);
  FrameView views[64];
  ASSERT_EQ(must(consumer.read(views)), written);
  EXPECT_EQ(refusal(producer, 1), FaultCode::full);
  EXPECT_EQ(text_of(views[0]), std::string(32, 'x'));
  must(consumer.release());
  write(producer, "goes on");
}

TEST(Consumer, GivesTheLastRunBackWhenItReadsTheNextOrWaits) {
  for (const bool waits : {false, true}) {
    TestStation station;
    Producer producer = station.producer();
    Consumer consumer = station.lossless();
    fill(producer);
    FrameView views[64];
    must(consumer.read(views));
    if (waits) {
      EXPECT_FALSE(must(consumer.wait(0)));
    } else {
      EXPECT_EQ(must(consumer.read(views)), 0u);
    }
    write(producer, "goes on");
  }
}

TEST(Consumer, ThatNeverReadsHoldsProducersAndNobodyElse) {
  TestStation station;
  Producer producer = station.producer();
  const Consumer idle = station.lossless();
  Consumer busy = station.lossless();
  const uint64_t written = fill(producer);
  EXPECT_EQ(read(busy).size(), written);
  EXPECT_EQ(refusal(producer, 1), FaultCode::full);
}

TEST(Consumer, ReadsMessagesOfEverySizeOverManyLaps) {
  TestStation station;
  Producer producer = station.producer();
  Consumer lossless = station.lossless(), lossy = station.lossy();
  for (size_t size = 0; size <= 480; ++size) {
    const std::string text(size, static_cast<char>('a' + size % 26));
    write(producer, text);
    ASSERT_EQ(read(lossless), texts(text));
    ASSERT_EQ(read(lossy), texts(text));
  }
}

TEST(Consumer, IsRefusedWhenAllSlotsAreTaken) {
  TestStation station;
  std::vector<Consumer> consumers;
  for (int count = 0; count < 4; ++count) consumers.push_back(station.lossless());
  const auto refused = Consumer::open(station.attached(), {.lossy = true});
  ASSERT_EQ(code_of(refused), FaultCode::too_many);
  EXPECT_TRUE(contains(refused.fault(), "all its 4 consumers"));
  consumers.pop_back();
  EXPECT_TRUE(Consumer::open(station.attached(), {}));
}

// ---- lossy -----------------------------------------------------------------

TEST(LossyConsumer, IsToldExactlyWhatItMissed) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  write(producer, "1");
  EXPECT_EQ(read(consumer), texts("1"));
  for (int count = 2; count <= 300; ++count) write(producer, std::to_string(count));
  FrameView views[8];
  const size_t count = must(consumer.read(views));
  ASSERT_EQ(count, 8u);
  const Gap gap = consumer.take_gap();
  EXPECT_EQ(gap.first, 2u);
  EXPECT_EQ(gap.first + gap.count, views[0].sequence);
  EXPECT_EQ(text_of(views[0]), std::to_string(views[0].sequence));
  EXPECT_EQ(consumer.take_gap().count, 0u) << "asking forgets it";
}

TEST(LossyConsumer, KeepsItsRunWhileTheRingIsOverwritten) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  for (int count = 0; count < 20; ++count) write(producer, std::to_string(count));
  FrameView views[64];
  ASSERT_EQ(must(consumer.read(views)), 20u);
  for (int count = 0; count < 500; ++count) write(producer, "over");
  for (size_t index = 0; index < 20; ++index)
    EXPECT_EQ(text_of(views[index]), std::to_string(index));
}

TEST(LossyConsumer, CountsEverySequenceOnceAsReadOrMissed) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  uint64_t expected = 1, last = 0;
  FrameView views[16];
  for (int round = 0; round < 300; ++round) {
    for (int count = 0; count < round % 150; ++count) last = write(producer, "x");
    const size_t count = must(consumer.read(views));
    const Gap gap = consumer.take_gap();
    if (gap.count != 0) {
      ASSERT_EQ(gap.first, expected);
      expected += gap.count;
    }
    for (size_t index = 0; index < count; ++index) ASSERT_EQ(views[index].sequence, expected++);
  }
  EXPECT_EQ(consumer.at().second, expected);
  EXPECT_LE(expected, last + 1);
  const CursorSlot& slot = station.ring().cursors[consumer.slot()];
  const uint64_t lost = slot.lost.load(std::memory_order_relaxed);
  EXPECT_GT(lost, 0u);
  EXPECT_EQ(lost + slot.messages.load(std::memory_order_relaxed), expected - 1);
}

TEST(LossyConsumer, WakesWhenItWasLappedEvenIfNothingElseComes) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  OpenFrame held = open(producer, "");
  must(producer.abort(held));
  for (int count = 0; count < 200; ++count) {
    OpenFrame frame = open(producer, "");
    must(producer.abort(frame));
  }
  EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
  EXPECT_TRUE(read(consumer).empty());
  EXPECT_GT(consumer.take_gap().count, 100u);
}

TEST(LossyConsumer, ReadsRacingProducersWithoutATornMessage) {
  TestStation station;
  Atomic<uint32_t> done{};
  std::thread writer([&] {
    Producer producer = station.producer();
    for (uint64_t count = 1; count <= 40'000; ++count) {
      const auto letter = static_cast<char>('a' + count % 26);
      write(producer, std::string(1 + count % 200, letter));
    }
    done.store(1, std::memory_order_release);
  });
  Consumer consumer = station.lossy();
  FrameView views[16];
  uint64_t expected = 0;
  for (;;) {
    const bool last = done.load(std::memory_order_acquire) != 0;
    const size_t count = must(consumer.read(views));
    const Gap gap = consumer.take_gap();
    if (gap.count != 0 && expected != 0) {
      ASSERT_EQ(gap.first, expected);
      expected += gap.count;
    }
    for (size_t index = 0; index < count; ++index) {
      if (expected != 0) {
        ASSERT_EQ(views[index].sequence, expected);
      }
      const uint64_t number = views[index].sequence;
      expected = number + 1;
      ASSERT_EQ(text_of(views[index]),
                std::string(1 + number % 200, static_cast<char>('a' + number % 26)));
    }
    if (last && count == 0) break;
  }
  EXPECT_EQ(expected, 40'001u);
  writer.join();
}

TEST(LossyConsumer, NeedsNoMoreThanReadPermission) {
  TestStation station;
  Producer producer = station.producer();
  const auto looking = station.attached_as(Access::look);
  EXPECT_EQ(code_of(Consumer::open(looking, {})), FaultCode::no_permission);
  Consumer consumer = must(Consumer::open(looking, {.lossy = true, .from = From::earliest}));
  EXPECT_FALSE(must(consumer.wait(0)));
  write(producer, "one");
  EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
  EXPECT_EQ(read(consumer), texts("one"));
  for (int count = 0; count < 200; ++count) write(producer, "x");
  EXPECT_FALSE(read(consumer).empty());
  EXPECT_GT(consumer.take_gap().count, 0u);
}

TEST(LossyConsumer, WithReadPermissionOnlyFollowsASeal) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer =
      must(Consumer::open(station.attach(Access::look), {.lossy = true, .from = From::earliest}));
  write(producer, "one");
  station.seal();
  write(producer, "two");
  EXPECT_EQ(read(consumer), texts("one", "two"));
}

// ---- waiting ---------------------------------------------------------------

TEST(Consumer, WaitsUntilItsDeadline) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    TestStation station;
    Consumer consumer = must(Consumer::open(station.attached(), {.wait = kind}));
    const uint64_t deadline = monotonic_ns() + 2'000'000;
    EXPECT_FALSE(must(consumer.wait(deadline)));
    EXPECT_GE(monotonic_ns(), deadline);
    EXPECT_FALSE(must(consumer.wait(0)));
  }
}

TEST(Consumer, IsWokenByACommit) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    TestStation station;
    Consumer consumer = must(Consumer::open(station.attached(), {.wait = kind}));
    std::thread writer([&] {
      Producer producer = station.producer();
      while (station.control().data_bell.parked.load(std::memory_order_acquire) == 0 &&
             kind != WaitKind::spin) {
        std::this_thread::yield();
      }
      write(producer, "wake up");
    });
    EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
    EXPECT_EQ(read(consumer), texts("wake up"));
    writer.join();
  }
}

TEST(Consumer, SaysWhileItSleepsThatItDoes) {
  TestStation station;
  Consumer consumer = must(Consumer::open(station.attached(), {.wait = WaitKind::park}));
  const auto& waiting = station.ring().cursors[consumer.slot()].waiting;
  std::thread writer([&] {
    while (waiting.load(std::memory_order_relaxed) == 0) std::this_thread::yield();
    Producer producer = station.producer();
    write(producer, "x");
  });
  EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
  EXPECT_EQ(waiting.load(std::memory_order_relaxed), 0u);
  writer.join();
}

TEST(Consumer, IsWokenByTheDeathOfTheProducerItWaitsFor) {
  TestStation station;
  Consumer consumer = must(Consumer::open(station.attached(), {.wait = WaitKind::park}));
  Child child = Child::run([&](Child::Parent& parent) {
    Producer producer = station.producer();
    open(producer, "half");
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  Producer producer = station.producer();
  write(producer, "behind");
  std::thread killer([&] {
    while (station.control().data_bell.parked.load(std::memory_order_acquire) == 0) {
      std::this_thread::yield();
    }
    child.kill();
  });
  EXPECT_TRUE(must(consumer.wait(wait_for_ever)));
  EXPECT_EQ(read(consumer), texts("behind"));
  killer.join();
}

// ---- threads and forks -----------------------------------------------------

TEST(Consumer, MovesToAnotherThread) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "here");
  EXPECT_EQ(read(consumer), texts("here"));
  std::thread([&, moved = std::move(consumer)]() mutable {
    write(producer, "there");
    EXPECT_EQ(read(moved), texts("there"));
    EXPECT_EQ(station.ring().cursors[0].owner.load(std::memory_order_acquire),
              must(station.roster().my_seat()));
  }).join();
  EXPECT_EQ(gating_count(station.ring()), 0u);
}

TEST(Consumer, SurvivesTheEndOfItsThreadWhenNobodyNoticed) {
  TestStation station;
  Producer producer = station.producer();
  std::unique_ptr<Consumer> consumer;
  std::thread([&] { consumer = std::make_unique<Consumer>(station.lossless()); }).join();
  write(producer, "one");
  EXPECT_EQ(read(*consumer), texts("one"));
  EXPECT_EQ(gating_count(station.ring()), 1u);
}

TEST(Consumer, IsFencedWhenItsThreadEndedAndItWasReaped) {
  TestStation station;
  std::unique_ptr<Consumer> consumer;
  std::thread([&] { consumer = std::make_unique<Consumer>(station.lossless()); }).join();
  station.attached()->janitor().sweep();
  FrameView views[4];
  EXPECT_EQ(code_of(consumer->read(views)), FaultCode::fenced);
  EXPECT_EQ(code_of(consumer->wait(0)), FaultCode::fenced);
  EXPECT_EQ(code_of(consumer->release()), FaultCode::fenced);
}

TEST(Consumer, AnswersForkedInAChildWhileTheParentGoesOn) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "one");
  Child child = Child::run([&](Child::Parent&) {
    FrameView views[4];
    return code_of(consumer.read(views)) == FaultCode::forked &&
           code_of(consumer.wait(0)) == FaultCode::forked &&
           code_of(consumer.release()) == FaultCode::forked;
  });
  EXPECT_TRUE(child.passes());
  EXPECT_EQ(read(consumer), texts("one"));
}

TEST(Consumer, ClosedInAChildStaysOpenInTheParent) {
  TestStation station;
  auto consumer = std::make_unique<Consumer>(station.lossless());
  Child child = Child::run([&](Child::Parent&) { consumer.reset(); });
  EXPECT_TRUE(child.passes());
  EXPECT_EQ(gating_count(station.ring()), 1u);
}

// ---- following -------------------------------------------------------------

TEST(Consumer, StaysWhereItIsWhenTheSuccessorHasNoSlotForItAndFollowsLater) {
  const NamedStation station;
  Producer producer = station.producer();
  auto first = std::make_unique<Consumer>(station.lossless());
  Consumer second = station.lossless();
  write(producer, "one");
  RingOptions narrow = station.options();
  narrow.cursor_slots = 1;
  station.seal(narrow);
  write(producer, "two");
  EXPECT_EQ(read(*first), texts("one", "two"));
  FrameView views[4];
  EXPECT_EQ(must(second.read(views)), 1u);
  EXPECT_EQ(code_of(second.read(views)), FaultCode::too_many);
  EXPECT_EQ(code_of(second.read(views)), FaultCode::too_many);
  fill(producer);
  EXPECT_EQ(refusal(producer, 32), FaultCode::full) << "it is still waited for";
  first.reset();
  EXPECT_EQ(read(second).front(), "two");
}

TEST(LossyConsumer, FollowsIntoARingWithLargerMessages) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  RingOptions large = station.options();
  large.capacity = 8u << 20;
  station.seal(large);
  write(producer, "into the next");
  const std::string text(1'000'000, 'x');
  write(producer, text);
  EXPECT_EQ(read(consumer), texts("into the next", text));
}

TEST(Consumer, ThatSleptThroughTwoSealsGoesOnInTheNewest) {
  const NamedStation station;
  Producer producer = station.producer(), idle = station.producer();
  Consumer lossy = station.lossy();
  Consumer consumer = station.lossless();
  for (const char* text : {"one", "two", "three"}) {
    write(producer, text);
    station.seal();
    write(producer, "x");
    read(consumer);
  }
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{4}));
  EXPECT_GT(write(idle, "four"), 8u);
  EXPECT_EQ(read(lossy).back(), "four");
  EXPECT_GT(lossy.take_gap().count, 0u);
}

TEST(Consumer, WhoseSuccessorSomebodyDeletedIsToldSo) {
  const NamedStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "one");
  station.seal();
  ASSERT_EQ(::unlink(station.directory().ring_path(station.name(), 0, 2).c_str()), 0);
  FrameView views[4];
  EXPECT_EQ(must(consumer.read(views)), 1u);
  EXPECT_FALSE(consumer.read(views));
  EXPECT_NE(refusal(producer, 1), FaultCode::full);
}

// ---- foreign bytes ---------------------------------------------------------

TEST(Consumer, HandsOutWhatIsSoundBeforeItReportsDamage) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "sound");
  const Pair place = station.control().hint.pair.load(std::memory_order_acquire);
  write(producer, "damaged");
  station.ring().frame(place.first).sequence.store(99, std::memory_order_relaxed);
  FrameView views[4];
  ASSERT_EQ(must(consumer.read(views)), 1u);
  EXPECT_EQ(text_of(views[0]), "sound");
  const auto damaged = consumer.read(views);
  ASSERT_EQ(code_of(damaged), FaultCode::corrupted);
  EXPECT_TRUE(contains(damaged.fault(), "sequence 2")) << damaged.fault().message();
}

TEST(Consumer, CannotWriteIntoTheRingItReads) {
  TestStation station;
  const auto reading = station.attached_as(Access::consume);
  Child child = Child::run([&](Child::Parent&) {
    ::signal(SIGSEGV, SIG_DFL);
    std::memset(reading->ring().at(0), 1, 1);
  });
  EXPECT_EQ(child.ending_signal(), SIGSEGV);
}

TEST(Consumer, CountsWhatItReadForAllToSee) {
  TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "12345");
  write(producer, "678");
  read(consumer);
  const CursorSlot& slot = station.ring().cursors[consumer.slot()];
  EXPECT_EQ(slot.messages.load(std::memory_order_relaxed), 2u);
  EXPECT_EQ(slot.bytes.load(std::memory_order_relaxed), 8u);
  EXPECT_EQ(slot.cursor.load(std::memory_order_acquire), consumer.at());
}

}  // namespace
}  // namespace loopline::shm
