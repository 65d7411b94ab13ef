// Evict: who holds a full ring and does not read on is detached, told, and nobody else is.
#include "shm/evict.h"

#include <gtest/gtest.h>

#include <thread>

#include "named_station.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"

namespace loopline::shm {
namespace {

constexpr uint64_t after = 1'000'000;  // the least that may be asked for

RingOptions with_eviction(RingOptions options) {
  options.evict_after_ns = after;
  return options;
}

class EvictTest : public testing::Test {
 protected:
  // The watch of one who waits, at a time of the test's own.
  bool look(uint64_t now_ns) {
    return watch_.look(station_.ring(), 1, reader_.slot(), after, now_ns);
  }
  Pair cursor() const {
    return station_.ring().cursors[reader_.slot()].cursor.load(std::memory_order_acquire);
  }

  TestStation station_{with_eviction(tiny_ring())};
  Consumer reader_ = station_.lossless();
  Producer producer_ = station_.producer();
  EvictionWatch watch_;
};

TEST_F(EvictTest, ComesWhenTheReaderStoodStillForSoLong) {
  fill(producer_);
  EXPECT_FALSE(look(5));
  EXPECT_EQ(watch_.due_ns(), 5 + after);
  EXPECT_FALSE(look(after + 4));
  EXPECT_TRUE(look(after + 5));
  EXPECT_EQ(cursor(), evicted_cursor);
  EXPECT_EQ(gating_count(station_.ring()), 0u);
  EXPECT_EQ(station_.control().evicted.load(std::memory_order_relaxed), 1u);
}

TEST_F(EvictTest, BeginsAnewWhenTheReaderMoves) {
  fill(producer_);
  EXPECT_FALSE(look(0));
  FrameView views[1];
  EXPECT_EQ(must(reader_.read(views)), 1u);
  EXPECT_FALSE(look(after - 1)) << "what it reads is not given back yet";
  must(reader_.release());
  EXPECT_FALSE(look(after)) << "it moved";
  EXPECT_FALSE(look(2 * after - 1));
  EXPECT_TRUE(look(2 * after));
}

TEST_F(EvictTest, SparesTheReaderBehindAnOpenMessage) {
  OpenFrame frame = open(producer_, "in the making");
  Producer other = station_.producer();
  fill(other);
  EXPECT_FALSE(look(0));
  EXPECT_FALSE(look(10 * after)) << "it has nothing to read";
  must(producer_.commit(frame, 0));
  EXPECT_FALSE(look(11 * after - 1)) << "its time begins with the message";
  EXPECT_TRUE(look(11 * after));
}

TEST_F(EvictTest, BeginsAnewWithAnotherReader) {
  fill(producer_);
  EXPECT_FALSE(look(0));
  const uint32_t slot = reader_.slot();
  reader_ = Consumer(std::move(reader_));
  std::thread([&] {  // a seat of its own
    Consumer other = station_.lossless();
    std::swap(reader_, other);
  })
      .join();
  ASSERT_NE(reader_.slot(), slot);
  EXPECT_FALSE(look(after)) << "another slot";
}

TEST_F(EvictTest, IsToldAtEachCall) {
  fill(producer_);
  FrameView views[4];
  EXPECT_EQ(must(reader_.read(views)), 4u);
  look(0);
  EXPECT_TRUE(look(after));
  const Status released = reader_.release();
  ASSERT_EQ(code_of(released), FaultCode::fenced);
  EXPECT_NE(released.fault().message().find("evict-after"), std::string::npos);
  EXPECT_NE(released.fault().message().find("sequence 1 "), std::string::npos)
      << released.fault().message();
  EXPECT_EQ(code_of(reader_.read(views)), FaultCode::fenced);
  EXPECT_FALSE(reader_.is_idle()) << "there is something to be told";
  EXPECT_TRUE(must(reader_.wait(wait_for_ever)));
}

TEST_F(EvictTest, IsToldAfterItsMessagesWereOverwritten) {
  fill(producer_);
  look(0);
  EXPECT_TRUE(look(after));
  for (int lap = 0; lap < 200; ++lap) write(producer_, "a message of a later lap");
  FrameView views[4];
  EXPECT_FALSE(reader_.is_idle());
  EXPECT_TRUE(must(reader_.wait(wait_for_ever)));
  EXPECT_EQ(code_of(reader_.read(views)), FaultCode::fenced);
}

TEST_F(EvictTest, KeepsTheSlotUntilTheReaderLeaves) {
  fill(producer_);
  look(0);
  EXPECT_TRUE(look(after));
  const uint32_t slot = reader_.slot();
  const Consumer other = station_.lossless();
  EXPECT_NE(other.slot(), slot);
  { const Consumer gone = std::move(reader_); }
  EXPECT_EQ(station_.ring().cursors[slot].cursor.load(std::memory_order_acquire), no_cursor);
  EXPECT_EQ(station_.lossless().slot(), slot);
}

TEST_F(EvictTest, IsDoneByAProducerThatWaits) {
  const uint64_t count = fill(producer_);
  OpenFrame frame;
  must(producer_.claim(8, wait_for_ever, frame));
  must(producer_.commit(frame, 0));
  EXPECT_EQ(frame.claim.sequence, count + 1);
  EXPECT_EQ(cursor(), evicted_cursor);
}

TEST_F(EvictTest, IsDoneByAProducerThatMayNotWaitButComesAgain) {
  fill(producer_);
  OpenFrame frame;
  Status claimed = producer_.claim(8, 0, frame);
  for (; !claimed; claimed = producer_.claim(8, 0, frame)) {
    ASSERT_EQ(claimed.fault().code(), FaultCode::full);
    std::this_thread::yield();
  }
  EXPECT_EQ(cursor(), evicted_cursor);
}

TEST_F(EvictTest, IsDoneByASleeper) {
  fill(producer_);
  producer_.wait_kind = WaitKind::park;
  OpenFrame frame;
  must(producer_.claim(8, wait_for_ever, frame));
  EXPECT_EQ(cursor(), evicted_cursor);
}

TEST(Evict, NeverHappensWhereItWasNotAskedFor) {
  TestStation station;
  Consumer reader = station.lossless();
  Producer producer = station.producer();
  fill(producer);
  OpenFrame frame;
  EXPECT_EQ(code_of(producer.claim(8, monotonic_ns() + 3 * after, frame)), FaultCode::timed_out);
  EXPECT_EQ(gating_count(station.ring()), 1u);
}

TEST(Evict, ReachesTheReaderOfTheRingBefore) {
  const NamedStation station(with_eviction(NamedStation::named_ring()));
  Producer producer = station.producer();
  Consumer reader = station.lossless();
  write(producer, "one");
  station.seal();
  fill(producer);
  ASSERT_EQ(producer.attached()->header().generation, 2u);
  OpenFrame frame;
  must(producer.claim(8, wait_for_ever, frame));
  FrameView views[4];
  EXPECT_EQ(code_of(reader.read(views)), FaultCode::fenced);
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{2}));
}

TEST(Evict, LetsAReaderWhoKeepsUpBe) {
  TestStation station(with_eviction(tiny_ring()));
  Consumer reader = station.lossless();
  Producer producer = station.producer();
  std::vector<std::string> expected;
  for (int number = 0; number < 1000; ++number) {
    write(producer, std::to_string(number));
    expected.push_back(std::to_string(number));
    if (number % 10 == 9) {
      EXPECT_EQ(read(reader), expected);
      expected.clear();
    }
  }
}

}  // namespace
}  // namespace loopline::shm
