// File stations: durable when they say so, back when their rings are gone, read over disk and ring.
#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "io/conf_watch.h"
#include "io/flush_sources.h"
#include "io/flusher.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "loopline/c.h"
#include "station_fixture.h"
#include "tests/support/wait_until.h"

namespace loopline {
namespace {

using testing::ElementsAreArray;

using namespace std::chrono_literals;
using namespace loopline::literals;

class FileStationTest : public StationTest {
 protected:
  FileStationTest() : data_(io::data_folder_of(instance().paths())) {}

  StationOptions options() const {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64_KiB;
    options.segment = 64_KiB;
    return options;
  }
  void flush(const std::string& name = "orders") {
    if (!flusher_) flusher_ = must(io::Flusher::start({.storage = storage_}));
    auto directory = must(shm::Directory::open_or_create(instance().paths()));
    io::keep_on_disk(directory, data_);
    for (const auto& source : must(io::sources_of(directory, data_, {"main", name}))) {
      const Status added = flusher_->add(source);
      ASSERT_TRUE(added) << added.fault().message();
    }
  }
  void stop() {
    const Status stopped = flusher_->stop();
    EXPECT_TRUE(stopped) << stopped.fault().message();
    flusher_.reset();
  }
  // As a reboot does it.
  void lose_memory() const {
    for (const auto& file : std::filesystem::directory_iterator(instance().paths().shm)) {
      if (file.path().extension() == ".ring") std::filesystem::remove(file.path());
    }
  }
  static std::string body(uint64_t number) { return "message " + std::to_string(number); }
  void publish(const Station& station, uint64_t first, uint64_t last) const {
    auto producer = must(station.producer());
    std::optional<Ticket> ticket;
    for (uint64_t number = first; number <= last; ++number) {
      ticket = must(producer.publish_async(body(number)));
    }
    const Status durable = producer.wait(*ticket, Ack::durable, 20s);
    ASSERT_TRUE(durable) << durable.fault().message();
  }
  // Reads `count` messages and expects them to be first, first + 1, ...
  void expect_messages(Consumer& consumer, uint64_t first, uint64_t count) const {
    uint64_t next = first;
    while (next < first + count) {
      const auto read = consumer.poll([&](const Message& message) {
        EXPECT_EQ(message.text(), body(next));
        EXPECT_EQ(message.sequence(), next);
        ++next;
      });
      ASSERT_TRUE(read) << read.fault().message();
      ASSERT_EQ(consumer.gap().count, 0u) << "before " << next;
      if (*read != 0) continue;
      ASSERT_TRUE(must(consumer.wait(5s))) << "behind " << next;
    }
  }
  Station reopen(const std::string& name = "orders") const {
    return must(Station::open(name, dir()));
  }
  Consumer from(const Station& station, From where) const {
    ConsumerOptions options;
    options.from = where;
    return must(station.consumer(options));
  }

