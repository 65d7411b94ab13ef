// FlushCursor: what goes to disk is every frame once, in order, and nothing else holds it or goes.
#include "shm/flush_cursor.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "child.h"
#include "named_station.h"
#include "ring_fixture.h"
#include "shm/inspect.h"

namespace loopline::shm {
namespace {

constexpr uint64_t much = 1u << 20;

class FlushedStation : public TestStation {
 public:
  explicit FlushedStation(const RingOptions& options = file_ring()) : TestStation(options) {}
  FlushCursor cursor() const { return must(FlushCursor::open(attached())); }
  Pair durable() const { return control().durable.pair.load(std::memory_order_acquire); }
};

// The messages of a run, as one who reads the bytes on disk would find them.
std::vector<std::string> messages_of(const FlushCursor& cursor, const FlushRun& run) {
  std::vector<std::string> messages;
  uint64_t at = run.at.first;
  for (uint32_t index = 0; index < run.count; ++index) {
    const auto& frame = *reinterpret_cast<const FrameHeader*>(cursor.data(at));
    const uint64_t meta = frame.meta.load(std::memory_order_relaxed);
    const uint64_t word = frame.word.load(std::memory_order_relaxed);
    EXPECT_TRUE(carries_tag(word, at));
    EXPECT_EQ(frame.sequence.load(std::memory_order_relaxed), run.at.second + index);
    const auto* body = reinterpret_cast<const char*>(cursor.data(at)) + frame_header_size;
    if ((word & word_filler) == 0 && meta_type(meta) == FrameType::message) {
      messages.emplace_back(body, meta_body(meta));
    }
    at += frame_size(meta_body(meta));
  }
  EXPECT_EQ(at, run.end().first);
  return messages;
}

// Everything that is there, made durable.
std::vector<std::string> flush(FlushCursor& cursor, uint64_t bytes_max = much) {
  std::vector<std::string> messages;
  for (;;) {
    const FlushRun run = must(cursor.next(bytes_max));
    for (auto& message : messages_of(cursor, run)) messages.push_back(std::move(message));
    cursor.set_durable(run.end());
    if (run.bytes == 0 || run.sealed) return messages;
  }
}

// ---- runs ------------------------------------------------------------------

TEST(FlushCursor, HandsOutEveryFrameAsItStandsInTheRing) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  EXPECT_EQ(must(cursor.next(much)).bytes, 0u);
  write(producer, "one");
  OpenFrame aborted = open(producer, std::string(40, '.'));
  must(producer.abort(aborted));
  write(producer, "two");
  const FlushRun run = must(cursor.next(much));
  EXPECT_EQ(run.at, (Pair{tiny_capacity, 1}));
  EXPECT_EQ(run.bytes, 4 * unit_size);
  EXPECT_EQ(run.count, 3u) << "the filler too";
  EXPECT_FALSE(run.sealed);
  EXPECT_EQ(messages_of(cursor, run), texts("one", "two"));
  EXPECT_EQ(must(cursor.next(much)).bytes, 0u);
  EXPECT_EQ(cursor.at(), run.end());
}

TEST(FlushCursor, StopsInFrontOfAnOpenFrame) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  OpenFrame open_frame = open(producer, "late");
  write(producer, "early");
  EXPECT_EQ(must(cursor.next(much)).bytes, 0u);
  EXPECT_FALSE(cursor.ready());
  must(producer.commit(open_frame, 0));
  EXPECT_TRUE(cursor.ready());
  EXPECT_EQ(messages_of(cursor, must(cursor.next(much))), texts("late", "early"));
}

TEST(FlushCursor, EndsARunBeforeTheFrameThatDoesNotFit) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  for (const char* text : {"a", "b", "c"}) write(producer, text);
  EXPECT_EQ(messages_of(cursor, must(cursor.next(2 * unit_size))), texts("a", "b"));
  EXPECT_EQ(messages_of(cursor, must(cursor.next(1))), texts("c")) << "one at least";
}

