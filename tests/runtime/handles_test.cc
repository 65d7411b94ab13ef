// Handles: levels and tickets, taking messages one by one, readers that are detached, and one
// handle in two threads.
#include <thread>

#include "station_fixture.h"

namespace loopline {
namespace {

using namespace std::chrono_literals;

class HandlesTest : public StationTest {};

TEST_F(HandlesTest, ATicketNamesItsMessage) {
  const Station station = open_or_create("orders", {.ring = 64_KiB, .partitions = 2});
  Producer producer = must(station.producer());
  must(producer.publish_async("first"));
  const Ticket ticket = must(producer.publish_async("second"));
  EXPECT_EQ(ticket.sequence(), 1u);
  EXPECT_EQ(ticket.partition(), 1u);
  EXPECT_EQ(ticket.level(), Ack::visible);
  EXPECT_TRUE(producer.wait(ticket, Ack::visible));
  const Fault fault = fault_of(producer.wait(ticket, Ack::durable));
  EXPECT_EQ(fault.code(), FaultCode::unsupported);
  EXPECT_TRUE(contains(fault, "main/orders")) << fault.message();
}

TEST_F(HandlesTest, AStationInMemoryRefusesLevelsThatItDoesNotHave) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  must(producer.publish("seen", {.ack = Ack::visible}));
  EXPECT_EQ(code_of(producer.publish("kept", {.ack = Ack::durable})), FaultCode::unsupported);
  EXPECT_EQ(code_of(producer.publish_async("kept", {.ack = Ack::committed})),
            FaultCode::unsupported);
  EXPECT_EQ(code_of(producer.claim(4, {.ack = Ack::durable})), FaultCode::unsupported);
  Consumer consumer = must(station.consumer({.from = From::earliest}));
  EXPECT_EQ(texts_of(consumer), texts("seen")) << "what is refused is not published";
}

TEST_F(HandlesTest, TakesMessagesOneByOne) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  EXPECT_FALSE(must(consumer.take()).has_value());
  must(producer.publish("one", {.key = "k"}));
  must(producer.publish("two"));
  const auto first = must(consumer.take());
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->text(), "one");
  EXPECT_EQ(first->key(), "k");
  EXPECT_EQ(must(consumer.take(1s))->text(), "two");
  EXPECT_FALSE(must(consumer.take(1ms)).has_value());
}

TEST_F(HandlesTest, TakesTheMessageThatComesWhileItWaits) {
  const Station station = open_or_create("orders", {.ring = 64_KiB, .partitions = 3});
  Consumer consumer = must(station.consumer({.wait = Wait::park}));
  std::thread other([&] { must(must(station.producer()).publish("late")); });
  EXPECT_EQ(must(consumer.take(forever))->text(), "late");
  other.join();
  must(Station::remove("orders", dir()));
  EXPECT_EQ(code_of(consumer.take(forever)), FaultCode::closed);
}

TEST_F(HandlesTest, GivesMessagesInBatches) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  EXPECT_TRUE(must(consumer.batch()).empty());
  for (int number = 0; number < 100; ++number) must(producer.publish(std::to_string(number)));
  const auto first = must(consumer.batch(1000));
  ASSERT_EQ(first.size(), Consumer::run_max);
  EXPECT_EQ(first.back().text(), "63");
  const auto second = must(consumer.batch(10));
  ASSERT_EQ(second.size(), 10u);
  EXPECT_EQ(second.front().text(), "64");
}

TEST_F(HandlesTest, AReaderThatHoldsAFullRingIsDetachedAndTold) {
  const Station station = open_or_create("orders", {.ring = 64_KiB, .evict_after = 1ms});
  Consumer slow = must(station.consumer());
  Producer producer = must(station.producer());
  for (int number = 0; number < 3000; ++number) must(producer.publish("x"));
  const auto polled = slow.poll([](const Message&) {});
  ASSERT_EQ(code_of(polled), FaultCode::fenced);
  EXPECT_TRUE(contains(polled.fault(), "held a full ring for 1ms")) << polled.fault().message();
  Consumer again = must(station.consumer({.from = From::sequence(1)}));
  EXPECT_NE(must(again.poll([](const Message&) {})), 0u);
  EXPECT_EQ(again.gap().first, 1u) << "it can tell what it lost";
}

TEST_F(HandlesTest, EvictAfterIsPartOfAStation) {
  open_or_create("orders", {.ring = 64_KiB, .evict_after = 5s});
  const Fault fault = fault_of(Station::open_or_create("orders", {.evict_after = 10s}, dir()));
  EXPECT_EQ(fault.code(), FaultCode::already_exists);
  EXPECT_TRUE(contains(fault, "evict-after is 5s, not 10s")) << fault.message();
  EXPECT_TRUE(contains(fault_of(try_create("short", {.evict_after = 1us})), "at least 1ms"));
  EXPECT_EQ(code_of(try_create("negative", {.evict_after = -1s})), FaultCode::invalid_argument);
  const StationOptions senseless = {.when_full = WhenFull::drop_oldest, .evict_after = 5s};
  EXPECT_TRUE(contains(fault_of(try_create("senseless", senseless)), "drop-oldest"));
}

#ifdef LL_CHECKED
using HandlesDeathTest = HandlesTest;

// One thread sleeps in the handle, the other one comes to use it too.
TEST_F(HandlesDeathTest, TwoThreadsInOneHandleAreFound) {
  const Station station = open_or_create("orders", {.ring = 64_KiB});
  const auto use_at_once = [&] {
    const Consumer reader = must(station.consumer({.from = From::earliest}));
    Producer producer = must(station.producer());
    const auto publish = [&] {
      while (producer.publish("x", {.timeout = forever})) {
      }
    };
    std::thread one(publish), two(publish);
    one.join();
    two.join();
  };
  EXPECT_DEATH(use_at_once(), "one_thread_at_a_time_uses_a_handle");
}
#endif

}  // namespace
}  // namespace loopline
