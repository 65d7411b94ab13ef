// Flusher: logs that rest are woken, take hardly any disk, and one that is cut short harms itself.
#include <fcntl.h>
#include <unistd.h>

#include <filesystem>
#include <thread>

#include "flusher_fixture.h"
#include "shm/bus_guard.h"

namespace loopline::io {
namespace {

constexpr uint64_t hour_ns = 3'600'000'000'000;

// Rests at once, and nobody asks it: what wakes it is its bell alone.
constexpr FlusherOptions restless_rest{.rest_after_ns = 0, .resting_round_ns = hour_ns};

TEST_F(FlusherTest, WakesALogThatRestsByItsBell) {
  start(restless_rest);
  make("one");
  make("other");
  auto one = producer("one"), other = producer("other");
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(comes_to_rest("one"));
    ASSERT_TRUE(publish_durably(one)) << round;
    if (round % 5 == 0) {
      ASSERT_TRUE(publish_durably(other)) << round;
    }
  }
}

// Published at any moment between falling asleep and resting.
TEST_F(FlusherTest, LosesNoWakeUpOfALogThatGoesToRest) {
  start(restless_rest);
  make("one");
  make("other");
  const auto publish_now_and_then = [this](const std::string& name, useconds_t pause_us) {
    auto mine = producer(name);
    for (int round = 0; round < 100; ++round) {
      if (!publish_durably(mine)) ADD_FAILURE() << name << " hangs at message " << round;
      ::usleep(pause_us * static_cast<useconds_t>(round % 7));
    }
  };
  std::thread beside([&] { publish_now_and_then("other", 130); });
  publish_now_and_then("one", 170);
  beside.join();
}

TEST_F(FlusherTest, FindsWhatAKilledWakerNeverRangFor) {
  start({.rest_after_ns = 0, .resting_round_ns = 1'000'000});
  make("one");
  auto mine = producer("one");
  ASSERT_TRUE(comes_to_rest("one"));
  // As one does who is killed behind its commit.
  shm::BellLine& bell = mine.attached()->ring().control->data_bell;
  bell.parked.store(0, std::memory_order_relaxed);
  EXPECT_TRUE(publish_durably(mine));
}

TEST_F(FlusherTest, MakesNoSegmentForAStationThatWasNeverWrittenTo) {
  start();
  make("never", segment_bytes_default);
  make("once", segment_bytes_default);
  ASSERT_TRUE(comes_to_rest("never"));
  auto mine = producer("once");
  ASSERT_TRUE(publish_durably(mine));
  EXPECT_EQ(status("never").segments, 0u);
  EXPECT_EQ(status("once").segments, 1u);
  EXPECT_EQ(status("once").disk_bytes, 1u << 20);
  for (const auto& file : std::filesystem::directory_iterator(partition_folder("never"))) {
    EXPECT_NE(file.path().extension(), ".segment");
  }
}

TEST_F(FlusherTest, GrowsItsSegmentsUpToWhatWasAskedFor) {
  start();
  make("growing", 16u << 20);
  auto mine = producer("growing");
  for (int count = 0; count < 1600; ++count) publish(mine, 8000);
  ASSERT_TRUE(publish_durably(mine));
  EXPECT_EQ(status("growing").segments, 3u);
  EXPECT_EQ(status("growing").disk_bytes, (1u << 20) + (8u << 20) + (16u << 20));
  const Status stopped = flusher_->stop();
  EXPECT_TRUE(stopped) << stopped.fault().message();
}

// ---- rings that are not what they were --------------------------------------

TEST_F(FlusherTest, FailsALogWhoseRingIsCutShortAndGoesOnWithTheOthers) {
  start();
  for (const char* name : {"whole", "cut", "also-whole"}) make(name);
  {
    auto mine = producer("cut");
    ASSERT_TRUE(publish_durably(mine));
  }
  ASSERT_EQ(::truncate(ring_file("cut").c_str(), 0), 0);
  ASSERT_TRUE(wait_until([&] { return status("cut").failed.has_value(); }));
  EXPECT_TRUE(test::contains(*status("cut").failed, "was cut short"));
  EXPECT_TRUE(test::contains(*status("cut").failed, "cut@0@1.ring"));
  for (const char* name : {"whole", "also-whole"}) {
    auto mine = producer(name);
    EXPECT_TRUE(publish_durably(mine));
    EXPECT_FALSE(status(name).failed);
  }
  EXPECT_FALSE(flusher_->stop()) << "it says what became of that one";
}

TEST_F(FlusherTest, FindsThatTheRingOfALogAtRestIsCutShort) {
  start();
  make("cut");
  ASSERT_TRUE(comes_to_rest("cut"));
  ASSERT_EQ(::truncate(ring_file("cut").c_str(), shm::page_size), 0);
  EXPECT_TRUE(wait_until([&] { return status("cut").failed.has_value(); }));
}

TEST_F(FlusherTest, RefusesARingWhoseDurableIsNoPlaceInIt) {
  start();
  make("orders");
  {
    auto mine = producer("orders");
    ASSERT_TRUE(publish_durably(mine));
  }
  must(flusher_->remove(named("orders"), 0));
  const auto ring = attach("orders");
  auto& durable = ring->ring().control->durable.pair;
  for (const Pair lie : {Pair{12345, 1}, Pair{1ull << 58, 7}, Pair{64, 1}}) {
    durable.store(lie, std::memory_order_release);
    const auto sources = must(sources_of(directory_, data_, named("orders")));
    const Status added = flusher_->add(sources.front());
    ASSERT_FALSE(added);
    EXPECT_EQ(added.fault().code(), FaultCode::corrupted) << added.fault().message();
  }
}

// Inside of the window, and no frame begins there: it would stand still without a word.
TEST_F(FlusherTest, SaysThatItStandsBetweenTwoFrames) {
  start();
  make("orders");
  auto mine = producer("orders");
  ASSERT_TRUE(publish_durably(mine));
  must(flusher_->remove(named("orders"), 0));
  const uint64_t end = publish(mine, 500);
  auto& durable = mine.attached()->ring().control->durable.pair;
  const Pair at = durable.load(std::memory_order_acquire);
  durable.store({at.first + 128, at.second}, std::memory_order_release);
  ASSERT_GT(end, at.first + 128);
  const auto sources = must(sources_of(directory_, data_, named("orders")));
  must(flusher_->add(sources.front()));
  EXPECT_TRUE(wait_until([&] { return status("orders").failed.has_value(); }));
}

}  // namespace
}  // namespace loopline::io