TEST(FlushCursor, TellsTheTimesOfARun) {
  RingOptions options = file_ring();
  options.timestamp = TimestampKind::precise;
  FlushedStation station(options);
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  OpenFrame frames[3] = {open(producer, "a"), open(producer, "b"), open(producer, "c")};
  const uint64_t times[3] = {20, 10, 30};
  for (int index = 0; index < 3; ++index) {
    frames[index].timestamp = times[index];
    must(producer.commit(frames[index], 0));
  }
  const FlushRun run = must(cursor.next(much));
  EXPECT_EQ(run.timestamp_min, 10u);
  EXPECT_EQ(run.timestamp_max, 30u);
}

TEST(FlushCursor, GoesRoundManyTimesAndMissesNothing) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  std::vector<std::string> written, flushed;
  for (int count = 0; count < 1000; ++count) {
    const std::string text(static_cast<size_t>(count * 37 % 480), 'x');
    OpenFrame frame;
    if (!producer.claim(text.size(), 0, frame)) {
      for (auto& message : flush(cursor, 700)) flushed.push_back(std::move(message));
      must(producer.claim(text.size(), 0, frame));
    }
    std::memcpy(frame.body, text.data(), text.size());
    must(producer.commit(frame, 0));
    written.push_back(text);
  }
  for (auto& message : flush(cursor)) flushed.push_back(std::move(message));
  EXPECT_EQ(flushed, written);
}

TEST(FlushCursor, TakesNoForgedFrameForAMessage) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  uint64_t written = 0, flushed = 0;
  for (int count = 0; count < 200; ++count) {
    const Pair at = station.control().hint.pair.load(std::memory_order_acquire);
    write(producer, forged_body(station.ring(), at.first, static_cast<size_t>(count % 400)));
    ++written;
    flushed += flush(cursor).size();
  }
  EXPECT_EQ(flushed, written);
}

// ---- who holds whom --------------------------------------------------------

TEST(FlushCursor, HoldsProducersUntilTheDiskHasIt) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  fill(producer);
  const FlushRun run = must(cursor.next(much));
  EXPECT_EQ(refusal(producer, 32), FaultCode::full) << "read is not durable";
  cursor.set_durable(run.end());
  EXPECT_EQ(station.durable(), run.end());
  write(producer, "goes on");
}

TEST(FlushCursor, WakesAProducerThatWaitsForRoom) {
  FlushedStation station;
  Producer producer = station.producer();
  producer.wait_kind = WaitKind::park;
  FlushCursor cursor = station.cursor();
  fill(producer);
  std::thread writer([&] {
    OpenFrame frame = open(producer, "at last", wait_for_ever);
    must(producer.commit(frame, 0));
  });
  while (station.control().space_bell.parked.load(std::memory_order_acquire) == 0) {
    std::this_thread::yield();
  }
  auto flushed = flush(cursor);  // perhaps with the last one already
  writer.join();
  for (const auto& message : flush(cursor)) flushed.push_back(message);
  EXPECT_EQ(flushed.back(), "at last");
}

TEST(FlushCursor, IsHeldByNoReader) {
  FlushedStation station;
  Producer producer = station.producer();
  Consumer slow = station.lossless();
  EXPECT_TRUE(slow.lossy()) << "consumers of a file station copy";
  FlushCursor cursor = station.cursor();
  for (int count = 0; count < 300; ++count) {
    write(producer, "x");
    flush(cursor);
  }
}

