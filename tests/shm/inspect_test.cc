// Inspect: tells how a ring stands from its file alone, and survives whatever the bytes are.
#include "shm/inspect.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>
#include <thread>

#include "child.h"
#include "named_station.h"
#include "ring_fixture.h"
#include "shm/base/hash.h"
#include "shm/flush_cursor.h"

namespace loopline::shm {
namespace {

RingSnapshot look(const Mapping& mapping, const Roster* roster = nullptr) {
  return must(inspect(File(::dup(mapping.fd())), "test", roster));
}
RingSnapshot look(BareRing& ring) { return look(ring.mapping()); }
RingSnapshot look(const TestStation& station) {
  return look(station.attached()->mapping(), &station.roster());
}

TEST(Inspect, ShowsAnEmptyRingAsAllFree) {
  BareRing ring;
  const RingSnapshot snapshot = look(ring);
  EXPECT_EQ(snapshot.oldest, ring.start());
  EXPECT_EQ(snapshot.visible, ring.start());
  EXPECT_EQ(snapshot.frontier, ring.start());
  EXPECT_EQ(snapshot.limit, 2 * tiny_capacity);
  EXPECT_TRUE(snapshot.is_walked);
  EXPECT_EQ(snapshot.damage, "");
  EXPECT_TRUE(snapshot.producers.empty() && snapshot.cursors.empty());
}

TEST(Inspect, FindsTheFrontierWhereverTheHintIs) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (int count = 0; count < 300; ++count) ring.put(claimer, "some text");
  const Pair frontier = ring.control().hint.pair.load(std::memory_order_acquire);
  ring.control().hint.pair.store(ring.start(), std::memory_order_release);
  EXPECT_EQ(look(ring).frontier, frontier);
  EXPECT_EQ(look(ring).visible, frontier);
}

TEST(Inspect, ShowsAnOpenClaimAsTheEndOfWhatIsVisible) {
  BareRing ring;
  Claimer slow = ring.claimer(2);
  Claimer fast = ring.claimer(0);
  ring.put(fast, "one");
  const Claim held = ring.open(slow, "two");
  ring.put(fast, "three");
  const RingSnapshot snapshot = look(ring);
  EXPECT_EQ(snapshot.visible, (Pair{held.position, 2}));
  EXPECT_EQ(snapshot.frontier.second, 4u);
  ASSERT_EQ(snapshot.open_claims.size(), 1u);
  EXPECT_EQ(snapshot.open_claims[0].sequence, 2u);
  EXPECT_EQ(snapshot.open_claims[0].bytes, held.bytes);
  EXPECT_EQ(snapshot.open_claims[0].slot, 2u);
}

TEST(Inspect, IsNotMisledByPayloadThatLooksCommitted) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  for (uint64_t lap = 1; lap <= 2; ++lap) {
    for (uint64_t place = lap * tiny_capacity; place < (lap + 1) * tiny_capacity; place += 512) {
      ring.put(claimer, forged_body(ring.ring(), place, 480));
    }
  }
  ring.open(claimer, "open");
  const RingSnapshot snapshot = look(ring);
  EXPECT_EQ(snapshot.open_claim_count, 1u);
  EXPECT_EQ(snapshot.open_claims.at(0).sequence, snapshot.visible.second);
}