  std::string data_;
  std::string storage_ = "auto";
  std::unique_ptr<io::Flusher> flusher_;
};

TEST_F(FileStationTest, KnowsAfterARebootWhatWasPublishedBefore) {
  const ProducerOptions feed{.identified = true, .id = 42, .first_sequence = 1};
  {
    const Station station = open_or_create("orders", options());
    flush();
    Producer named = must(station.producer(feed)), other = must(station.producer());
    must(named.publish("one"));
    must(named.publish("two"));
    must(other.publish("three", {.id = "m-3"}));
    stop();
  }
  lose_memory();
  const Station station = must(Station::open("orders", dir()));
  flush();
  Producer named = must(station.producer(feed)), other = must(station.producer());
  EXPECT_EQ(named.last_sequence(), 2u);
  EXPECT_EQ(named.epoch(), 2u);
  must(named.publish("one"));
  EXPECT_TRUE(named.was_duplicate());
  EXPECT_EQ(must(other.publish("three", {.id = "m-3"})), 3u);
  EXPECT_TRUE(other.was_duplicate());
  must(named.publish("two"));
  EXPECT_EQ(must(named.publish("four")), 4u);
  stop();
}

TEST_F(FileStationTest, PublishReturnsWhenTheMessageIsOnDisk) {
  const Station station = open_or_create("orders", options());
  flush();
  auto producer = must(station.producer());
  EXPECT_EQ(must(producer.publish("one")), 1u);
  EXPECT_EQ(flusher_->status().at(0).durable.sequence, 2u);
  stop();
}

TEST_F(FileStationTest, ATicketTellsItsLevel) {
  const Station station = open_or_create("orders", options());
  auto producer = must(station.producer());
  const Ticket ticket = must(producer.publish_async("one"));
  EXPECT_EQ(ticket.level(), Ack::visible);
  flush();
  const Status durable = producer.wait(ticket, Ack::durable);
  ASSERT_TRUE(durable) << durable.fault().message();
  EXPECT_EQ(ticket.level(), Ack::committed);  // this host is the only one
  EXPECT_TRUE(producer.wait(ticket, Ack::committed));
}

TEST_F(FileStationTest, ATicketOfCTellsItsLevelToo) {
  const Station made = open_or_create("orders", options());
  ll_station* station = nullptr;
  ll_producer* producer = nullptr;
  ASSERT_EQ(ll_station_open("orders", dir().c_str(), &station, nullptr), LL_OK);
  ASSERT_EQ(ll_producer_open(station, nullptr, &producer, nullptr), LL_OK);
  ll_ticket ticket = {};
  ASSERT_EQ(ll_producer_publish_async(producer, "one", 3, nullptr, &ticket, nullptr), LL_OK);
  EXPECT_EQ(ll_producer_level(producer, &ticket), static_cast<uint32_t>(LL_ACK_VISIBLE));
  flush();
  EXPECT_EQ(ll_producer_wait(producer, &ticket, LL_ACK_DURABLE, LL_FOR_EVER, nullptr), LL_OK);
  EXPECT_EQ(ll_producer_level(producer, &ticket), static_cast<uint32_t>(LL_ACK_COMMITTED));
  uint64_t sequence = 0;
  EXPECT_EQ(ll_producer_publish(producer, "two", 3, nullptr, &sequence, nullptr), LL_OK);
  EXPECT_EQ(flusher_->status().at(0).durable.sequence, sequence + 1);
  ll_producer_close(producer);
  ll_station_close(station);
  stop();
}

TEST_F(FileStationTest, SaysThatNobodyFlushes) {
  const Station station = open_or_create("orders", options());
  auto producer = must(station.producer());
  const Fault fault = fault_of(producer.publish("one", {.timeout = 20ms}));
  EXPECT_EQ(fault.code(), FaultCode::timed_out);
  EXPECT_TRUE(contains(fault, "flush")) << fault.message();
}

TEST_F(FileStationTest, ComesBackWhenItsRingIsGone) {
  {
    const Station station = open_or_create("orders", options());
    flush();
    publish(station, 1, 100);
    stop();
  }
  lose_memory();
  const Station station = reopen();
  auto consumer = from(station, From::earliest);
  expect_messages(consumer, 1, 100);
  flush();
  publish(station, 101, 200);
  expect_messages(consumer, 101, 100);
  stop();
}

TEST_F(FileStationTest, EachPartitionComesBackBehindItsOwnLog) {
  StationOptions two = options();
  two.partitions = 2;
  {
    const Station station = open_or_create("orders", two);
    flush();
    auto producer = must(station.producer());
    for (int count = 0; count < 10; ++count) must(producer.publish("x", {.key = "one key"}));
    stop();
  }
  lose_memory();
  const Station station = reopen();
  flush();
  auto producer = must(station.producer());
  EXPECT_EQ(must(producer.publish("y", {.key = "one key"})), 11u);
  stop();
}

// Else a spare that was a segment of one would be believed as one of the other.
TEST_F(FileStationTest, EachPartitionIsALogOfItsOwn) {
  StationOptions three = options();
  three.partitions = 3;
  const Station station = open_or_create("orders", three);
  const auto directory = must(shm::Directory::open_or_create(instance().paths()));
  const auto sources = must(io::sources_of(directory, data_, {"main", "orders"}));
  ASSERT_EQ(sources.size(), 3u);
  EXPECT_EQ(sources[0].log.id, must(io::read_station_conf(data_, {"main", "orders"}))->id);
  EXPECT_NE(sources[0].log.id, sources[1].log.id);
  EXPECT_NE(sources[0].log.id, sources[2].log.id);
  EXPECT_NE(sources[1].log.id, sources[2].log.id);
}

TEST_F(FileStationTest, AConsumerThatFallsOutOfTheRingReadsOnFromDisk) {
  const Station station = open_or_create("orders", options());
  flush();
  auto consumer = from(station, From::earliest);
  publish(station, 1, 50);
  expect_messages(consumer, 1, 50);
  publish(station, 51, 5000);  // several laps of the ring
  expect_messages(consumer, 51, 4950);
  publish(station, 5001, 5010);
  expect_messages(consumer, 5001, 10);
  stop();
}

TEST_F(FileStationTest, AConsumerThatFallsOutInTheMiddleOfABatchMissesNothing) {
  const Station station = open_or_create("orders", options());
  auto producer = must(station.producer());
  for (uint64_t number = 1; number <= 100; ++number) must(producer.publish_async(body(number)));
  auto consumer = from(station, From::earliest);
  ASSERT_EQ(must(consumer.poll([](const Message&) {}, 50)), 50u);
  flush();  // all hundred at once
  publish(station, 101, 5000);
  expect_messages(consumer, 51, 4950);
  stop();
}

TEST_F(FileStationTest, BeginsWhereItIsAskedToOverDiskAndRing) {
  const Station station = open_or_create("orders", options());
  flush();
  publish(station, 1, 3000);
  auto all = from(station, From::earliest);
  expect_messages(all, 1, 3000);
  auto some = from(station, From::sequence(1234));
  expect_messages(some, 1234, 1767);
  auto last = from(station, From::last(2500));
  expect_messages(last, 501, 2500);
  auto ring = from(station, From::last(5));
  expect_messages(ring, 2996, 5);
  stop();
}

TEST_F(FileStationTest, BeginsAtATimeOnDisk) {
  const Station station = open_or_create("orders", options());
  flush();
  publish(station, 1, 2000);
  auto reader = from(station, From::earliest);
  uint64_t wanted_ns = 0;
  while (wanted_ns == 0) {
    must(reader.poll([&](const Message& message) {
      if (message.sequence() == 777) wanted_ns = message.timestamp_ns();
    }));
  }
  auto consumer = from(station, From::time(wanted_ns));
  uint64_t first = 0;
  while (first == 0) {
    must(consumer.poll([&](const Message& message) {
      if (first == 0) first = message.sequence();
    }));
  }
  EXPECT_EQ(first, 777u);
  stop();
}

TEST_F(FileStationTest, WhatRetentionDroppedIsAGap) {
  StationOptions few = options();
  few.retention_bytes = 128_KiB;
  const Station station = open_or_create("orders", few);
  flush();
  auto consumer = from(station, From::sequence(1));
  publish(station, 1, 10);
  expect_messages(consumer, 1, 10);
  // Gone from the ring too, which holds about a thousand.
  while (flusher_->status().at(0).begin.sequence < 2000) publish(station, 1, 500);
  uint64_t next = 11;
  Gap gap;
  while (gap.count == 0) {
    const auto read = consumer.poll([&](const Message& message) { next = message.sequence(); });
    ASSERT_TRUE(read) << read.fault().message();
    gap = consumer.gap();
    if (*read != 0) break;
  }
  EXPECT_EQ(gap.first, 11u);
  EXPECT_GT(gap.count, 50u);
  EXPECT_GE(next, gap.first + gap.count);
  stop();
}

TEST_F(FileStationTest, AnEditOfRetentionAndSegmentsCountsAtOnce) {
  StationOptions kept = options();
  kept.retention_age = 0ns;
  const Station station = open_or_create("orders", kept);
  io::ConfWatch watch(must(shm::Directory::open(instance().paths())), data_);
  watch.add({"main", "orders"});
  flush();
  publish(station, 1, 3000);
  EXPECT_TRUE(watch.poll(*flusher_).empty());
  EXPECT_EQ(flusher_->status().at(0).begin.sequence, 1u);
  StationOptions edit;
  edit.retention_messages = 100;
  edit.segment = 256_KiB;
  EXPECT_TRUE(must(Station::edit("orders", edit, dir())).is_changed);
  const auto changes = watch.poll(*flusher_);
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_FALSE(changes[0].fault);
  EXPECT_TRUE(test::wait_until([&] { return flusher_->status().at(0).begin.sequence > 1000; }));
  publish(station, 3001, 5000);
  const auto status = flusher_->status().at(0);
  EXPECT_GE(status.disk_bytes, 256_KiB);
  EXPECT_FALSE(status.failed);
  stop();
  auto consumer = from(reopen(), From::sequence(4901));
  expect_messages(consumer, 4901, 100);
}

// What is published from now on, by the number it gets; seal frames take numbers too.
TEST_F(FileStationTest, APurgeDropsWhatIsInTheRingAndOnDisk) {
  const Station station = open_or_create("orders", options());
  io::ConfWatch watch(must(shm::Directory::open(instance().paths())), data_);
  watch.add({"main", "orders"});
  flush();
  publish(station, 1, 3000);
  EXPECT_EQ(must(Station::purge("orders", dir())).messages, 3000u);
  auto producer = must(station.producer());
  const uint64_t next = must(producer.publish("new"));
  EXPECT_EQ(next, 3002u);
  for (const From where : {From::earliest, From::sequence(5)}) {
    auto consumer = from(station, where);
    std::vector<uint64_t> read;
    while (read.empty()) {
      must(consumer.poll([&](const Message& message) { read.push_back(message.sequence()); }));
    }
    EXPECT_THAT(read, ElementsAreArray({next}));
  }
  EXPECT_EQ(watch.poll(*flusher_).size(), 1u);
  EXPECT_TRUE(test::wait_until([&] { return flusher_->status().at(0).segments <= 1; }));
  EXPECT_TRUE(test::wait_until([&] { return flusher_->status().at(0).begin.sequence == next; }));
  EXPECT_EQ(must(Station::purge("orders", dir())).messages, 1u);
  EXPECT_FALSE(must(Station::purge("orders", dir())).is_changed);
  watch.poll(*flusher_);
  EXPECT_TRUE(test::wait_until([&] { return flusher_->status().at(0).segments == 0; }));
  stop();
  flush();
  EXPECT_EQ(must(producer.publish("newer")), 3004u);
  stop();
}

// What nobody has brought to disk is gone too, even if the ring never gets there.
TEST_F(FileStationTest, APurgeWithoutAFlusherOutlivesTheMemory) {
  std::optional<Station> station = open_or_create("orders", options());
  flush();
  publish(*station, 1, 100);
  stop();
  {
    auto producer = must(station->producer());
    for (uint64_t number = 101; number <= 200; ++number) {
      must(producer.publish_async(body(number)));
    }
  }
  EXPECT_EQ(must(Station::purge("orders", dir())).messages, 200u);
  station.reset();
  lose_memory();
  const Station again = reopen();
  flush();
  auto producer = must(again.producer());
  const uint64_t next = must(producer.publish("new"));
  EXPECT_EQ(next, 202u);
  auto consumer = from(again, From::earliest);
  uint64_t first = 0;
  while (first == 0) {
    must(consumer.poll([&](const Message& message) { first = message.sequence(); }));
  }
  EXPECT_EQ(first, next);
  EXPECT_TRUE(flusher_->status().at(0).gaps.empty());
  stop();
}

TEST_F(FileStationTest, APurgedRingGoesToDiskFirstWhenItsFlusherComesLater) {
  const Station station = open_or_create("orders", options());
  auto producer = must(station.producer());
  const Ticket ticket = must(producer.publish_async("old"));
  EXPECT_EQ(must(Station::purge("orders", dir())).messages, 1u);
  auto consumer = from(station, From::earliest);
  EXPECT_EQ(must(consumer.poll([](const Message&) {})), 0u);
  flush();
  EXPECT_EQ(must(producer.publish("new")), 3u);
  const Status durable = producer.wait(ticket, Ack::durable, 20s);
  EXPECT_TRUE(durable) << durable.fault().message();
  EXPECT_TRUE(test::wait_until([&] { return flusher_->status().at(0).begin.sequence == 3; }));
  stop();
}

TEST_F(FileStationTest, AConfThatCannotBeReadIsToldAndChangesNothing) {
  open_or_create("orders", options());
  io::ConfWatch watch(must(shm::Directory::open(instance().paths())), data_);
  watch.add({"main", "orders"});
  flush();
  const std::string path = io::station_file(data_, {"main", "orders"});
  const std::string aside = path + ".aside";
  std::filesystem::copy_file(path, aside);
  std::ofstream(path, std::ios::app) << "retention.age = soon\n";
  const auto changes = watch.poll(*flusher_);
  ASSERT_EQ(changes.size(), 1u);
  ASSERT_TRUE(changes[0].fault);
  EXPECT_THAT(changes[0].fault->message(), testing::HasSubstr("retention.age"));
  std::filesystem::remove(path);
  EXPECT_TRUE(watch.poll(*flusher_).empty());  // removed: that is told by its ring
  std::filesystem::rename(aside, path);
  stop();
}

// It was published before an edit made segments smaller than it is.
TEST_F(FileStationTest, AMessageLargerThanTheEditedSegmentGetsOneOfItsOwn) {
  StationOptions large = options();
  large.ring = 2_MiB;
  large.segment = 1_MiB;
  const Station station = open_or_create("orders", large);
  auto producer = must(station.producer());
  const std::string big(200 << 10, 'x');
  const Ticket ticket = must(producer.publish_async(big));
  StationOptions edit;
  edit.segment = 64_KiB;
  edit.max_message = 32_KiB;
  ASSERT_TRUE(must(Station::edit("orders", edit, dir())).is_changed);
  flush();
  const Status durable = producer.wait(ticket, Ack::durable, 20s);
  EXPECT_TRUE(durable) << durable.fault().message();
  stop();
}

TEST_F(FileStationTest, AnEditedRingIsFlushedToItsEndAndFollowed) {
  const Station station = open_or_create("orders", options());
  flush();
  publish(station, 1, 100);
  StationOptions larger;
  larger.ring = 128_KiB;
  must(Station::edit("orders", larger, dir()));
  publish(station, 101, 2000);
  auto consumer = from(station, From::earliest);
  uint64_t count = 0;
  while (count < 2000) {
    const auto read = consumer.poll([&](const Message&) { ++count; });
    ASSERT_TRUE(read) << read.fault().message();
    if (*read == 0) must(consumer.wait(1s));
  }
  EXPECT_EQ(must(io::read_station_conf(data_, {"main", "orders"}))->ring.ring, 128_KiB);
  stop();
}

// Rings that were sealed, and nobody flushes: what is in them is nowhere else.
TEST_F(FileStationTest, BeginsInTheOldestRingThatIsNotOnDisk) {
  const Station station = open_or_create("orders", options());
  auto producer = must(station.producer());
  uint64_t next = 1;
  const auto publish_some = [&] {
    for (int count = 0; count < 10; ++count) must(producer.publish_async(body(next++)));
  };
  for (const uint64_t ring : {128_KiB, 64_KiB}) {
    publish_some();
    StationOptions other;
    other.ring = ring;
    must(Station::edit("orders", other, dir()));
  }
  publish_some();
  // A seal has a number too.
  std::vector<uint64_t> numbers;
  for (uint64_t sequence = 1; sequence <= 32; ++sequence) {
    if (sequence != 11 && sequence != 22) numbers.push_back(sequence);
  }
  const auto expect_from = [&](From where, size_t first) {
    auto consumer = from(station, where);
    std::vector<uint64_t> seen;
    while (seen.size() < numbers.size() - first) {
      const auto message = must(consumer.take(5s));
      ASSERT_TRUE(message) << "behind " << seen.size();
      EXPECT_EQ(consumer.gap().count, 0u);
      EXPECT_EQ(message->text(), body(first + seen.size() + 1));
      seen.push_back(message->sequence());
    }
    EXPECT_THAT(seen,
                ElementsAreArray(numbers.begin() + static_cast<ptrdiff_t>(first), numbers.end()));
  };
  expect_from(From::earliest, 0);
  expect_from(From::sequence(5), 4);
  expect_from(From::sequence(23), 20);
  expect_from(From::last(12), 19);
  expect_from(From::last(1000), 0);
  flush();
  expect_from(From::earliest, 0);
  expect_from(From::last(3), 27);
  stop();
}

TEST_F(FileStationTest, IsGoneFromDiskWhenItIsRemoved) {
  {
    const Station station = open_or_create("orders", options());
    flush();
    publish(station, 1, 10);
    stop();
  }
  must(Station::remove("orders", dir()));
  EXPECT_EQ(code_of(Station::open("orders", dir())), FaultCode::not_found);
  const Station again = open_or_create("orders", options());
  flush();
  publish(again, 1, 3);
  auto consumer = from(again, From::earliest);
  expect_messages(consumer, 1, 3);
  stop();
}

TEST_F(FileStationTest, WithoutIoUringThreadsWriteIt) {
  storage_ = "posix";
  const Station station = open_or_create("orders", options());
  flush();
  EXPECT_EQ(flusher_->storage_name(), "posix");
  publish(station, 1, 3000);
  auto consumer = from(station, From::earliest);
  expect_messages(consumer, 1, 3000);
  stop();
}

TEST_F(FileStationTest, OneFlusherAtATime) {
  const Station station = open_or_create("orders", options());
  flush();
  auto other = must(io::Flusher::start({}));
  auto directory = must(shm::Directory::open_or_create(instance().paths()));
  const auto sources = must(io::sources_of(directory, data_, {"main", "orders"}));
  EXPECT_EQ(code_of(other->add(sources.at(0))), FaultCode::already_exists);
  stop();
}

TEST_F(FileStationTest, RefusesAMessageLargerThanASegment) {
  StationOptions wrong = options();
  wrong.ring = 8_MiB;
  wrong.max_message = 512_KiB;
  const Fault fault = fault_of(try_create("orders", wrong));
  EXPECT_EQ(fault.code(), FaultCode::invalid_argument);
  EXPECT_TRUE(contains(fault, "segment")) << fault.message();
}

}  // namespace
}  // namespace loopline