TEST(FlushCursor, IsToldOfInTheLogLine) {
  FlushedStation station;
  Producer producer = station.producer();
  const LogLine& log = station.control().log;
  EXPECT_EQ(station.attached()->log_facts().state, LogState::idle);
  {
    FlushCursor cursor = station.cursor();
    EXPECT_EQ(station.attached()->log_facts().state, LogState::flushing);
    write(producer, "one");
    flush(cursor);
    EXPECT_GE(log.commits.load(std::memory_order_relaxed), 1u);
    EXPECT_EQ(log.bytes.load(std::memory_order_relaxed), unit_size);
    cursor.set_state(LogState::disk_full, ENOSPC);
    EXPECT_EQ(station.attached()->log_facts().state, LogState::disk_full);
    EXPECT_EQ(station.attached()->log_facts().error, ENOSPC);
  }
  EXPECT_EQ(station.attached()->log_facts().state, LogState::idle);
  EXPECT_EQ(log.flusher.load(std::memory_order_relaxed), nobody);
}

TEST(FlushCursor, OfADeadThreadFlushesNoMore) {
  FlushedStation station;
  std::unique_ptr<FlushCursor> cursor;
  std::thread([&] { cursor = std::make_unique<FlushCursor>(station.cursor()); }).join();
  EXPECT_EQ(station.attached()->log_facts().state, LogState::idle);
}

TEST(FlushCursor, ThatFailedIsToldOfUntilTheNextOpens) {
  FlushedStation station;
  {
    FlushCursor cursor = station.cursor();
    cursor.set_state(LogState::failed, EIO);
  }
  EXPECT_EQ(station.attached()->log_facts().state, LogState::failed);
  EXPECT_EQ(station.attached()->log_facts().error, EIO);
  const FlushCursor next = station.cursor();
  EXPECT_EQ(station.attached()->log_facts().state, LogState::flushing);
  EXPECT_EQ(station.attached()->log_facts().error, 0);
}

// ---- taking over -----------------------------------------------------------

TEST(FlushCursor, GoesOnWhereTheDiskIsAndNotWhereTheDeadReadTo) {
  FlushedStation station;
  Producer producer = station.producer();
  Child child = Child::run([&](Child::Parent& parent) {
    Producer theirs = station.producer();
    FlushCursor cursor = station.cursor();
    write(theirs, "on disk");
    flush(cursor);
    write(theirs, "in flight");
    must(cursor.next(much));
    parent.say();
    parent.wait_to_be_killed();
  });
  child.listen();
  child.kill();
  EXPECT_EQ(station.attached()->log_facts().state, LogState::idle);
  write(producer, "later");
  FlushCursor cursor = station.cursor();
  EXPECT_EQ(cursor.at(), (Pair{tiny_capacity + unit_size, 2}));
  EXPECT_EQ(flush(cursor), texts("in flight", "later"));
}

TEST(FlushCursor, SkipsWhatTheDiskHasAlready) {
  FlushedStation station;
  Producer producer = station.producer();
  for (const char* text : {"a", "b", "c"}) write(producer, text);
  FlushCursor cursor = station.cursor();
  must(cursor.skip_to({tiny_capacity + 2 * unit_size, 3}));
  EXPECT_EQ(flush(cursor), texts("c"));
  EXPECT_EQ(code_of(cursor.skip_to({tiny_capacity + 9 * unit_size, 10})), FaultCode::corrupted);
}

TEST(FlushCursor, SkipsToNoPlaceInsideAFrame) {
  FlushedStation station;
  Producer producer = station.producer();
  write(producer, std::string(100, 'x'));
  FlushCursor cursor = station.cursor();
  EXPECT_EQ(code_of(cursor.skip_to({tiny_capacity + unit_size, 2})), FaultCode::corrupted);
}

TEST(FlushCursor, FinishesTheFrameOfADeadProducerInItsWay) {
  FlushedStation station;
  Producer producer = station.producer();
  std::optional<Producer> dead;  // closed behind the test only
  std::thread([&] {
    dead.emplace(station.producer());
    open(*dead, "never");
  }).join();
  write(producer, "behind");
  FlushCursor cursor = station.cursor();
  EXPECT_EQ(flush(cursor), texts());
  must(cursor.clean_up_ahead());
  EXPECT_EQ(flush(cursor), texts("behind"));
}

