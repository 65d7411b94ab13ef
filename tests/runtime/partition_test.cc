// Partitions of a station: keys, turns, merged reading, and stations that never fill up.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "station_fixture.h"

namespace loopline {
namespace {

using namespace std::chrono_literals;

class PartitionTest : public StationTest {
 protected:
  Station four() const { return open_or_create("orders", {.ring = 64_KiB, .partitions = 4}); }
  static std::map<uint32_t, std::vector<std::string>> by_partition(Consumer& consumer) {
    std::map<uint32_t, std::vector<std::string>> found;
    const auto note = [&](const Message& message) {
      found[message.partition()].emplace_back(message.text());
    };
    while (must(consumer.poll(note)) != 0) {
    }
    return found;
  }
};

TEST_F(PartitionTest, AreHandedMessagesWithoutAKeyInTurn) {
  Producer producer = must(four().producer());
  Consumer consumer = must(four().consumer());
  for (int number = 0; number < 8; ++number) must(producer.publish(std::to_string(number)));
  auto found = by_partition(consumer);
  ASSERT_EQ(found.size(), 4u);
  EXPECT_EQ(found[0], texts("0", "4"));
  EXPECT_EQ(found[3], texts("3", "7"));
}

TEST_F(PartitionTest, KeepMessagesOfOneKeyTogetherInOrder) {
  const Station station = four();
  Producer one = must(station.producer()), other = must(station.producer());
  Consumer consumer = must(station.consumer());
  std::set<uint32_t> used;
  for (int number = 0; number < 100; ++number) {
    const std::string key = "key" + std::to_string(number % 20);
    Producer& producer = number % 2 == 0 ? one : other;
    must(producer.publish(std::to_string(number), {.key = key}));
  }
  std::map<std::string, int> last;
  const auto check = [&](const Message& message) {
    const std::string key(message.key());
    EXPECT_EQ(message.partition(), station.partition_of(key));
    const int number = std::stoi(std::string(message.text()));
    EXPECT_GT(number, last.contains(key) ? last[key] : -1);
    last[key] = number;
    used.insert(message.partition());
  };
  while (must(consumer.poll(check)) != 0) {
  }
  EXPECT_EQ(last.size(), 20u);
  EXPECT_EQ(used.size(), 4u);
}

TEST_F(PartitionTest, CountSequencesEachForItself) {
  Producer producer = must(four().producer());
  Slot first = must(producer.claim(1)), second = must(producer.claim(1));
  EXPECT_EQ(first.partition(), 0u);
  EXPECT_EQ(second.partition(), 1u);
  EXPECT_EQ(first.sequence(), 1u);
  EXPECT_EQ(second.sequence(), 1u);
  must(second.commit());
  must(first.abort());
}

TEST_F(PartitionTest, MayBeReadOneByOne) {
  const Station station = four();
  Producer producer = must(station.producer());
  for (int number = 0; number < 8; ++number) must(producer.publish(std::to_string(number)));
  Consumer second = must(station.consumer({.from = From::earliest, .partition = 1}));
  EXPECT_EQ(texts_of(second), texts("1", "5"));
  Consumer from = must(station.consumer({.from = From::sequence(2), .partition = 3}));
  EXPECT_EQ(texts_of(from), texts("7"));
  EXPECT_EQ(from.next_sequence(3), 3u);
  EXPECT_EQ(code_of(station.consumer({.partition = 4})), FaultCode::not_found);
  EXPECT_EQ(code_of(station.consumer({.from = From::sequence(2)})), FaultCode::invalid_argument);
}

TEST_F(PartitionTest, AreReleasedAsTheyAreRead) {
  Producer producer = must(four().producer());
  Consumer consumer = must(four().consumer());
  const std::string text(1000, 'x');
  for (int number = 0; number < 2000; ++number) {
    must(producer.publish(text, {.timeout = 0ns}));
    if (number % 100 == 99) {
      EXPECT_EQ(texts_of(consumer).size(), 100u);
    }
  }
}

TEST_F(PartitionTest, PollAtMostAsManyAsTheyAreTold) {
  Producer producer = must(four().producer());
  Consumer consumer = must(four().consumer());
  for (int number = 0; number < 300; ++number) must(producer.publish("x"));
  const auto nothing = [](const Message&) {};
  EXPECT_EQ(must(consumer.poll(nothing, 100)), 100u);
  EXPECT_EQ(must(consumer.poll(nothing, 250)), 200u);
  EXPECT_EQ(must(consumer.poll(nothing)), 0u);
}

TEST_F(PartitionTest, WakeAConsumerOfAllOfThem) {
  const Station station = four();
  Consumer consumer = must(station.consumer({.wait = Wait::park}));
  EXPECT_FALSE(must(consumer.wait(0ns)));
  for (const char* key : {"a", "b", "c", "d", "e", "f"}) {
    std::thread writer([&] { must(must(station.producer()).publish("x", {.key = key})); });
    EXPECT_TRUE(must(consumer.wait(forever)));
    EXPECT_EQ(texts_of(consumer), texts("x"));
    writer.join();
  }
}

TEST_F(PartitionTest, AreReadToTheirEndsWhenTheStationIsRemoved) {
  Producer producer = must(four().producer());
  Consumer consumer = must(four().consumer());
  for (int number = 0; number < 10; ++number) must(producer.publish(std::to_string(number)));
  must(Station::remove("orders", dir()));
  EXPECT_EQ(code_of(producer.publish("x")), FaultCode::closed);
  EXPECT_TRUE(must(consumer.wait(forever)));
  EXPECT_EQ(texts_until_closed(consumer).size(), 10u);
  EXPECT_TRUE(must(consumer.wait(forever)));
  EXPECT_EQ(code_of(consumer.poll([](const Message&) {})), FaultCode::closed);
}

TEST_F(PartitionTest, AreNotMixedUpWhenTheStationIsMadeAnewWithMore) {
  const Station before = four();
  must(Station::remove("orders", dir()));
  open_or_create("orders", {.ring = 64_KiB, .partitions = 5});
  const auto refused = before.producer();
  EXPECT_EQ(code_of(refused), FaultCode::closed);
  EXPECT_TRUE(contains(fault_of(refused), "made anew with 5 partitions"));
}

TEST_F(PartitionTest, AreBoundedAndTheNumberIsTold) {
  EXPECT_EQ(code_of(try_create("a", {.partitions = 0})), FaultCode::invalid_argument);
  EXPECT_EQ(code_of(try_create("a", {.partitions = 257})), FaultCode::invalid_argument);
  const Station many = must(try_create("b", {.ring = 64_KiB, .partitions = 256}));
  Producer producer = must(many.producer());
  Consumer consumer = must(many.consumer({.wait = Wait::park}));
  for (int number = 0; number < 256; ++number) must(producer.publish("x"));
  EXPECT_TRUE(must(consumer.wait(forever)));
  EXPECT_EQ(texts_of(consumer).size(), 256u);
  EXPECT_FALSE(must(consumer.wait(1ms)));
  EXPECT_TRUE(contains(fault_of(Station::open_or_create("b", {.partitions = 2}, dir())),
                       "partitions is 256, not 2"));
}

TEST_F(PartitionTest, GoOnWithAThreadThatTookTheHandlesOver) {
  Producer producer = must(four().producer());
  Consumer consumer = must(four().consumer());
  std::thread other([&] {
    for (int number = 0; number < 4; ++number) must(producer.publish("x"));
    EXPECT_EQ(texts_of(consumer).size(), 4u);
  });
  other.join();
  for (int number = 0; number < 4; ++number) must(producer.publish("x"));
  EXPECT_EQ(texts_of(consumer).size(), 4u);
}

// ---- when-full drop-oldest -------------------------------------------------

TEST_F(StationTest, ThatDropsTheOldestIsNeverFull) {
  const Station station =
      open_or_create("ticks", {.ring = 64_KiB, .when_full = WhenFull::drop_oldest});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer({.from = From::earliest}));
  EXPECT_TRUE(consumer.lossy());
  for (int number = 1; number <= 5000; ++number) {
    must(producer.publish(std::to_string(number), {.timeout = 0ns}));
  }
  uint64_t seen = 0, missed = 0;
  for (;;) {
    const size_t count = must(consumer.poll([](const Message&) {}));
    missed += consumer.gap().count;
    if (count == 0) break;
    seen += count;
  }
  EXPECT_EQ(seen + missed, 5000u);
  EXPECT_GT(missed, 0u);
}

}  // namespace
}  // namespace loopline
