// Ledger and Recorder: what is published again is not appended again, and who is fenced.
#include "shm/ledger.h"

#include <unistd.h>

#include <filesystem>
#include <thread>

#include "named_station.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"
#include "shm/recorder.h"

namespace loopline::shm {
namespace {

using test::fault_of;

RingHeader header_with(uint32_t entries) {
  RingHeader header{};
  header.lineage[0] = 7;
  header.dedup_entries = entries;
  return header;
}

Flight with_id(std::string_view id, uint64_t time_ns, RecordedPlace place) {
  return {{std::nullopt, key_of(id)}, 1, 64, place, time_ns};
}
Flight of_producer(ProducerStamp stamp, RecordedPlace place) {
  return {{stamp, std::nullopt}, 1, 64, place, 1};
}

class LedgerTables : public testing::Test {
 protected:
  void put(std::string_view id, uint64_t time_ns, RecordedPlace place = {1, 64}) {
    must(ledger->enter(with_id(id, time_ns, place)));
  }
  std::optional<RecordedPlace> find(std::string_view id, uint64_t since_ns = 0) {
    return ledger->find_id(key_of(id), since_ns);
  }
  std::shared_ptr<Ledger> ledger = must(Ledger::create_anonymous(header_with(1024)));
};

TEST_F(LedgerTables, KnowAnIdUntilItIsOlderThanTheWindow) {
  put("a", 100, {5, 640});
  EXPECT_EQ(find("a", 99), (RecordedPlace{5, 640}));
  EXPECT_EQ(find("a", 100), std::nullopt);
  EXPECT_EQ(find("b"), std::nullopt);
}

TEST_F(LedgerTables, FindTheNewestOfOneId) {
  put("a", 100, {5, 640});
  put("a", 200, {9, 960});
  EXPECT_EQ(find("a"), (RecordedPlace{9, 960}));
}

TEST_F(LedgerTables, ForgetTheOldestFirst) {
  for (uint64_t number = 1; number <= 1025; ++number) put("id" + std::to_string(number), number);
  EXPECT_EQ(find("id1"), std::nullopt);
  for (uint64_t number = 2; number <= 1025; ++number) {
    ASSERT_TRUE(find("id" + std::to_string(number))) << number;
  }
}

TEST_F(LedgerTables, SayWhoseRecordTheNextIdTakes) {
  for (uint64_t number = 1; number <= 1024; ++number) {
    EXPECT_EQ(ledger->next_is_from_ns(), 0u);
    put("id" + std::to_string(number), number);
  }
  EXPECT_EQ(ledger->next_is_from_ns(), 1u);
}

TEST_F(LedgerTables, TakeAClockThatGoesBackForOneThatStandsStill) {
  put("a", 100);
  put("b", 50);
  EXPECT_TRUE(find("b", 99));
}

TEST_F(LedgerTables, AreTheSameAfterAnEntryIsMadeTwice) {
  put("a", 100, {5, 640});
  put("a", 100, {5, 640});
  for (uint64_t number = 1; number <= 1023; ++number) put("id" + std::to_string(number), 101);
  EXPECT_TRUE(find("a"));  // one record of 1024
}

TEST_F(LedgerTables, CountEpochsAndKeepTheLastMessage) {
  const auto first = must(ledger->take_over(77, 1234, 1));
  EXPECT_EQ(first.epoch, 1u);
  EXPECT_EQ(first.last, 0u);
  must(ledger->enter(of_producer({77, 3, 1}, {8, 512})));
  const auto second = must(ledger->take_over(77, 1235, 1));
  EXPECT_EQ(second.epoch, 2u);
  EXPECT_EQ(second.last, 3u);
  EXPECT_EQ(second.place, (RecordedPlace{8, 512}));
}

TEST_F(LedgerTables, RefuseOneProducerTooManyInWords) {
  for (uint64_t id = 1; id <= ledger_producers; ++id) must(ledger->take_over(id, 1, 1));
  const auto refused = ledger->take_over(ledger_producers + 1, 1, 1);
  ASSERT_FALSE(refused);
  EXPECT_EQ(code_of(refused), FaultCode::too_many);
  EXPECT_EQ(must(ledger->take_over(5, 1, 1)).epoch, 2u);  // those it knows it takes
}

TEST_F(LedgerTables, KeepAFlightWhole) {
  EXPECT_FALSE(ledger->flight());
  const Flight flight{{ProducerStamp{1, 2, 3}, key_of("x")}, 4, 640, {5, 704}, 6};
  ledger->announce(flight);
  const auto found = ledger->flight();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->marks.id, flight.marks.id);
  EXPECT_EQ(found->marks.producer->sequence, 2u);
  EXPECT_EQ(found->marks.producer->epoch, 3u);
  EXPECT_EQ(found->position, 640u);
  EXPECT_EQ(found->place, flight.place);
  ledger->land();
  EXPECT_FALSE(ledger->flight());
}

TEST(LedgerFile, OfOtherRingsIsRefused) {
  const auto ledger = must(Ledger::create_anonymous(header_with(1024)));
  RingHeader other = header_with(1024);
  other.lineage[0] = 8;
  const auto refused = Ledger::attach_fd(ledger->fd(), other);
  EXPECT_EQ(code_of(refused), FaultCode::corrupted);
}

TEST(LedgerFile, CutShortIsRefused) {
  const auto ledger = must(Ledger::create_anonymous(header_with(1024)));
  ASSERT_EQ(::ftruncate(ledger->fd(), 8192), 0);
  EXPECT_EQ(code_of(Ledger::attach_fd(ledger->fd(), header_with(1024))), FaultCode::corrupted);
}

// ---- publishing --------------------------------------------------------------

class RecordedRing : public testing::Test {
 protected:
  Recorder recorder() { return must(Recorder::open(ledger)); }
  Result<Recorded> publish(Recorder& by, std::string_view id, std::string_view text,
                           uint64_t deadline_ns = 0) {
    RecordedMessage message;
    message.fields.id = id;
    message.payload = std::as_bytes(std::span(text));
    return by.publish(producer, message, deadline_ns);
  }
  Result<Recorded> publish_as(Recorder& by, uint64_t number, std::string_view text) {
    RecordedMessage message;
    message.fields.producer = ProducerStamp{0, number, 0};
    message.payload = std::as_bytes(std::span(text));
    return by.publish(producer, message, 0);
  }
  uint64_t count() {
    Reader reader(station.ring(), station.ring().window_start());
    FrameView view;
    uint64_t messages = 0;
    while (reader.next(view) == ReadOutcome::frame) ++messages;
    return messages;
  }
  TestStation station{tiny_ring(1 << 16)};
  Producer producer = station.producer();
  std::shared_ptr<Ledger> ledger = must(Ledger::create_anonymous(station.attached()->header()));
};

TEST_F(RecordedRing, AppendsAnIdOnce) {
  Recorder one = recorder();
  const auto first = must(publish(one, "a", "text"));
  EXPECT_FALSE(first.is_duplicate);
  Recorder other = recorder();
  const auto again = must(publish(other, "a", "text"));
  EXPECT_TRUE(again.is_duplicate);
  EXPECT_EQ(again.place, first.place);
  EXPECT_EQ(count(), 1u);
}

TEST_F(RecordedRing, CarriesStampAndIdInTheMessage) {
  Recorder one = recorder();
  must(one.take_over(*station.attached(), 9, 0));
  RecordedMessage message;
  message.fields.id = "x";
  message.fields.producer = ProducerStamp{0, 4, 0};
  must(one.publish(producer, message, 0));
  Reader reader(station.ring(), station.ring().window_start());
  FrameView view;
  ASSERT_EQ(reader.next(view), ReadOutcome::frame);
  ASSERT_TRUE(view.flags & flag_extension);
  const auto extension = ExtensionView::parse({view.body, view.body_size});
  ASSERT_TRUE(extension);
  EXPECT_EQ(extension->id(), "x");
  EXPECT_EQ(extension->producer()->id, 9u);
  EXPECT_EQ(extension->producer()->sequence, 4u);
  EXPECT_EQ(extension->producer()->epoch, 1u);
}

TEST_F(RecordedRing, AppendsAProducersNumberOnce) {
  Recorder one = recorder();
  must(one.take_over(*station.attached(), 9, 0));
  EXPECT_FALSE(must(publish_as(one, 1, "x")).is_duplicate);
  EXPECT_FALSE(must(publish_as(one, 2, "x")).is_duplicate);
  EXPECT_TRUE(must(publish_as(one, 2, "x")).is_duplicate);
  EXPECT_TRUE(must(publish_as(one, 1, "x")).is_duplicate);
  EXPECT_FALSE(must(publish_as(one, 3, "x")).is_duplicate);
  EXPECT_EQ(count(), 3u);
}

TEST_F(RecordedRing, FencesWhoHadTheIdentityBefore) {
  Recorder one = recorder(), other = recorder();
  must(one.take_over(*station.attached(), 9, 0));
  must(publish_as(one, 1, "x"));
  EXPECT_EQ(must(other.take_over(*station.attached(), 9, 0)).last, 1u);
  const auto refused = publish_as(one, 2, "x");
  EXPECT_EQ(code_of(refused), FaultCode::fenced);
  EXPECT_TRUE(contains(refused.fault(), "was opened again by process"));
  EXPECT_FALSE(must(publish_as(other, 2, "x")).is_duplicate);
  EXPECT_EQ(count(), 2u);
}

TEST_F(RecordedRing, SaysThatItIsFullAndTakesTheMessageWhenThereIsRoom) {
  Consumer consumer = station.lossless();
  fill(producer);
  Recorder one = recorder();
  EXPECT_EQ(code_of(publish(one, "a", "text")), FaultCode::full);
  EXPECT_EQ(code_of(publish(one, "a", "text", monotonic_ns() + 1)), FaultCode::timed_out);
  read(consumer);
  EXPECT_FALSE(must(publish(one, "a", "text")).is_duplicate);
}

TEST_F(RecordedRing, FollowsASealedRing) {
  NamedStation named;
  Producer there = must(Producer::open(named.attach()));
  Recorder one = must(Recorder::open(named.attach(), 0));
  RecordedMessage message;
  message.fields.id = "a";
  const auto first = must(one.publish(there, message, 0));
  named.seal();
  EXPECT_TRUE(must(one.publish(there, message, 0)).is_duplicate);
  message.fields.id = "b";
  EXPECT_FALSE(must(one.publish(there, message, 0)).is_duplicate);
  EXPECT_EQ(there.attached()->header().generation, 2u);
  Recorder other = must(Recorder::open(there.attached(), 0));  // one ledger for both rings
  message.fields.id = "a";
  EXPECT_EQ(must(other.publish(there, message, 0)).place, first.place);
}

// Whoever asks whether the ring may go does not wait for one who lives, and perhaps lies.
TEST_F(RecordedRing, StaysWhileAMessageInFlightIsHeldOpen) {
  NamedStation named;
  Producer there = must(Producer::open(named.attach()));
  Recorder one = must(Recorder::open(named.attach(), 0));
  const auto ring = named.attach();
  OpenFrame frame;
  must(there.claim(20, 0, frame));
  const uint64_t position = frame.claim.position;
  {
    const LockGuard guard(one.ledger()->mutex(), one.ledger()->lock(0));
    const RecordedPlace place{frame.claim.sequence, position + frame.claim.bytes};
    one.ledger()->announce({{std::nullopt, key_of("a")}, 1, position, place, utc_ns()});
  }
  ring->ring().control->recorded.store(position, std::memory_order_release);
  EXPECT_FALSE(is_settled(*ring));
  must(there.commit(frame, 0));
  EXPECT_TRUE(is_settled(*ring));
  RecordedMessage message;
  message.fields.id = "a";
  EXPECT_TRUE(must(one.publish(there, message, 0)).is_duplicate);
}

TEST_F(RecordedRing, SaysThatATableFullOfYoungIdsTakesNoMore) {
  RingOptions options = tiny_ring(1 << 20);
  options.dedup_entries = dedup_entries_min;
  TestStation roomy(options);
  Producer there = roomy.producer();
  Recorder one = must(Recorder::open(must(Ledger::create_anonymous(roomy.attached()->header()))));
  RecordedMessage message;
  std::string id;
  for (uint32_t number = 0; number < dedup_entries_min; ++number) {
    id = std::to_string(number);
    message.fields.id = id;
    must(one.publish(there, message, 0));
  }
  message.fields.id = "one more";
  const auto refused = one.publish(there, message, 0);
  EXPECT_EQ(code_of(refused), FaultCode::full);
  EXPECT_TRUE(contains(refused.fault(), "1024 ids were published within dedup-window"));
  message.fields.id = "0";
  EXPECT_TRUE(must(one.publish(there, message, 0)).is_duplicate);
}

TEST_F(RecordedRing, OfAWindowOfNothingLooksAtNoId) {
  RingOptions options = tiny_ring();
  options.dedup_window_ns = 0;
  TestStation off(options);
  Producer there = off.producer();
  Recorder one = must(Recorder::open(must(Ledger::create_anonymous(off.attached()->header()))));
  RecordedMessage message;
  message.fields.id = "a";
  EXPECT_FALSE(must(one.publish(there, message, 0)).is_duplicate);
  EXPECT_FALSE(must(one.publish(there, message, 0)).is_duplicate);
}

TEST_F(RecordedRing, NamesWhoHoldsTheLedger) {
  const LockGuard guard(ledger->mutex(), ledger->lock(0));
  Fault said{FaultCode::io_error, ""};
  std::thread other([&] {
    Recorder one = must(Recorder::open(ledger));
    said = fault_of(one.take_over(*station.attached(), 9, 0));
  });
  other.join();
  EXPECT_TRUE(contains(said, "is held by thread " + std::to_string(::gettid())));
}

TEST_F(RecordedRing, TwoThreadsWithTheSameIdsAppendEachOnce) {
  constexpr int ids = 500;
  uint64_t appended[2] = {};
  const auto work = [&](uint64_t& mine) {
    Producer own = must(Producer::open(station.attached()));
    Recorder one = must(Recorder::open(ledger));
    for (int number = 0; number < ids; ++number) {
      const std::string id = std::to_string(number);
      RecordedMessage message;
      message.fields.id = id;
      if (!must(one.publish(own, message, wait_for_ever)).is_duplicate) ++mine;
    }
  };
  std::thread other([&] { work(appended[0]); });
  work(appended[1]);
  other.join();
  EXPECT_EQ(appended[0] + appended[1], static_cast<uint64_t>(ids));
}

TEST(LedgerFile, GoesWithItsStation) {
  NamedStation named;
  must(Recorder::open(named.attach(), 0));
  const std::string path = Ledger::path_of(named.directory().paths().shm, named.attach()->header());
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(is_ledger_file(path));
  EXPECT_TRUE(named.directory().list_strangers().empty());
  must(named.directory().remove_station(named.name()));
  EXPECT_FALSE(std::filesystem::exists(path));
}

}  // namespace
}  // namespace loopline::shm
