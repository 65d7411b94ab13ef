// Publishing again what is there already: by message id, by producer, in place and by copy.
#include "station_fixture.h"

namespace loopline {
namespace {

class RepeatTest : public StationTest {
 protected:
  static constexpr uint64_t feed = 42;
  static Producer open_feed(const Station& of, uint64_t first_sequence = 0) {
    return must(of.producer({.identified = true, .id = feed, .first_sequence = first_sequence}));
  }
  Station station = open_or_create("orders", {.ring = 64 * 1024});
  Producer producer = must(station.producer());
  Consumer consumer = must(station.consumer({.from = From::earliest}));
};

TEST_F(RepeatTest, OfAnIdSucceedsAndAppendsNothing) {
  const uint64_t first = must(producer.publish("one", {.id = "a"}));
  EXPECT_FALSE(producer.was_duplicate());
  EXPECT_EQ(must(producer.publish("one", {.id = "a"})), first);
  EXPECT_TRUE(producer.was_duplicate());
  const Ticket ticket = must(must(station.producer()).publish_async("one", {.id = "a"}));
  EXPECT_TRUE(ticket.is_duplicate());
  EXPECT_EQ(texts_of(consumer), texts("one"));
}

TEST_F(RepeatTest, OfAnIdInPlaceAbortsTheSecond) {
  for (int count = 0; count < 2; ++count) {
    Slot slot = must(producer.claim(1, {.id = "a"}));
    slot.bytes()[0] = std::byte{'x'};
    must(slot.commit());
    EXPECT_EQ(producer.was_duplicate(), count == 1);
  }
  must(producer.publish("y", {.key = "k"}));
  EXPECT_EQ(texts_of(consumer), texts("x", "y"));
}

TEST_F(RepeatTest, IsNotLookedForWhereTheWindowIsOff) {
  const Station off = open_or_create("off", {.dedup_window = std::chrono::seconds(0)});
  Consumer all = must(off.consumer({.from = From::earliest}));
  Producer any = must(off.producer());
  for (int count = 0; count < 2; ++count) must(any.publish("x", {.id = "a"}));
  EXPECT_EQ(texts_of(all), texts("x", "x"));
  EXPECT_EQ(code_of(try_create("bad", {.dedup_entries = 1000})), FaultCode::invalid_argument);
  EXPECT_EQ(code_of(try_create("bad", {.dedup_window = std::chrono::hours(25)})),
            FaultCode::invalid_argument);
}

TEST_F(RepeatTest, LeavesNothingOfASlotThatIsDropped) {
  { const Slot dropped = must(producer.claim(1, {.id = "a"})); }
  must(producer.publish("x", {.id = "a"}));
  EXPECT_FALSE(producer.was_duplicate());
  EXPECT_EQ(texts_of(consumer), texts("x"));
}

TEST_F(RepeatTest, OfAProducerGoesOnBehindWhatIsThere) {
  {
    Producer first = open_feed(station);
    EXPECT_EQ(first.last_sequence(), 0u);
    must(first.publish("1"));
    must(first.publish("2"));
  }
  Producer again = open_feed(station);
  EXPECT_EQ(again.epoch(), 2u);
  EXPECT_EQ(again.last_sequence(), 2u);
  EXPECT_EQ(again.next_sequence(), 3u);
  must(again.publish("3"));
  Producer from_the_start = open_feed(station, 1);
  for (const char* text : {"1", "2", "3", "4"}) must(from_the_start.publish(text));
  EXPECT_FALSE(from_the_start.was_duplicate());
  EXPECT_EQ(texts_of(consumer), texts("1", "2", "3", "4"));
}

TEST_F(RepeatTest, FencesTheProducerThatWasTakenOver) {
  Producer first = open_feed(station);
  must(first.publish("1"));
  Slot open = must(first.claim(1));
  Producer second = open_feed(station);
  EXPECT_EQ(code_of(open.commit()), FaultCode::fenced);
  EXPECT_EQ(code_of(first.publish("2")), FaultCode::fenced);
  must(second.publish("2"));
  EXPECT_EQ(texts_of(consumer), texts("1", "2"));
}

TEST_F(RepeatTest, NumbersSlotsAsTheyAreCommitted) {
  Producer numbered = open_feed(station);
  Slot early = must(numbered.claim(1)), late = must(numbered.claim(1));
  early.bytes()[0] = std::byte{'e'};
  late.bytes()[0] = std::byte{'l'};
  must(late.commit());
  must(early.commit());
  std::string seen;
  must(consumer.poll([&](const Message& message) {
    seen += std::string(message.text()) + std::to_string(message.producer()->sequence);
  }));
  EXPECT_EQ(seen, "e2l1");  // as they were claimed
}

TEST_F(RepeatTest, OfAProducerOverPartitionsFindsEachWhereItIs) {
  const Station parted = open_or_create("parted", {.ring = 64 * 1024, .partitions = 3});
  Consumer all = must(parted.consumer({.from = From::earliest}));
  for (int count = 0; count < 2; ++count) {
    Producer numbered = open_feed(parted, 1);
    EXPECT_EQ(numbered.last_sequence(), count == 0 ? 0u : 8u);
    for (int number = 1; number <= 8; ++number) {
      must(numbered.publish("x", {.key = number % 2 == 0 ? "even" : ""}));
    }
  }
  EXPECT_EQ(texts_of(all).size(), 8u);
}

TEST_F(RepeatTest, IsKnownAfterAnEditAndForgottenWithTheStation) {
  must(producer.publish("one", {.id = "a"}));
  must(Station::edit("orders", {.ring = 128 * 1024}, dir()));
  must(producer.publish("one", {.id = "a"}));
  EXPECT_TRUE(producer.was_duplicate());
  must(Station::remove("orders", dir()));
  const Station anew = open_or_create("orders");
  Producer other = must(anew.producer());
  must(other.publish("one", {.id = "a"}));
  EXPECT_FALSE(other.was_duplicate());
}

}  // namespace
}  // namespace loopline