// ---- the end of a ring -----------------------------------------------------

RingOptions named_file_ring() {
  RingOptions options = NamedStation::named_ring();
  options.storage = Storage::file;
  options.log_uuid = {1, 2};
  return options;
}

TEST(FlushCursor, GoesOnInTheSuccessorWhereTheRingEnded) {
  const NamedStation station(named_file_ring());
  Producer producer = station.producer();
  auto cursor = must(FlushCursor::open(station.attach(Access::consume)));
  write(producer, "one");
  station.seal();
  write(producer, "two");
  EXPECT_EQ(producer.attached()->header().generation, 2u);
  EXPECT_EQ(producer.attached()->header().storage, Storage::file);
  EXPECT_EQ(code_of(cursor.finish()), FaultCode::invalid_argument) << "nothing is durable yet";
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{1, 2}));

  const FlushRun run = must(cursor.next(much));
  EXPECT_TRUE(run.sealed);
  EXPECT_EQ(run.count, 2u);
  EXPECT_EQ(messages_of(cursor, run), texts("one"));
  EXPECT_TRUE(must(cursor.next(much)).sealed) << "and nothing behind it";
  cursor.set_durable(run.end());
  const auto next = must(cursor.finish());
  EXPECT_EQ(next->header().generation, 2u);
  EXPECT_EQ(station.generations(), std::vector<uint32_t>{2}) << "the ring is given back";
  EXPECT_EQ(gating_count(next->ring()), 1u) << "its gate is lifted, its log gates";

  cursor = must(FlushCursor::open(next));
  EXPECT_EQ(cursor.at(), run.end());
  EXPECT_EQ(flush(cursor), texts("two"));
}

TEST(FlushCursor, HoldsTheSuccessorWhileTheRingIsNotOnDisk) {
  const NamedStation station(named_file_ring());
  Producer producer = station.producer();
  auto cursor = must(FlushCursor::open(station.attach(Access::consume)));
  write(producer, "one");
  station.seal();
  fill(producer);
  OpenFrame frame;
  EXPECT_EQ(code_of(producer.claim(32, 0, frame)), FaultCode::full);
  cursor.set_durable(must(cursor.next(much)).end());
  cursor = must(FlushCursor::open(must(cursor.finish())));
  EXPECT_EQ(code_of(producer.claim(32, 0, frame)), FaultCode::full) << "now it is its own log";
  cursor.set_durable(must(cursor.next(much)).end());
  write(producer, "goes on");
}

// It died before it said that the ring needs it no more, or just behind that.
TEST(FlushCursor, TakesOverBetweenTheLastCommitAndTheSuccessor) {
  for (const bool said_so : {false, true}) {
    const NamedStation station(named_file_ring());
    Producer producer = station.producer();
    auto dead = must(FlushCursor::open(station.attach(Access::consume)));
    write(producer, "one");
    station.seal();
    const FlushRun run = must(dead.next(much));
    dead.set_durable(run.end());
    auto& durable = dead.attached()->ring().control->durable.pair;
    if (said_so) durable.store(no_cursor, std::memory_order_release);
    auto cursor = must(FlushCursor::open(station.attach_generation(1)));
    EXPECT_TRUE(cursor.is_sealed());
    EXPECT_TRUE(must(cursor.next(much)).sealed);
    EXPECT_EQ(cursor.at(), run.end());
    EXPECT_EQ(must(cursor.finish())->header().generation, 2u);
  }
}

TEST(FlushCursor, IsToldThatTheStationWasRemovedWhenItIsAllOnDisk) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  write(producer, "last words");
  must(station.attached()->seal_for_good());
  EXPECT_EQ(flush(cursor), texts("last words"));
  EXPECT_EQ(code_of(cursor.finish()), FaultCode::closed);
  EXPECT_FALSE(log_gates(station.ring()));
}

