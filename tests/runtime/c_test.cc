// C: the C interface does what the C++ one does, refuses what cannot be, and crashes at nothing.
#include "loopline/c.h"

#include <gtest/gtest.h>
#include <loopline/loopline.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "station_fixture.h"

namespace loopline {
namespace {

std::string text_of(ll_text text) { return {text.data, text.size}; }

class CTest : public StationTest {
 protected:
  CTest() {
    ll_station_options options = LL_STATION_OPTIONS;
    options.ring = 64_KiB;
    EXPECT_EQ(ll_station_create("orders", folder(), &options, &station_, &error_), LL_OK);
    EXPECT_EQ(ll_producer_open(station_, nullptr, &producer_, &error_), LL_OK);
    ll_consumer_options reading = LL_CONSUMER_OPTIONS;
    reading.from = LL_FROM_EARLIEST;
    EXPECT_EQ(ll_consumer_open(station_, &reading, &consumer_, &error_), LL_OK);
  }
  ~CTest() override {
    ll_consumer_close(consumer_);
    ll_producer_close(producer_);
    ll_station_close(station_);
  }

  const char* folder() const { return dir().c_str(); }
  ll_status publish(const std::string& text, const ll_publish_options* options = nullptr) {
    return ll_producer_publish(producer_, text.data(), text.size(), options, nullptr, &error_);
  }
  // The run that is there now.
  std::vector<const ll_message*> run(ll_consumer* consumer) {
    std::vector<const ll_message*> messages(LL_RUN_MAX);
    size_t count = 0;
    EXPECT_EQ(ll_consumer_read(consumer, messages.data(), messages.size(), &count, &error_), LL_OK);
    messages.resize(count);
    return messages;
  }
  std::vector<std::string> texts_there() {
    std::vector<std::string> texts;
    for (const ll_message* message : run(consumer_)) {
      const ll_bytes payload = ll_message_payload(message);
      texts.emplace_back(static_cast<const char*>(payload.data), payload.size);
    }
    EXPECT_EQ(ll_consumer_release(consumer_, &error_), LL_OK);
    return texts;
  }
  void expect_error(ll_status status, std::string_view words) {
    EXPECT_EQ(error_.status, status) << error_.message;
    EXPECT_NE(std::string_view(error_.message).find(words), std::string_view::npos)
        << error_.message;
  }

