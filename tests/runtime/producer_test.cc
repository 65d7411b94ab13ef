// Producer: what is published arrives, with all that travels with it, and what cannot be is
// refused.
#include "loopline/producer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <thread>

#include "station_fixture.h"

namespace loopline {
namespace {

using namespace std::chrono_literals;

class ProducerTest : public StationTest {
 protected:
  Station station() const { return open_or_create("orders", {.ring = 64_KiB}); }
  // Publishes until the ring is full.
  static uint64_t fill(Producer& producer) {
    uint64_t count = 0;
    while (producer.publish("x", {.timeout = 0ns})) ++count;
    return count;
  }
};

TEST_F(ProducerTest, PublishesTextsAndBytes) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  EXPECT_EQ(must(producer.publish("text")), 1u);
  const std::byte bytes[] = {std::byte{'b'}, std::byte{0}, std::byte{'s'}};
  EXPECT_EQ(must(producer.publish(bytes)), 2u);
  EXPECT_EQ(must(producer.publish("")), 3u);
  EXPECT_EQ(texts_of(consumer), texts("text", std::string("b\0s", 3), ""));
}

TEST_F(ProducerTest, ClaimsExactlyTheBytesThatWereAsked) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  for (const size_t size : {0u, 1u, 31u, 32u, 33u, 8160u}) {
    Slot slot = must(producer.claim(size));
    EXPECT_EQ(slot.bytes().size(), size);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(slot.bytes().data()) % 16, 0u);
    std::fill(slot.bytes().begin(), slot.bytes().end(), std::byte{'x'});
    must(slot.commit());
    EXPECT_EQ(texts_of(consumer), texts(std::string(size, 'x')));
  }
}

TEST_F(ProducerTest, TellsTheSequenceOfASlot) {
  Producer producer = must(station().producer());
  must(producer.publish("one"));
  Slot slot = must(producer.claim(3));
  EXPECT_EQ(slot.sequence(), 2u);
  must(slot.commit());
}

TEST_F(ProducerTest, CommitsASlotOnce) {
  Producer producer = must(station().producer());
  Slot slot = must(producer.claim(3));
  must(slot.commit());
  EXPECT_EQ(code_of(slot.commit()), FaultCode::invalid_argument);
  EXPECT_EQ(code_of(slot.abort()), FaultCode::invalid_argument);
}

TEST_F(ProducerTest, AbortsASlotThatIsDropped) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  { const Slot slot = must(producer.claim(3)); }
  Slot slot = must(producer.claim(3));
  must(slot.abort());
  EXPECT_EQ(code_of(slot.commit()), FaultCode::invalid_argument);
  EXPECT_EQ(must(producer.publish("three")), 3u);
  EXPECT_EQ(texts_of(consumer), texts("three"));
}

TEST_F(ProducerTest, AbortsTheSlotThatIsMovedOver) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  Slot slot = must(producer.claim(3));
  slot = must(producer.claim(3));
  std::fill(slot.bytes().begin(), slot.bytes().end(), std::byte{'2'});
  Slot moved = std::move(slot);
  must(moved.commit());
  EXPECT_EQ(texts_of(consumer), texts("222"));
}

TEST_F(ProducerTest, KeepsItsSlotsWhenItIsMoved) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  Slot slot = must(producer.claim(1));
  slot.bytes()[0] = std::byte{'1'};
  Producer moved = std::move(producer);
  must(slot.commit());
  must(moved.publish("2"));
  EXPECT_EQ(texts_of(consumer), texts("1", "2"));
}

TEST_F(ProducerTest, SendsKeyIdAndHeadersAlong) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  const Header headers[] = {{"content-type", "text/plain"}, {"n", "1"}};
  must(producer.publish("full", {.key = "AAPL", .id = "m-1", .headers = headers}));
  must(producer.publish("bare"));
  std::vector<std::string> seen;
  must(consumer.poll([&](const Message& message) {
    seen.push_back(std::string(message.text()) + "|" + std::string(message.key()) + "|" +
                   std::string(message.id()) + "|" + std::to_string(message.header_count()) + "|" +
                   std::string(message.header(0).name) + "=" +
                   std::string(message.header(0).value));
    EXPECT_TRUE(message.header(9).name.empty());
    EXPECT_FALSE(message.producer());
  }));
  EXPECT_EQ(seen, texts("full|AAPL|m-1|2|content-type=text/plain", "bare|||0|="));
}

TEST_F(ProducerTest, SignsItsMessagesWhenAskedTo) {
  const Station signing = station();
  Producer producer =
      must(signing.producer({.identified = true, .id = 77, .first_sequence = 1000}));
  Producer drawn = must(signing.producer({.identified = true}));
  Consumer consumer = must(signing.consumer());
  EXPECT_EQ(producer.id(), 77u);
  EXPECT_NE(drawn.id(), 0u);
  must(producer.publish("a"));
  must(producer.publish("b", {.key = "k"}));
  must(drawn.publish("c"));
  std::vector<ProducerIdentity> seen;
  must(consumer.poll([&](const Message& message) { seen.push_back(*message.producer()); }));
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].id, 77u);
  EXPECT_EQ(seen[0].epoch, 1u);
  EXPECT_EQ(seen[0].sequence, 1000u);
  EXPECT_EQ(seen[1].sequence, 1001u);
  EXPECT_EQ(seen[2].id, drawn.id());
  EXPECT_EQ(seen[2].sequence, 1u);
}