// ---- a ring born where a log ended -----------------------------------------

TEST(FlushCursor, BeginsWhereTheRingWasBorn) {
  for (const Pair start : {Pair{64, 2}, Pair{tiny_capacity - 64, 7}, Pair{1u << 30, 12345}}) {
    RingOptions options = file_ring();
    options.start = start;
    FlushedStation station(options);
    Producer producer = station.producer();
    FlushCursor cursor = station.cursor();
    EXPECT_EQ(cursor.at(), start);
    EXPECT_EQ(write(producer, "first"), start.second);
    EXPECT_EQ(must(cursor.next(much)).at, start);
    for (int count = 0; count < 200; ++count) {
      flush(cursor);
      write(producer, "x");
    }
    EXPECT_EQ(cursor.at(), (Pair{start.first + 200 * unit_size, start.second + 200}));
  }
}

// ---- refusals --------------------------------------------------------------

TEST(FlushCursor, IsForFileStationsThatItMayWriteTo) {
  const TestStation memory;
  EXPECT_EQ(code_of(FlushCursor::open(memory.attached())), FaultCode::unsupported);
  const FlushedStation station;
  EXPECT_EQ(code_of(FlushCursor::open(station.attached_as(Access::look))),
            FaultCode::no_permission);
  EXPECT_TRUE(FlushCursor::open(station.attached_as(Access::consume)));
  RingOptions unborn = file_ring();
  unborn.born = false;
  EXPECT_EQ(code_of(FlushCursor::open(TestStation(unborn).attached())), FaultCode::not_found);
}

TEST(FlushCursor, CallsAPlaceOutsideOfTheWindowCorrupt) {
  for (const Pair at : {Pair{0, 0}, Pair{64, 1}, Pair{3 * tiny_capacity, 2},
                        Pair{tiny_capacity + 1, 1}, Pair{tiny_capacity, 0}, no_cursor}) {
    FlushedStation station;
    station.control().durable.pair.store(at, std::memory_order_release);
    EXPECT_EQ(code_of(FlushCursor::open(station.attached())), FaultCode::corrupted) << at.first;
  }
}

TEST(FlushCursor, CallsFramesThatCannotBeCorruptAndGivesWhatStandsBeforeThem) {
  FlushedStation station;
  Producer producer = station.producer();
  FlushCursor cursor = station.cursor();
  write(producer, "sound");
  write(producer, "damaged");
  FrameHeader& frame = station.ring().frame(tiny_capacity + unit_size);
  frame.meta.store(pack_meta(~0u, FrameType::message, 0), std::memory_order_relaxed);
  EXPECT_EQ(messages_of(cursor, must(cursor.next(much))), texts("sound"));
  EXPECT_EQ(code_of(cursor.next(much)), FaultCode::corrupted);
  EXPECT_EQ(code_of(cursor.next(much)), FaultCode::corrupted);
}

// A chain of forged frames all around the ring, and on: a run never leaves what is mapped.
TEST(FlushCursor, NeverHandsOutMoreThanTheRingHolds) {
  FlushedStation station;
  FlushCursor cursor = station.cursor();
  for (uint64_t at = tiny_capacity; at < 2 * tiny_capacity; at += unit_size) {
    FrameHeader& frame = station.ring().frame(at);
    frame.meta.store(pack_meta(1, FrameType::message, 0), std::memory_order_relaxed);
    frame.sequence.store(at / unit_size - 63, std::memory_order_relaxed);
    frame.word.store(word_tag(at), std::memory_order_relaxed);
    station.ring().side(at).store(station.ring().make_side(at, unit_size, 0, false),
                                  std::memory_order_relaxed);
  }
  const FlushRun run = must(cursor.next(~0ull));
  EXPECT_EQ(run.bytes, tiny_capacity);
}

}  // namespace
}  // namespace loopline::shm