TEST(Inspect, NamesTheLivingOwnerOfAClaim) {
  const TestStation station;
  Producer producer = station.producer();
  write(producer, "one");
  const OpenFrame frame = open(producer, "two");
  const RingSnapshot snapshot = look(station);
  ASSERT_EQ(snapshot.producers.size(), 1u);
  EXPECT_EQ(snapshot.producers[0].messages, 1u);
  EXPECT_EQ(snapshot.producers[0].open_claims, 1u);
  ASSERT_EQ(snapshot.open_claims.size(), 1u);
  EXPECT_EQ(snapshot.open_claims[0].owner.life, Life::alive);
  EXPECT_EQ(snapshot.open_claims[0].owner.pid, static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(snapshot.open_claims[0].sequence, frame.claim.sequence);
}

TEST(Inspect, NamesTheDeadOwnerOfAClaim) {
  const NamedStation station;
  Child child = Child::run([&](const Child::Parent& parent) {
    Producer producer = station.producer();
    open(producer, "never finished");
    parent.say();
    Child::Parent::wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  const auto pid = static_cast<uint32_t>(child.pid());
  child.kill();
  const auto roster = must(station.directory().roster_to_look());
  const RingSnapshot snapshot =
      must(inspect(station.directory().ring_path(station.name(), 0, 1), roster.get()));
  ASSERT_EQ(snapshot.open_claims.size(), 1u);
  EXPECT_EQ(snapshot.open_claims[0].owner.life, Life::dead);
  EXPECT_EQ(snapshot.open_claims[0].owner.pid, pid);
  EXPECT_EQ(snapshot.visible.second, 1u);
}

TEST(Inspect, TellsHowFarEachConsumerIsBehind) {
  const TestStation station;
  Producer producer = station.producer();
  Consumer lossless = station.lossless();
  Consumer lossy = station.lossy();
  for (int count = 0; count < 3; ++count) write(producer, "text");
  read(lossless);
  write(producer, "text");
  const RingSnapshot snapshot = look(station);
  ASSERT_EQ(snapshot.cursors.size(), 2u);
  EXPECT_EQ(snapshot.cursors[0].kind, CursorKind::lossless);
  EXPECT_EQ(snapshot.cursors[0].lag_messages, 1u);
  EXPECT_EQ(snapshot.cursors[0].lag_bytes, unit_size);
  EXPECT_EQ(snapshot.cursors[0].messages, 3u);
  EXPECT_EQ(snapshot.cursors[1].kind, CursorKind::lossy);
  EXPECT_EQ(snapshot.cursors[1].lag_messages, 4u);
}

TEST(Inspect, TellsASealAndItsSuccessor) {
  const NamedStation station;
  Producer producer = station.producer();
  write(producer, "one");
  station.seal();
  const RingSnapshot snapshot =
      must(inspect(station.directory().ring_path(station.name(), 0, 1), nullptr));
  EXPECT_EQ(snapshot.seal_state, seal_to(2));
  EXPECT_EQ(snapshot.seal_at.second, 2u);
}

TEST(Inspect, TellsHowFarTheDiskIsAndWhoWritesIt) {
  const TestStation station(file_ring());
  Producer producer = station.producer();
  FlushCursor cursor = must(FlushCursor::open(station.attached()));
  write(producer, "one");
  write(producer, "two");
  cursor.set_durable(must(cursor.next(1)).end());
  write(producer, "three");
  const OpenFrame frame = open(producer, "four");
  const auto log = look(station).log;
  ASSERT_TRUE(log.has_value());
  EXPECT_EQ(log->durable, (Pair{tiny_capacity + unit_size, 2}));
  EXPECT_EQ(log->lag_messages, 2u) << "what is not visible is not behind";
  EXPECT_EQ(log->lag_bytes, frame.claim.position - log->durable.first);
  EXPECT_EQ(log->state, LogState::flushing);
  EXPECT_EQ(log->error, 0);
  EXPECT_FALSE(log->is_done);
  EXPECT_EQ(log->commits, 1u);
  EXPECT_EQ(log->bytes, unit_size);
  ASSERT_TRUE(log->flusher.has_value());
  EXPECT_EQ(log->flusher->pid, static_cast<uint32_t>(::getpid()));
  EXPECT_FALSE(look(TestStation()).log.has_value()) << "a memory station has none";
}

TEST(Inspect, TellsWhyTheDiskGoesOnNoMore) {
  const TestStation station(file_ring());
  EXPECT_EQ(look(station).log->state, LogState::idle);
  EXPECT_FALSE(look(station).log->flusher.has_value());
  {
    FlushCursor cursor = must(FlushCursor::open(station.attached()));
    cursor.set_state(LogState::disk_full, ENOSPC);
    EXPECT_EQ(look(station).log->state, LogState::disk_full);
    EXPECT_EQ(look(station).log->error, ENOSPC);
    cursor.set_state(LogState::failed, EIO);
  }
  EXPECT_EQ(look(station).log->state, LogState::failed) << "until it is opened anew";
  EXPECT_EQ(look(station).log->error, EIO);
  std::unique_ptr<FlushCursor> dead;
  std::thread([&] {
    dead = std::make_unique<FlushCursor>(must(FlushCursor::open(station.attached())));
  }).join();
  EXPECT_EQ(look(station).log->state, LogState::idle);
  EXPECT_EQ(look(station).log->flusher->life, Life::dead);
}

TEST(Inspect, TellsThatASealedRingIsAllOnDisk) {
  RingOptions options = file_ring(ring_capacity_min);
  options.station = "orders";
  const NamedStation station(options);
  Producer producer = station.producer();
  FlushCursor cursor = must(FlushCursor::open(station.attach()));
  write(producer, "one");
  station.seal();
  const std::string path = station.directory().ring_path(station.name(), 0, 1);
  EXPECT_FALSE(must(inspect(path, nullptr)).log->is_done);
  const File ring = must(open_file("ring", path, false));
  cursor.set_durable(must(cursor.next(~0ull)).end());
  must(cursor.finish());
  const RingSnapshot snapshot = must(inspect(ring, path, nullptr));
  EXPECT_EQ(snapshot.damage, "");
  EXPECT_TRUE(snapshot.log->is_done);
  EXPECT_EQ(snapshot.log->durable, snapshot.visible);
  EXPECT_EQ(snapshot.log->lag_messages, 0u);
}

TEST(Inspect, CallsALogDamagedThatMakesNoSense) {
  const TestStation station(file_ring());
  Producer producer = station.producer();
  write(producer, "one");
  ControlBlock& control = station.control();
  const auto damage_of_durable = [&](Pair durable) {
    control.durable.pair.store(durable, std::memory_order_relaxed);
    return look(station).damage;
  };
  const Pair start = {tiny_capacity, 1};
  EXPECT_EQ(damage_of_durable(start), "");
  EXPECT_NE(damage_of_durable({tiny_capacity - unit_size, 1}), "");
  EXPECT_NE(damage_of_durable({tiny_capacity + 1, 1}), "");
  EXPECT_NE(damage_of_durable({2 * tiny_capacity + unit_size, 1}), "");
  EXPECT_NE(damage_of_durable({tiny_capacity, 0}), "");
  EXPECT_NE(damage_of_durable(no_cursor), "") << "the ring is not sealed";
  EXPECT_EQ(damage_of_durable(start), "");
  control.log.error.store(~0ull, std::memory_order_relaxed);
  EXPECT_EQ(look(station).log->error, EIO);
  control.log.flusher.store(~0ull, std::memory_order_relaxed);
  EXPECT_EQ(look(station).damage, "");
  control.log.state.store(4, std::memory_order_relaxed);
  EXPECT_NE(look(station).damage, "");
}

TEST(Inspect, WritesNothing) {
  const TestStation station;
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  write(producer, "one");
  open(producer, "two");
  const int fd = station.attached()->mapping().fd();
  const uint64_t bytes = station.attached()->header().file_bytes;
  std::vector<std::byte> before(bytes), behind(bytes);
  ASSERT_EQ(::pread(fd, before.data(), bytes, 0), static_cast<ssize_t>(bytes));
  look(station);
  ASSERT_EQ(::pread(fd, behind.data(), bytes, 0), static_cast<ssize_t>(bytes));
  EXPECT_EQ(before, behind);
}

TEST(Inspect, CallsAClaimWordThatMakesNoSenseDamage) {
  BareRing ring;
  Claimer claimer = ring.claimer(0);
  ring.put(claimer, "one");
  const uint64_t next = ring.start().first + unit_size;
  ring->side(next).store(ring->make_side(next, tiny_capacity, 0, false), std::memory_order_release);
  EXPECT_NE(look(ring).damage, "");
}

TEST(Inspect, CallsACursorOutsideOfTheWindowDamage) {
  const TestStation station;
  Consumer consumer = station.lossless();
  station.ring().cursors[0].cursor.store({900 * tiny_capacity, 7}, std::memory_order_release);
  EXPECT_NE(look(station).damage, "");
}

TEST(Inspect, AnswersWithAFaultWhenTheFileIsCutShort) {
  const NamedStation station;
  const std::string path = station.directory().ring_path(station.name(), 0, 1);
  ASSERT_EQ(::truncate(path.c_str(), static_cast<off_t>(page_size)), 0);
  EXPECT_EQ(code_of(inspect(path, nullptr)), FaultCode::corrupted);
  ASSERT_EQ(::truncate(path.c_str(), 100), 0);
  EXPECT_EQ(code_of(inspect(path, nullptr)), FaultCode::corrupted);
  EXPECT_EQ(code_of(inspect(path + "x", nullptr)), FaultCode::not_found);
}

TEST(Inspect, SurvivesAnyBytesBehindTheHeader) {
  std::mt19937_64 random(20240501);
  BareRing ring(tiny_ring(ring_capacity_min));
  const uint64_t control_bytes = ring.mapping().header().side_offset - page_size;
  for (int round = 0; round < 200; ++round) {
    auto* words = reinterpret_cast<uint64_t*>(ring.ring().control);
    for (uint64_t index = 0; index < control_bytes / 8; ++index) {
      words[index] = random() >> (random() % 64);
    }
    for (uint64_t unit = 0; unit < ring.ring().capacity / unit_size; ++unit) {
      ring.ring().side_words[unit].store(random() >> (random() % 64), std::memory_order_relaxed);
    }
    if (round % 2 == 0) {  // a limit that makes sense lets the rest be looked at
      ring.control().limit.pair.store(LimitWord{2 * ring.ring().capacity, 1, 0}.pack(),
                                      std::memory_order_relaxed);
    }
    look(ring);
  }
}

}  // namespace
}  // namespace loopline::shm