TEST_F(ProducerTest, StampsMessagesInOrder) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  for (int count = 0; count < 10; ++count) must(producer.publish("x"));
  uint64_t position = 0, sequence = 0;
  must(consumer.poll([&](const Message& message) {
    EXPECT_GT(message.timestamp_ns(), 0u);
    EXPECT_GT(message.position(), position);
    EXPECT_EQ(message.sequence(), sequence + 1);
    position = message.position();
    sequence = message.sequence();
  }));
  EXPECT_EQ(sequence, 10u);
}

TEST_F(ProducerTest, RefusesMessagesOverMaxMessageAndSaysTheLimit) {
  const Station small = open_or_create("small", {.ring = 64_KiB, .max_message = 1000});
  Producer producer = must(small.producer());
  must(producer.publish(std::string(1000, 'x')));
  const auto refused = producer.publish(std::string(1001, 'x'));
  ASSERT_EQ(code_of(refused), FaultCode::too_large);
  EXPECT_TRUE(contains(refused.fault(), "1,001 bytes"));
  EXPECT_TRUE(contains(refused.fault(), "main/small\", 1,000")) << refused.fault().message();
  EXPECT_EQ(code_of(producer.publish(std::string(990, 'x'), {.key = "AAPL"})), FaultCode::too_large)
      << "the extension counts";
  EXPECT_EQ(must(producer.publish("goes on")), 2u);
}

TEST_F(ProducerTest, RefusesSizesThatNoMemoryHas) {
  Producer producer = must(station().producer());
  constexpr size_t most = std::numeric_limits<size_t>::max();
  for (const size_t size : {most, most - 15, most - 16, most / 2, size_t{1} << 32}) {
    EXPECT_EQ(code_of(producer.claim(size)), FaultCode::too_large) << size;
    EXPECT_EQ(code_of(producer.claim(size, {.key = "k"})), FaultCode::too_large) << size;
  }
}

TEST_F(ProducerTest, RefusesKeysThatAreTooLong) {
  Producer producer = must(station().producer());
  const std::string text(70'000, 'k');
  EXPECT_EQ(code_of(producer.publish("x", {.key = text})), FaultCode::invalid_argument);
  EXPECT_EQ(code_of(producer.publish("x", {.id = text})), FaultCode::invalid_argument);
  EXPECT_EQ(must(producer.publish("goes on")), 1u);
}

TEST_F(ProducerTest, DoesNotWaitForRoomWhereTheStationSaysReject) {
  const Station station = open_or_create("r", {.ring = 64_KiB, .when_full = WhenFull::reject});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer());
  uint64_t published = 0;
  Result<uint64_t> answer = producer.publish("x");
  for (; answer; answer = producer.publish("x")) ++published;
  EXPECT_EQ(answer.fault().code(), FaultCode::full);
  EXPECT_TRUE(contains(answer.fault(), "main/r"));
  EXPECT_EQ(published, 64_KiB / 64 - 1);
  EXPECT_EQ(texts_of(consumer).size(), published);
  EXPECT_TRUE(producer.publish("goes on"));
}

TEST_F(ProducerTest, WaitsForRoomAsLongAsItIsTold) {
  Producer producer = must(station().producer());
  const Consumer consumer = must(station().consumer());
  fill(producer);
  EXPECT_EQ(code_of(producer.publish("x", {.timeout = 2ms})), FaultCode::timed_out);
  EXPECT_EQ(code_of(producer.publish("x", {.timeout = 0ms})), FaultCode::full);
  EXPECT_EQ(code_of(producer.publish("x", {.timeout = -1ms})), FaultCode::full);
}

TEST_F(ProducerTest, WaitsForRoomForEverWhereTheStationSaysBlock) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  const uint64_t published = fill(producer);
  std::thread reader([&] {
    for (uint64_t count = 0; count <= published;) {
      must(consumer.wait(forever));
      count += must(consumer.poll([](const Message&) {}));
    }
  });
  must(producer.publish("at last"));
  must(producer.publish("x", {.timeout = forever}));
  reader.join();
}

TEST_F(ProducerTest, IsRefusedWhenThereAreTooMany) {
  const Station crowded = station();
  std::vector<Producer> producers;
  for (;;) {
    auto producer = crowded.producer();
    if (!producer) {
      EXPECT_EQ(producer.fault().code(), FaultCode::too_many);
      EXPECT_TRUE(contains(producer.fault(), "main/orders"));
      break;
    }
    producers.push_back(std::move(*producer));
    ASSERT_LT(producers.size(), 2000u);
  }
  producers.pop_back();
  EXPECT_TRUE(crowded.producer());
}

TEST_F(ProducerTest, FollowsFromThreadToThread) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  for (const char* text : {"a", "b"}) std::thread([&] { must(producer.publish(text)); }).join();
  EXPECT_EQ(texts_of(consumer), texts("a", "b"));
}

}  // namespace
}  // namespace loopline
