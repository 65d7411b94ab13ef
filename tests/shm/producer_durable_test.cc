// Producers and consumers of a file station: who waits for the disk is told how it is.
#include <gtest/gtest.h>

#include <thread>

#include "named_station.h"
#include "ring_fixture.h"
#include "shm/base/clock.h"
#include "shm/flush_cursor.h"

namespace loopline::shm {
namespace {

class FileStation : public TestStation {
 public:
  FileStation() : TestStation(file_ring()) {}
  FlushCursor cursor() const { return must(FlushCursor::open(attached())); }
};

// Everything that is there.
void flush_all(FlushCursor& cursor) {
  FlushRun run;
  do {
    run = must(cursor.next(1u << 20));
    cursor.set_durable(run.end());
  } while (run.bytes != 0 && !run.sealed);
}

// Publishes, and returns where the message ends.
uint64_t put(Producer& producer, std::string_view text) {
  OpenFrame frame = open(producer, text);
  must(producer.commit(frame, 0));
  return frame.claim.position + frame.claim.bytes;
}

Fault refusal_of(Producer& producer, uint64_t deadline_ns) {
  OpenFrame frame;
  const Status claimed = producer.claim(32, deadline_ns, frame);
  return claimed ? Fault(FaultCode::invalid_argument, "it was claimed") : claimed.fault();
}

// ---- room ------------------------------------------------------------------

TEST(FullFileStation, SaysThatNobodyFlushesItAndTheRemedy) {
  FileStation station;
  Producer producer = station.producer();
  fill(producer);
  const Fault full = refusal_of(producer, 0);
  EXPECT_EQ(full.code(), FaultCode::full);
  EXPECT_EQ(full.message(),
            "station \"main/test\" is full: nobody flushes it to disk; start the broker: "
            "loopline up");
}

TEST(FullFileStation, SaysThatTheDiskIsBehind) {
  FileStation station;
  Producer producer = station.producer();
  const FlushCursor cursor = station.cursor();
  fill(producer);
  EXPECT_TRUE(contains(refusal_of(producer, 0), "is full: the disk is behind"));
}

TEST(FullFileStation, WaitsForAFullDiskAndNamesIt) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    FileStation station;
    Producer producer = station.producer();
    producer.wait_kind = kind;
    FlushCursor cursor = station.cursor();
    fill(producer);
    cursor.set_state(LogState::disk_full, ENOSPC);
    const Fault late = refusal_of(producer, monotonic_ns() + 2'000'000);
    EXPECT_EQ(late.code(), FaultCode::timed_out);
    EXPECT_TRUE(contains(late, "is full: the disk of its log is full"));
  }
}

TEST(FullFileStation, AnswersAtOnceWhenItsDiskFailed) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    FileStation station;
    Producer producer = station.producer();
    producer.wait_kind = kind;
    FlushCursor cursor = station.cursor();
    fill(producer);
    cursor.set_state(LogState::failed, EIO);
    const Fault failed = refusal_of(producer, wait_for_ever);
    EXPECT_EQ(failed.code(), FaultCode::io_error);
    EXPECT_TRUE(contains(failed, "takes no more messages: the disk of its log failed (Input/"));
  }
}

TEST(FullFileStation, TellsWhoWaitsAlreadyThatItsDiskFailed) {
  FileStation station;
  Producer producer = station.producer();
  producer.wait_kind = WaitKind::park;
  FlushCursor cursor = station.cursor();
  fill(producer);
  std::thread writer(
      [&] { EXPECT_EQ(refusal_of(producer, wait_for_ever).code(), FaultCode::io_error); });
  while (station.control().space_bell.parked.load(std::memory_order_acquire) == 0) {
    std::this_thread::yield();
  }
  cursor.set_state(LogState::failed, EIO);
  writer.join();
}

TEST(FullFileStation, BehindARingThatIsNotOnDiskSaysWhyToo) {
  RingOptions options = NamedStation::named_ring();
  options.storage = Storage::file;
  options.log_uuid = {1, 2};
  const NamedStation station(options);
  Producer producer = station.producer();
  write(producer, "one");
  station.seal();
  fill(producer);
  EXPECT_TRUE(contains(refusal_of(producer, 0), "nobody flushes it to disk"));
  auto cursor = must(FlushCursor::open(station.attach_generation(1)));
  EXPECT_TRUE(contains(refusal_of(producer, 0), "the disk is behind"));
  cursor.set_state(LogState::failed, EIO);
  EXPECT_EQ(refusal_of(producer, wait_for_ever).code(), FaultCode::io_error);
}

