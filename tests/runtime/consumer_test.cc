// Consumer: polling, reading in runs, waiting, gaps, and from where.
#include "loopline/consumer.h"

#include <gtest/gtest.h>

#include <thread>

#include "station_fixture.h"

namespace loopline {
namespace {

using namespace std::chrono_literals;

class ConsumerTest : public StationTest {
 protected:
  void SetUp() override { producer_.emplace(must(station_().producer())); }
  Station station_() const { return open_or_create("orders", {.ring = 64_KiB}); }
  Consumer consumer(const ConsumerOptions& options = {}) const {
    return must(station_().consumer(options));
  }
  void publish(std::string_view text) { must(producer_->publish(text, {.timeout = 0ns})); }
  void publish_numbers(int from, int to) {
    for (int number = from; number <= to; ++number) publish(std::to_string(number));
  }

  std::optional<Producer> producer_;
};

TEST_F(ConsumerTest, BeginsWhereItIsTold) {
  publish("old");
  Consumer earliest = consumer({.from = From::earliest});
  Consumer latest = consumer({.from = From::latest});
  Consumer unsaid = consumer();
  publish("new");
  EXPECT_EQ(texts_of(earliest), texts("old", "new"));
  EXPECT_EQ(texts_of(latest), texts("new"));
  EXPECT_EQ(texts_of(unsaid), texts("new"));
}

TEST_F(ConsumerTest, PollsAtMostAsManyAsItIsTold) {
  Consumer reader = consumer();
  publish_numbers(1, 300);
  int seen = 0;
  const auto count = [&](const Message&) { ++seen; };
  EXPECT_EQ(must(reader.poll(count, 0)), 0u);
  EXPECT_EQ(must(reader.poll(count, 1)), 1u);
  EXPECT_EQ(must(reader.poll(count, 100)), 100u);
  EXPECT_EQ(must(reader.poll(count)), 199u);
  EXPECT_EQ(must(reader.poll(count)), 0u);
  EXPECT_EQ(seen, 300);
  EXPECT_EQ(reader.next_sequence(), 301u);
}

TEST_F(ConsumerTest, TakesHandlersThatAnswerAndHandlersThatDoNot) {
  Consumer reader = consumer();
  publish("a");
  EXPECT_EQ(must(reader.poll([](const Message&) { return ack; })), 1u);
  publish("b");
  EXPECT_EQ(must(reader.poll([](const Message&) {})), 1u);
}

TEST_F(ConsumerTest, ReadsRunsOfViewsThatStayUntilTheyAreReleased) {
  Consumer reader = consumer();
  publish_numbers(1, 5);
  Message run[3];
  ASSERT_EQ(must(reader.read(run)), 3u);
  uint64_t more = 0;
  while (producer_->publish("x", {.timeout = 0ns})) ++more;
  EXPECT_EQ(run[0].text(), "1");
  EXPECT_EQ(run[2].text(), "3");
  must(reader.release());
  publish("room again");
  EXPECT_EQ(texts_of(reader).size(), 2 + more + 1);
}

TEST_F(ConsumerTest, WaitsForMessagesOrUntilTheTimePassed) {
  for (const Wait how : {Wait::spin, Wait::adaptive, Wait::park}) {
    Consumer reader = consumer({.wait = how});
    EXPECT_FALSE(must(reader.wait(0ns)));
    EXPECT_FALSE(must(reader.wait(-5ns)));
    EXPECT_FALSE(must(reader.wait(1ms)));
    publish("x");
    EXPECT_TRUE(must(reader.wait(0ns)));
    EXPECT_TRUE(must(reader.wait(forever)));
    EXPECT_EQ(texts_of(reader), texts("x"));
  }
}

TEST_F(ConsumerTest, IsWokenByAMessageOfAnotherThread) {
  Consumer reader = consumer({.wait = Wait::park});
  std::thread writer([&] { must(producer_->publish("wake up")); });
  EXPECT_TRUE(must(reader.wait(forever)));
  EXPECT_EQ(texts_of(reader), texts("wake up"));
  writer.join();
}

TEST_F(ConsumerTest, HoldsProducersBackUnlessItIsLossy) {
  Consumer lossy = consumer({.lossy = true});
  publish_numbers(1, 5000);
  EXPECT_TRUE(lossy.lossy());
  const Consumer lossless = consumer();
  EXPECT_FALSE(lossless.lossy());
  uint64_t published = 0;
  while (producer_->publish("x", {.timeout = 0ns})) ++published;
  EXPECT_LE(published, 64_KiB / 64);
}

TEST_F(ConsumerTest, TellsALossyOneItsGapInFrontOfTheMessagesBehindIt) {
  Consumer lossy = consumer({.from = From::earliest, .lossy = true});
  publish_numbers(1, 3);
  EXPECT_EQ(texts_of(lossy), texts("1", "2", "3"));
  EXPECT_EQ(lossy.gap().count, 0u);
  publish_numbers(4, 3000);
  uint64_t expected = 4;
  for (;;) {
    std::vector<uint64_t> numbers;
    const auto note = [&](const Message& message) { numbers.push_back(message.sequence()); };
    if (must(lossy.poll(note)) == 0) break;
    const Gap gap = lossy.gap();
    if (gap.count != 0) {
      EXPECT_EQ(gap.first, expected);
      expected += gap.count;
    }
    for (const uint64_t number : numbers) EXPECT_EQ(number, expected++);
  }
  EXPECT_EQ(expected, 3001u);
}

TEST_F(ConsumerTest, OfTheLosslessKindHasNoGaps) {
  Consumer reader = consumer();
  publish_numbers(1, 100);
  EXPECT_EQ(texts_of(reader).size(), 100u);
  EXPECT_EQ(reader.gap().count, 0u);
}

TEST_F(ConsumerTest, GivesEveryConsumerEveryMessage) {
  std::vector<Consumer> readers;
  for (int index = 0; index < 5; ++index) readers.push_back(consumer());
  publish("to all");
  for (Consumer& reader : readers) EXPECT_EQ(texts_of(reader), texts("to all"));
}

TEST_F(ConsumerTest, IsRefusedWhenThereAreTooMany) {
  std::vector<Consumer> readers;
  const Station station = station_();
  for (;;) {
    auto reader = station.consumer();
    if (!reader) {
      EXPECT_EQ(reader.fault().code(), FaultCode::too_many);
      break;
    }
    readers.push_back(std::move(*reader));
    ASSERT_LT(readers.size(), 2000u);
  }
  readers.pop_back();
  EXPECT_TRUE(station.consumer());
}

TEST_F(ConsumerTest, MayBeMovedWhileItReads) {
  Consumer reader = consumer();
  publish_numbers(1, 4);
  EXPECT_EQ(must(reader.poll([](const Message&) {}, 2)), 2u);
  Consumer moved = std::move(reader);
  EXPECT_EQ(texts_of(moved), texts("3", "4"));
  moved = consumer();
  publish("5");
  EXPECT_EQ(texts_of(moved), texts("5"));
}

TEST_F(ConsumerTest, ThatNeverReadsIsNamedToTheProducerItHolds) {
  const Consumer idle = consumer();
  Result<uint64_t> answer = producer_->publish("x", {.timeout = 0ns});
  while (answer) answer = producer_->publish("x", {.timeout = 0ns});
  EXPECT_EQ(answer.fault().code(), FaultCode::full);
  EXPECT_TRUE(contains(answer.fault(), "consumer in cursor slot"));
  EXPECT_TRUE(contains(answer.fault(), "pid " + std::to_string(::getpid())));
}

}  // namespace
}  // namespace loopline