  ll_station* station_ = nullptr;
  ll_producer* producer_ = nullptr;
  ll_consumer* consumer_ = nullptr;
  ll_error error_ = {};
};

TEST_F(CTest, PublishesAndReads) {
  EXPECT_EQ(publish("one"), LL_OK);
  EXPECT_EQ(publish(""), LL_OK);
  uint64_t sequence = 0;
  EXPECT_EQ(ll_producer_publish(producer_, "three", 5, nullptr, &sequence, nullptr), LL_OK);
  EXPECT_EQ(sequence, 3u);
  EXPECT_EQ(ll_consumer_wait(consumer_, LL_FOR_EVER, &error_), LL_OK);
  EXPECT_EQ(texts_there(), texts("one", "", "three"));
  EXPECT_EQ(texts_there(), texts());
}

TEST_F(CTest, DescribesTheStation) {
  EXPECT_STREQ(ll_station_name(station_), "main/orders");
  EXPECT_EQ(ll_station_ring(station_), 64_KiB);
  EXPECT_EQ(ll_station_max_message(station_), 64_KiB / 8 - 32);
}

TEST_F(CTest, SendsAllThatTravelsWithAMessage) {
  const ll_header headers[] = {{ll_text_of("kind"), ll_text_of("quote")},
                               {ll_text_of("empty"), {nullptr, 0}}};
  ll_publish_options options = LL_PUBLISH_OPTIONS;
  options.key = ll_text_of("AAPL");
  options.id = ll_text_of("77");
  options.headers = headers;
  options.header_count = 2;
  EXPECT_EQ(publish("priced", &options), LL_OK);
  EXPECT_EQ(publish("plain"), LL_OK);
  const auto messages = run(consumer_);
  ASSERT_EQ(messages.size(), 2u);
  EXPECT_EQ(ll_message_sequence(messages[0]), 1u);
  EXPECT_GT(ll_message_timestamp_ns(messages[0]), 1'600'000'000'000'000'000u);
  EXPECT_GT(ll_message_position(messages[1]), ll_message_position(messages[0]));
  EXPECT_EQ(text_of(ll_message_key(messages[0])), "AAPL");
  EXPECT_EQ(text_of(ll_message_id(messages[0])), "77");
  EXPECT_EQ(ll_message_header_count(messages[0]), 2u);
  EXPECT_EQ(text_of(ll_message_header(messages[0], 0).name), "kind");
  EXPECT_EQ(text_of(ll_message_header(messages[0], 0).value), "quote");
  EXPECT_EQ(ll_message_header(messages[0], 1).value.size, 0u);
  EXPECT_EQ(ll_message_header(messages[0], 2).name.size, 0u);
  EXPECT_EQ(ll_message_key(messages[1]).size, 0u);
  EXPECT_EQ(ll_message_header_count(messages[1]), 0u);
}

TEST_F(CTest, NamesTheProducerWhoWantsIt) {
  ll_producer_options options = LL_PRODUCER_OPTIONS;
  options.identified = 1;
  options.id = 42;
  ll_producer* known = nullptr;
  ASSERT_EQ(ll_producer_open(station_, &options, &known, &error_), LL_OK);
  EXPECT_EQ(ll_producer_id(known), 42u);
  EXPECT_NE(ll_producer_id(producer_), 0u);
  EXPECT_EQ(ll_producer_publish(known, "x", 1, nullptr, nullptr, &error_), LL_OK);
  EXPECT_EQ(publish("y"), LL_OK);
  const auto messages = run(consumer_);
  ASSERT_EQ(messages.size(), 2u);
  const ll_producer_identity identity = ll_message_producer(messages[0]);
  EXPECT_EQ(identity.id, 42u);
  EXPECT_EQ(identity.sequence, 1u);
  EXPECT_EQ(identity.epoch, 1u);
  EXPECT_EQ(ll_message_producer(messages[1]).id, 0u);
  ll_producer_close(known);
}

TEST_F(CTest, KnowsAgainWhatWasPublished) {
  ll_producer_options options = LL_PRODUCER_OPTIONS;
  options.identified = 1;
  options.id = ll_producer_id_of("orders-feed");
  options.first_sequence = 1;
  for (uint64_t known = 0; known < 2; ++known) {
    ll_producer* feed = nullptr;
    ASSERT_EQ(ll_producer_open(station_, &options, &feed, &error_), LL_OK);
    EXPECT_EQ(ll_producer_last_sequence(feed), known);
    EXPECT_EQ(ll_producer_epoch(feed), known + 1);
    ll_ticket ticket = {};
    ASSERT_EQ(ll_producer_publish_async(feed, "x", 1, nullptr, &ticket, &error_), LL_OK);
    EXPECT_EQ(ticket.duplicate, known);
    EXPECT_EQ(ll_producer_was_duplicate(feed), static_cast<int>(known));
    EXPECT_EQ(ll_producer_next_sequence(feed), 2u);
    ll_producer_close(feed);
  }
  ll_publish_options message = LL_PUBLISH_OPTIONS;
  message.id = ll_text_of("m-1");
  ASSERT_EQ(ll_producer_publish(producer_, "y", 1, &message, nullptr, &error_), LL_OK);
  ASSERT_EQ(ll_producer_publish(producer_, "y", 1, &message, nullptr, &error_), LL_OK);
  EXPECT_EQ(ll_producer_was_duplicate(producer_), 1);
  EXPECT_EQ(run(consumer_).size(), 2u);
  options.reserved = 1;
  ll_producer* none = nullptr;
  EXPECT_EQ(ll_producer_open(station_, &options, &none, &error_), LL_INVALID_ARGUMENT);
}

TEST_F(CTest, ClaimsInPlace) {
  ll_publish_options options = LL_PUBLISH_OPTIONS;
  options.key = ll_text_of("k");
  ll_slot slots[3] = {};
  for (ll_slot& slot : slots) {
    ASSERT_EQ(ll_producer_claim(producer_, 5, &options, &slot, &error_), LL_OK);
    EXPECT_EQ(slot.size, 5u);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(slot.bytes) % 16, 0u);
    std::memcpy(slot.bytes, "slot ", 5);
  }
  EXPECT_EQ(slots[2].sequence, 3u);
  std::memcpy(slots[2].bytes, "third", 5);
  EXPECT_EQ(ll_producer_commit(producer_, &slots[2], &error_), LL_OK);
  EXPECT_EQ(slots[2].bytes, nullptr);
  EXPECT_EQ(ll_producer_abort(producer_, &slots[1], &error_), LL_OK);
  EXPECT_EQ(ll_producer_commit(producer_, &slots[0], &error_), LL_OK);
  EXPECT_EQ(texts_there(), texts("slot ", "third"));
}

TEST_F(CTest, EndsASlotOnceHoweverManyCopiesThereAre) {
  ll_slot slot = {};
  ASSERT_EQ(ll_producer_claim(producer_, 1, nullptr, &slot, &error_), LL_OK);
  std::memcpy(slot.bytes, "a", 1);
  ll_slot copy = slot;
  EXPECT_EQ(ll_producer_commit(producer_, &slot, &error_), LL_OK);
  EXPECT_EQ(ll_producer_commit(producer_, &slot, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_abort(producer_, &copy, &error_), LL_INVALID_ARGUMENT);
  expect_error(LL_INVALID_ARGUMENT, "already");
  ll_slot next = {};
  ASSERT_EQ(ll_producer_claim(producer_, 1, nullptr, &next, &error_), LL_OK);
  EXPECT_EQ(ll_producer_commit(producer_, &copy, &error_), LL_INVALID_ARGUMENT);
  copy.index = 1000;
  EXPECT_EQ(ll_producer_commit(producer_, &copy, &error_), LL_INVALID_ARGUMENT);
  std::memcpy(next.bytes, "b", 1);
  EXPECT_EQ(ll_producer_commit(producer_, &next, &error_), LL_OK);
  EXPECT_EQ(texts_there(), texts("a", "b"));
}

TEST_F(CTest, AbortsWhatIsOpenWhenItsProducerCloses) {
  ll_slot slot = {};
  ASSERT_EQ(ll_producer_claim(producer_, 1, nullptr, &slot, &error_), LL_OK);
  ll_producer_close(producer_);
  ASSERT_EQ(ll_producer_open(station_, nullptr, &producer_, &error_), LL_OK);
  EXPECT_EQ(publish("after"), LL_OK);
  EXPECT_EQ(texts_there(), texts("after"));
}

TEST_F(CTest, KeepsTheSpaceOfARunUntilItIsReleased) {
  ll_publish_options at_once = LL_PUBLISH_OPTIONS;
  at_once.timeout_ns = 0;
  const std::string large(8000, 'x');
  while (publish(large, &at_once) == LL_OK) {
  }
  expect_error(LL_FULL, "full");
  EXPECT_FALSE(run(consumer_).empty());
  EXPECT_EQ(publish(large, &at_once), LL_FULL);
  EXPECT_EQ(ll_consumer_release(consumer_, &error_), LL_OK);
  EXPECT_EQ(publish(large, &at_once), LL_OK);
}

TEST_F(CTest, TellsALossyConsumerWhatItMissed) {
  ll_consumer_close(consumer_);
  ll_consumer_options options = LL_CONSUMER_OPTIONS;
  options.from = LL_FROM_EARLIEST;
  options.lossy = 1;
  ASSERT_EQ(ll_consumer_open(station_, &options, &consumer_, &error_), LL_OK);
  for (int count = 0; count < 100; ++count) ASSERT_EQ(publish(std::string(4000, 'x')), LL_OK);
  const auto messages = run(consumer_);
  ASSERT_FALSE(messages.empty());
  const ll_gap gap = ll_consumer_gap(consumer_);
  EXPECT_EQ(gap.first, 1u);
  EXPECT_EQ(gap.first + gap.count, ll_message_sequence(messages[0]));
  EXPECT_EQ(ll_consumer_gap(consumer_).count, 0u);
}

TEST_F(CTest, BeginsWhereItIsTold) {
  for (const char* text : {"one", "two", "three"}) ASSERT_EQ(publish(text), LL_OK);
  const struct {
    uint32_t from;
    uint64_t value;
    size_t count;
  } places[] = {{LL_FROM_SEQUENCE, 2, 2}, {LL_FROM_LAST, 1, 1}, {LL_FROM_TIME, 0, 3}};
  for (const auto& place : places) {
    ll_consumer_close(consumer_);
    ll_consumer_options options = LL_CONSUMER_OPTIONS;
    options.from = place.from;
    options.from_value = place.value;
    ASSERT_EQ(ll_consumer_open(station_, &options, &consumer_, &error_), LL_OK);
    EXPECT_EQ(texts_there().size(), place.count);
  }
}

TEST_F(CTest, ReadsOnePartitionOrAll) {
  ll_station_options wanted = LL_STATION_OPTIONS;
  wanted.ring = 64_KiB;
  wanted.partitions = 3;
  wanted.when_full = LL_WHEN_FULL_DROP_OLDEST;
  ll_station* keyed = nullptr;
  ASSERT_EQ(ll_station_create("keyed", folder(), &wanted, &keyed, &error_), LL_OK);
  ll_producer_close(producer_);
  ASSERT_EQ(ll_producer_open(keyed, nullptr, &producer_, &error_), LL_OK);
  for (int count = 0; count < 6; ++count) ASSERT_EQ(publish("x"), LL_OK);
  ll_consumer_options options = LL_CONSUMER_OPTIONS;
  options.from = LL_FROM_EARLIEST;
  for (const uint32_t partition : {LL_ALL_PARTITIONS, 2u}) {
    options.partition = partition;
    ll_consumer_close(consumer_);
    ASSERT_EQ(ll_consumer_open(keyed, &options, &consumer_, &error_), LL_OK);
    size_t seen = 0;
    for (auto messages = run(consumer_); !messages.empty(); messages = run(consumer_)) {
      seen += messages.size();
      if (partition == 2) {
        EXPECT_EQ(ll_message_partition(messages[0]), 2u);
      }
    }
    EXPECT_EQ(seen, partition == 2 ? 2u : 6u);
  }
  options.partition = 3;
  ll_consumer* none = nullptr;
  EXPECT_EQ(ll_consumer_open(keyed, &options, &none, &error_), LL_NOT_FOUND);
  ll_station_close(keyed);
}

TEST_F(CTest, WaitsForAMessageOrUntilItsTime) {
  EXPECT_EQ(ll_consumer_wait(consumer_, 0, &error_), LL_TIMED_OUT);
  EXPECT_EQ(ll_consumer_wait(consumer_, 1'000'000, &error_), LL_TIMED_OUT);
  expect_error(LL_TIMED_OUT, "nothing to read");
  EXPECT_EQ(ll_consumer_wait(consumer_, -3, &error_), LL_INVALID_ARGUMENT);
  std::thread other([this] {
    ll_producer* producer = nullptr;
    ASSERT_EQ(ll_producer_open(station_, nullptr, &producer, nullptr), LL_OK);
    EXPECT_EQ(ll_producer_publish(producer, "x", 1, nullptr, nullptr, nullptr), LL_OK);
    ll_producer_close(producer);
  });
  EXPECT_EQ(ll_consumer_wait(consumer_, LL_FOR_EVER, &error_), LL_OK);
  other.join();
}

TEST_F(CTest, OpensWhatIsThereAndCreatesWhatIsNot) {
  ll_station* station = nullptr;
  EXPECT_EQ(ll_station_open("trades", folder(), &station, &error_), LL_NOT_FOUND);
  expect_error(LL_NOT_FOUND, "trades");
  EXPECT_EQ(station, nullptr);
  EXPECT_EQ(ll_station_create("orders", folder(), nullptr, &station, &error_), LL_ALREADY_EXISTS);
  EXPECT_EQ(ll_station_open_or_create("trades", folder(), nullptr, &station, &error_), LL_OK);
  ll_station_close(station);
  ll_station_options other = LL_STATION_OPTIONS;
  other.ring = 128_KiB;
  EXPECT_EQ(ll_station_open_or_create("orders", folder(), &other, &station, &error_),
            LL_ALREADY_EXISTS);
  expect_error(LL_ALREADY_EXISTS, "ring");
}

TEST_F(CTest, AsksForEveryOptionOfAStation) {
  ll_station_options options = LL_STATION_OPTIONS;
  options.ring = 64_KiB;
  options.max_message = 100;
  options.exclusive = LL_YES;
  options.when_full = LL_WHEN_FULL_REJECT;
  options.timestamp = LL_TIMESTAMP_OFF;
  options.mode = 0600;
  ll_station* station = nullptr;
  ASSERT_EQ(ll_station_create("picky", folder(), &options, &station, &error_), LL_OK)
      << error_.message;
  EXPECT_EQ(ll_station_max_message(station), 100u);
  ll_station_close(station);
  const auto same = Station::open_or_create("picky",
                                            {.ring = 64_KiB,
                                             .max_message = 100,
                                             .exclusive = true,
                                             .when_full = WhenFull::reject,
                                             .timestamp = Timestamp::off},
                                            dir());
  EXPECT_TRUE(same) << same.fault().message();
}

TEST_F(CTest, IsToldWhenTheStationIsRemoved) {
  EXPECT_EQ(publish("last"), LL_OK);
  EXPECT_EQ(ll_station_remove("orders", folder(), &error_), LL_OK);
  EXPECT_EQ(publish("late"), LL_CLOSED);
  EXPECT_EQ(texts_there(), texts("last"));
  EXPECT_EQ(ll_consumer_wait(consumer_, LL_FOR_EVER, &error_), LL_OK);
  const ll_message* message = nullptr;
  size_t count = 0;
  EXPECT_EQ(ll_consumer_read(consumer_, &message, 1, &count, &error_), LL_CLOSED);
  expect_error(LL_CLOSED, "removed");
  EXPECT_EQ(ll_station_remove("orders", folder(), &error_), LL_NOT_FOUND);
}

TEST_F(CTest, RefusesOptionsThatCannotBe) {
  ll_consumer* consumer = nullptr;
  ll_consumer_options reading = LL_CONSUMER_OPTIONS;
  reading.from = 99;
  EXPECT_EQ(ll_consumer_open(station_, &reading, &consumer, &error_), LL_INVALID_ARGUMENT);
  expect_error(LL_INVALID_ARGUMENT, "from 99");
  ll_station* station = nullptr;
  ll_station_options options = LL_STATION_OPTIONS;
  options.timestamp = 4;
  EXPECT_EQ(ll_station_create("x", folder(), &options, &station, &error_), LL_INVALID_ARGUMENT);
  expect_error(LL_INVALID_ARGUMENT, "timestamp 4");
  ll_publish_options sending = LL_PUBLISH_OPTIONS;
  sending.timeout_ns = -3;
  EXPECT_EQ(publish("x", &sending), LL_INVALID_ARGUMENT);
  sending = LL_PUBLISH_OPTIONS;
  sending.key = {nullptr, 3};
  EXPECT_EQ(publish("x", &sending), LL_INVALID_ARGUMENT);
  sending = LL_PUBLISH_OPTIONS;
  sending.header_count = 1;
  EXPECT_EQ(publish("x", &sending), LL_INVALID_ARGUMENT);
  expect_error(LL_INVALID_ARGUMENT, "NULL");
}

// The options of programs that are older, and newer, than the library.
TEST_F(CTest, TakesOptionsOfOtherSizes) {
  struct Newer {
    ll_consumer_options known = LL_CONSUMER_OPTIONS;
    uint64_t unknown = 0;
  } newer;
  newer.known.size = sizeof newer;
  ll_consumer* consumer = nullptr;
  EXPECT_EQ(ll_consumer_open(station_, &newer.known, &consumer, &error_), LL_OK);
  ll_consumer_close(consumer);
  newer.unknown = 1;
  EXPECT_EQ(ll_consumer_open(station_, &newer.known, &consumer, &error_), LL_UNSUPPORTED);
  expect_error(LL_UNSUPPORTED, "newer libloopline");

  ll_publish_options older = LL_PUBLISH_OPTIONS;
  older.size = offsetof(ll_publish_options, id);
  older.key = ll_text_of("k");
  older.timeout_ns = -77;  // not its own field
  EXPECT_EQ(publish("x", &older), LL_OK);
  older.size = 0;
  EXPECT_EQ(publish("x", &older), LL_INVALID_ARGUMENT);
  expect_error(LL_INVALID_ARGUMENT, "size of the options");
}

TEST_F(CTest, AnswersEveryNull) {
  ll_station* station = nullptr;
  ll_slot slot = {};
  size_t count = 0;
  const ll_message* message = nullptr;
  EXPECT_EQ(ll_station_open(nullptr, folder(), &station, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_station_open("orders", folder(), nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_station_remove(nullptr, nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_open(nullptr, nullptr, &producer_, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_open(station_, nullptr, nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_claim(nullptr, 1, nullptr, &slot, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_claim(producer_, 1, nullptr, nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_commit(producer_, nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_commit(producer_, &slot, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_abort(nullptr, &slot, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_publish(nullptr, "x", 1, nullptr, nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_publish(producer_, nullptr, 1, nullptr, nullptr, &error_),
            LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_open(nullptr, nullptr, &consumer_, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_open(station_, nullptr, nullptr, nullptr), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_read(nullptr, &message, 1, &count, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_read(consumer_, nullptr, 1, &count, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_read(consumer_, &message, 1, nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_release(nullptr, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_wait(nullptr, 0, nullptr), LL_INVALID_ARGUMENT);
  ll_station_close(nullptr);
  ll_producer_close(nullptr);
  ll_consumer_close(nullptr);
  EXPECT_STREQ(ll_station_name(nullptr), "");
  EXPECT_EQ(ll_station_ring(nullptr) + ll_station_max_message(nullptr), 0u);
  EXPECT_EQ(ll_producer_id(nullptr) + ll_consumer_gap(nullptr).count, 0u);
  EXPECT_EQ(ll_message_sequence(nullptr) + ll_message_payload(nullptr).size, 0u);
  EXPECT_EQ(ll_message_key(nullptr).size + ll_message_header(nullptr, 0).name.size, 0u);
  EXPECT_EQ(ll_text_of(nullptr).size, 0u);
}

TEST_F(CTest, NamesEveryStatus) {
  EXPECT_STREQ(ll_status_name(LL_OK), "ok");
  EXPECT_STREQ(ll_status_name(LL_NOT_FOUND), "not_found");
  EXPECT_STREQ(ll_status_name(LL_IO_ERROR), "io_error");
  EXPECT_STREQ(ll_status_name(static_cast<ll_status>(31)), "unknown");
}

TEST_F(CTest, CutsAMessageThatIsTooLongForTheError) {
  const std::string name(3000, 'n');
  ll_station* station = nullptr;
  EXPECT_EQ(ll_station_open(name.c_str(), folder(), &station, &error_), LL_INVALID_ARGUMENT);
  EXPECT_LT(std::strlen(error_.message), sizeof error_.message);
  EXPECT_GT(std::strlen(error_.message), 0u);
}

TEST_F(CTest, AnswersForkedInAChild) {
  const pid_t pid = ::fork();
  if (pid == 0) {
    const bool both =
        publish("child") == LL_FORKED && ll_consumer_wait(consumer_, 0, &error_) == LL_FORKED;
    ::_exit(both ? 0 : 1);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(publish("parent"), LL_OK);
  EXPECT_EQ(texts_there(), texts("parent"));
}

TEST_F(CTest, GoesOnAfterItsStationHandleIsClosed) {
  ll_station_close(station_);
  station_ = nullptr;
  EXPECT_EQ(publish("still"), LL_OK);
  EXPECT_EQ(texts_there(), texts("still"));
}

TEST_F(CTest, PublishesWithoutWaitingForItsLevel) {
  ll_ticket ticket = {};
  ASSERT_EQ(ll_producer_publish_async(producer_, "one", 3, nullptr, &ticket, &error_), LL_OK);
  EXPECT_EQ(ticket.sequence, 1u);
  EXPECT_EQ(ticket.partition, 0u);
  EXPECT_EQ(ll_producer_level(producer_, &ticket), static_cast<uint32_t>(LL_ACK_VISIBLE));
  EXPECT_EQ(ll_producer_level(nullptr, &ticket), static_cast<uint32_t>(LL_UNSET));
  EXPECT_EQ(ll_producer_wait(producer_, &ticket, LL_ACK_VISIBLE, LL_FOR_EVER, &error_), LL_OK);
  EXPECT_EQ(ll_producer_wait(producer_, &ticket, LL_ACK_DURABLE, 0, &error_), LL_UNSUPPORTED);
  EXPECT_EQ(ll_producer_wait(producer_, &ticket, 9, 0, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_wait(producer_, &ticket, LL_ACK_VISIBLE, -7, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_producer_wait(producer_, nullptr, LL_ACK_VISIBLE, 0, &error_), LL_INVALID_ARGUMENT);
  ll_publish_options options = LL_PUBLISH_OPTIONS;
  options.ack = LL_ACK_DURABLE;
  EXPECT_EQ(publish("two", &options), LL_UNSUPPORTED);
  options.ack = 9;
  EXPECT_EQ(publish("two", &options), LL_INVALID_ARGUMENT);
  options.ack = LL_ACK_VISIBLE;
  EXPECT_EQ(publish("two", &options), LL_OK);
  EXPECT_EQ(texts_there(), texts("one", "two"));
}

TEST_F(CTest, KeepsAStationOnDiskAndSaysThatNobodyFlushes) {
  ll_station_options options = LL_STATION_OPTIONS;
  options.ring = 64_KiB;
  options.storage = LL_STORAGE_FILE;
  options.segment = 1_MiB;
  options.retention_age_ns = LL_OFF;
  options.retention_bytes = 1_GiB;
  options.flush_ns = 5'000'000;
  ll_station* station = nullptr;
  ASSERT_EQ(ll_station_create("kept", folder(), &options, &station, &error_), LL_OK)
      << error_.message;
  StationOptions same;
  same.storage = Storage::file;
  same.segment = 1_MiB;
  same.retention_age = std::chrono::nanoseconds(0);
  same.retention_messages = 0;
  same.retention_bytes = 1_GiB;
  same.flush = std::chrono::milliseconds(5);
  const auto found = Station::open_or_create("kept", same, dir());
  EXPECT_TRUE(found) << found.fault().message();

  ll_producer* producer = nullptr;
  ASSERT_EQ(ll_producer_open(station, nullptr, &producer, &error_), LL_OK);
  ll_ticket ticket = {};
  ASSERT_EQ(ll_producer_publish_async(producer, "one", 3, nullptr, &ticket, &error_), LL_OK);
  EXPECT_EQ(ll_producer_level(producer, &ticket), static_cast<uint32_t>(LL_ACK_VISIBLE));
  EXPECT_EQ(ll_producer_wait(producer, &ticket, LL_ACK_DURABLE, 0, &error_), LL_TIMED_OUT);
  ll_publish_options sending = LL_PUBLISH_OPTIONS;
  sending.timeout_ns = 1'000'000;
  EXPECT_EQ(ll_producer_publish(producer, "two", 3, &sending, nullptr, &error_), LL_TIMED_OUT);
  expect_error(LL_TIMED_OUT, "nobody flushes");
  sending.ack = LL_ACK_VISIBLE;
  EXPECT_EQ(ll_producer_publish(producer, "two", 3, &sending, nullptr, &error_), LL_OK);
  ticket.partition = 9;
  EXPECT_EQ(ll_producer_wait(producer, &ticket, LL_ACK_DURABLE, 0, &error_), LL_INVALID_ARGUMENT);
  ll_producer_close(producer);
  ll_station_close(station);
  options.storage = 3;
  EXPECT_EQ(ll_station_create("x", folder(), &options, &station, &error_), LL_INVALID_ARGUMENT);
  expect_error(LL_INVALID_ARGUMENT, "storage 3");
}

TEST_F(CTest, TakesMessagesOneByOne) {
  const ll_message* message = nullptr;
  EXPECT_EQ(ll_consumer_take(consumer_, &message, 0, &error_), LL_TIMED_OUT);
  ASSERT_EQ(publish("one"), LL_OK);
  ASSERT_EQ(ll_consumer_take(consumer_, &message, LL_FOR_EVER, &error_), LL_OK);
  EXPECT_EQ(ll_message_sequence(message), 1u);
  EXPECT_EQ(ll_consumer_take(consumer_, nullptr, 0, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_take(consumer_, &message, -7, &error_), LL_INVALID_ARGUMENT);
}

TEST_F(CTest, EvictAfterIsSetAndTakenBack) {
  ll_station_options options = LL_STATION_OPTIONS;
  options.evict_after_ns = 5'000'000'000;
  ASSERT_EQ(ll_station_edit("orders", folder(), &options, &error_), LL_OK) << error_.message;
  const auto differs = [&](uint64_t wanted) {
    ll_station* other = nullptr;
    options.evict_after_ns = wanted;
    return ll_station_open_or_create("orders", folder(), &options, &other, &error_) ==
           LL_ALREADY_EXISTS;
  };
  EXPECT_TRUE(differs(LL_NEVER));
  expect_error(LL_ALREADY_EXISTS, "evict-after is 5s, not off");
  options.evict_after_ns = LL_NEVER;
  ASSERT_EQ(ll_station_edit("orders", folder(), &options, &error_), LL_OK) << error_.message;
  EXPECT_TRUE(differs(5'000'000'000));
  options.evict_after_ns = 1ull << 63;
  EXPECT_EQ(ll_station_edit("orders", folder(), &options, &error_), LL_INVALID_ARGUMENT);
}

TEST_F(CTest, FactoriesGiveDefaultsAndQuotas) {
  ll_station_options stations = LL_STATION_OPTIONS;
  stations.ring = 64_KiB;
  ll_factory_options options = LL_FACTORY_OPTIONS;
  options.stations = &stations;
  options.quota_stations = 1;
  ASSERT_EQ(ll_factory_create("billing", folder(), &options, &error_), LL_OK) << error_.message;
  EXPECT_EQ(ll_factory_create("billing", folder(), &options, &error_), LL_ALREADY_EXISTS);
  ll_station* one = nullptr;
  ll_station* two = nullptr;
  ASSERT_EQ(ll_station_create("billing/one", folder(), nullptr, &one, &error_), LL_OK);
  EXPECT_EQ(ll_station_ring(one), 64_KiB);
  EXPECT_EQ(ll_station_create("billing/two", folder(), nullptr, &two, &error_), LL_NO_SPACE);
  options.quota_stations = 2;
  EXPECT_EQ(ll_factory_edit("billing", folder(), &options, &error_), LL_OK);
  EXPECT_EQ(ll_station_create("billing/two", folder(), nullptr, &two, &error_), LL_OK);
  EXPECT_EQ(ll_factory_edit("none", folder(), &options, &error_), LL_NOT_FOUND);
  options.quota_stations = 1ull << 32;
  EXPECT_EQ(ll_factory_edit("billing", folder(), &options, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_factory_remove("billing", folder(), 0, &error_), LL_ALREADY_EXISTS);
  EXPECT_EQ(ll_factory_remove("billing", folder(), 2, &error_), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_factory_remove("billing", folder(), 1, &error_), LL_OK);
  EXPECT_EQ(ll_factory_remove(nullptr, folder(), 1, &error_), LL_INVALID_ARGUMENT);
  ll_station_close(one);
  ll_station_close(two);
}

}  // namespace
}  // namespace loopline