// ---- durable ---------------------------------------------------------------

TEST(WaitDurable, IsTrueWhenTheDiskHasTheMessage) {
  FileStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  const uint64_t first = put(producer, "first");
  EXPECT_FALSE(must(producer.wait_durable(first, 0)));
  flush_all(cursor);
  const uint64_t second = put(producer, "second");
  EXPECT_TRUE(must(producer.wait_durable(first, 0)));
  EXPECT_FALSE(must(producer.wait_durable(second, 0)));
}

TEST(WaitDurable, WaitsForTheDisk) {
  for (const WaitKind kind : {WaitKind::spin, WaitKind::adaptive, WaitKind::park}) {
    FileStation station;
    Producer producer = station.producer();
    producer.wait_kind = kind;
    FlushCursor cursor = station.cursor();
    for (int count = 0; count < 20; ++count) {
      const uint64_t end = put(producer, "x");
      std::thread waiter([&] { EXPECT_TRUE(must(producer.wait_durable(end, wait_for_ever))); });
      while (kind == WaitKind::park &&
             station.control().durable_bell.parked.load(std::memory_order_acquire) == 0) {
        std::this_thread::yield();
      }
      flush_all(cursor);
      waiter.join();
    }
  }
}

TEST(WaitDurable, SaysWhyItTookTooLong) {
  FileStation station;
  Producer producer = station.producer();
  const uint64_t end = put(producer, "x");
  const auto late = [&] {
    const auto waited = producer.wait_durable(end, monotonic_ns() + 1'000'000);
    return waited ? Fault(FaultCode::invalid_argument, "durable") : waited.fault();
  };
  EXPECT_EQ(late().code(), FaultCode::timed_out);
  EXPECT_TRUE(contains(late(), "in the ring and not durable yet: nobody flushes it to disk"));
  const FlushCursor cursor = station.cursor();
  EXPECT_TRUE(contains(late(), "not durable yet: the disk is behind"));
}

TEST(WaitDurable, AnswersAtOnceWhenTheDiskIsFullOrFailed) {
  FileStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  const uint64_t end = put(producer, "x");
  cursor.set_state(LogState::disk_full, ENOSPC);
  const auto full = producer.wait_durable(end, wait_for_ever);
  ASSERT_EQ(code_of(full), FaultCode::no_space);
  EXPECT_TRUE(contains(full.fault(), "not yet on disk, and may still become durable"));
  cursor.set_state(LogState::failed, EIO);
  const auto failed = producer.wait_durable(end, wait_for_ever);
  ASSERT_EQ(code_of(failed), FaultCode::io_error);
  EXPECT_TRUE(contains(failed.fault(), "visible to consumers but not durable"));
  EXPECT_FALSE(must(producer.wait_durable(end, 0))) << "a look is only a look";
}

TEST(WaitDurable, TellsWhoSleepsThatTheDiskFailed) {
  FileStation station;
  Producer producer = station.producer();
  producer.wait_kind = WaitKind::park;
  FlushCursor cursor = station.cursor();
  const uint64_t end = put(producer, "x");
  std::thread waiter(
      [&] { EXPECT_EQ(code_of(producer.wait_durable(end, wait_for_ever)), FaultCode::io_error); });
  while (station.control().durable_bell.parked.load(std::memory_order_acquire) == 0) {
    std::this_thread::yield();
  }
  cursor.set_state(LogState::failed, EIO);
  waiter.join();
}

TEST(WaitDurable, IsForFileStations) {
  TestStation station;
  Producer producer = station.producer();
  EXPECT_EQ(code_of(producer.wait_durable(put(producer, "x"), 0)), FaultCode::unsupported);
}

TEST(WaitDurable, KnowsInWhichRingAMessageWas) {
  RingOptions options = NamedStation::named_ring();
  options.storage = Storage::file;
  options.log_uuid = {1, 2};
  const NamedStation station(options);
  Producer producer = station.producer();
  const uint64_t first = put(producer, "first");
  station.seal();
  const uint64_t second = put(producer, "second");
  EXPECT_FALSE(must(producer.wait_durable(first, 0)));
  EXPECT_FALSE(must(producer.wait_durable(second, 0)));
  auto cursor = must(FlushCursor::open(station.attach_generation(1)));
  flush_all(cursor);
  EXPECT_TRUE(must(producer.wait_durable(first, 0)));
  EXPECT_FALSE(must(producer.wait_durable(second, 0)));
  cursor = must(FlushCursor::open(must(cursor.finish())));
  EXPECT_TRUE(must(producer.wait_durable(first, 0)));
  flush_all(cursor);
  EXPECT_TRUE(must(producer.wait_durable(second, 0)));
  station.seal();
  const uint64_t third = put(producer, "third");
  EXPECT_TRUE(must(producer.wait_durable(first, 0))) << "long gone, and on disk";
  EXPECT_FALSE(must(producer.wait_durable(third, 0)));
}

TEST(WaitDurable, IsToldOfAStationThatWasRemovedBefore) {
  FileStation station;
  Producer producer = station.producer();
  const uint64_t end = put(producer, "x");
  must(station.attached()->seal_for_good());
  EXPECT_EQ(code_of(producer.wait_durable(end, wait_for_ever)), FaultCode::closed);
}

// ---- consumers -------------------------------------------------------------

TEST(FileConsumer, IsToldWhereAGapBegins) {
  FileStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  Consumer consumer = station.lossless();
  write(producer, "read");
  EXPECT_EQ(read(consumer), texts("read"));
  for (int count = 0; count < 200; ++count) {
    write(producer, "x");
    flush_all(cursor);
  }
  FrameView views[4];
  ASSERT_EQ(must(consumer.read(views)), 4u);
  const Gap gap = consumer.take_gap();
  EXPECT_EQ(gap.first, 2u);
  EXPECT_EQ(gap.position, tiny_capacity + unit_size);
  EXPECT_EQ(gap.first + gap.count, views[0].sequence);
}

TEST(FileConsumer, GoesOnWhereItCaughtUp) {
  FileStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  Consumer consumer = station.lossless();
  for (int count = 0; count < 40; ++count) write(producer, std::to_string(count));
  const Pair at{tiny_capacity + 30 * unit_size, 31};
  EXPECT_TRUE(must(consumer.resume_at(at)));
  EXPECT_EQ(consumer.at(), at);
  EXPECT_EQ(read(consumer).front(), "30");
  EXPECT_EQ(consumer.take_gap().count, 0u);
  for (int count = 0; count < 200; ++count) {
    write(producer, "x");
    flush_all(cursor);
  }
  EXPECT_FALSE(must(consumer.resume_at(at))) << "the window has passed it";
  const Pair end = station.control().hint.pair.load(std::memory_order_acquire);
  EXPECT_TRUE(must(consumer.resume_at(end)));
  write(producer, "newest");
  EXPECT_EQ(read(consumer), texts("newest"));
  EXPECT_EQ(consumer.take_gap().count, 0u) << "what was read elsewhere is not missed";
}

TEST(FileConsumer, GoesOnInALaterRing) {
  RingOptions options = NamedStation::named_ring();
  options.storage = Storage::file;
  options.log_uuid = {1, 2};
  const NamedStation station(options);
  Producer producer = station.producer();
  Consumer consumer = station.lossy();
  for (int generation = 1; generation < 4; ++generation) {
    write(producer, "x");
    station.seal();
  }
  write(producer, "a");
  const Pair second{producer.attached()->ring().control->hint.pair.load(std::memory_order_acquire)};
  write(producer, "b");
  EXPECT_TRUE(must(consumer.resume_at(second)));
  EXPECT_EQ(consumer.attached()->header().generation, 4u);
  EXPECT_EQ(read(consumer), texts("b"));
  EXPECT_EQ(consumer.take_gap().count, 0u);
  EXPECT_FALSE(must(consumer.resume_at({options.capacity, 1}))) << "an earlier ring's";
}

TEST(FileConsumer, ThatIsLosslessHasNoOtherPlace) {
  const TestStation station;
  Consumer consumer = station.lossless();
  EXPECT_EQ(code_of(consumer.resume_at({tiny_capacity, 1})), FaultCode::unsupported);
}

}  // namespace
}  // namespace loopline::shm
