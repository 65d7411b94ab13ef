// Edit and purge: living stations go on, nothing is lost, and whoever dies half way is finished.
#include "shm/edit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <random>
#include <thread>

#include "child.h"
#include "named_station.h"
#include "shm/factory.h"
#include "shm/recorder.h"
#include "shm/station_lock.h"

namespace loopline::shm {
namespace {

constexpr int kills = 40;
constexpr uint64_t forever = wait_for_ever;

class Edit : public ::testing::Test {
 protected:
  StationChange edit(const StationEdit& wanted) const {
    return must(edit_station(station_.directory(), station_.name(), wanted));
  }
  StationChange purge() const { return must(purge_station(station_.directory(), station_.name())); }
  Fault refusal(const StationEdit& wanted) const {
    return test::fault_of(edit_station(station_.directory(), station_.name(), wanted));
  }
  size_t file_count() const { return must(station_.directory().list()).size(); }
  static std::vector<std::string> read_all(Consumer& consumer) {
    std::vector<std::string> all;
    FrameView views[16];
    while (const size_t count = must(consumer.read(views))) {
      for (size_t index = 0; index < count; ++index) all.push_back(text_of(views[index]));
      must(consumer.release());
    }
    return all;
  }

  NamedStation station_;
};

TEST_F(Edit, GivesALivingStationALargerRingAndLosesNothing) {
  Producer producer = station_.producer();
  Consumer consumer = station_.lossless();
  write(producer, "before");
  const StationChange change = edit({.capacity = 128u << 10});
  EXPECT_TRUE(change.is_changed);
  EXPECT_EQ(change.messages, 1u);
  EXPECT_EQ(change.readers, 1u);
  EXPECT_GT(change.unreturned_bytes, ring_capacity_min);
  write(producer, "after");
  EXPECT_EQ(read_all(consumer), texts("before", "after"));
  EXPECT_EQ(consumer.attached()->header().capacity, 128u << 10);
  EXPECT_EQ(consumer.attached()->header().message_max, body_max_of(128u << 10));
  EXPECT_EQ(file_count(), 1u) << "the last reader gave the old ring back";
}

TEST_F(Edit, GivesTheMemoryBackAtOnceWhenNobodyReads) {
  Producer producer = station_.producer();
  write(producer, "gone");
  const StationChange change = edit({.timestamp = TimestampKind::coarse});
  EXPECT_EQ(change.messages, 1u);
  EXPECT_EQ(change.readers, 0u);
  EXPECT_EQ(change.unreturned_bytes, 0u);
  EXPECT_EQ(station_.generations(), (std::vector<uint32_t>{2}));
}

TEST_F(Edit, ChangesNothingThatIsSoAlready) {
  EXPECT_FALSE(edit({.capacity = ring_capacity_min, .when_full = WhenFull::block}).is_changed);
  EXPECT_EQ(station_.generations(), (std::vector<uint32_t>{1}));
}

TEST_F(Edit, KeepsASmallMaxMessageAndLetsTheLargestGrow) {
  edit({.message_max = 1000});
  edit({.capacity = 256u << 10});
  EXPECT_EQ(station_.attach()->header().message_max, 1000u);
  edit({.message_max = 20'000});
  const Fault refused = refusal({.capacity = 64u << 10});
  EXPECT_EQ(refused.code(), FaultCode::invalid_argument);
  EXPECT_NE(refused.message().find("name a smaller max-message too"), std::string::npos);
  edit({.capacity = 64u << 10, .message_max = 500});
}

TEST_F(Edit, TellsProducersAndConsumersTheNewRules) {
  Producer producer = station_.producer();
  edit({.capacity = 64u << 10, .message_max = 100, .when_full = WhenFull::reject});
  OpenFrame frame;
  EXPECT_EQ(code_of(producer.claim(101, wait_as_station_says, frame)), FaultCode::too_large);
  Consumer holder = station_.lossless();
  Status status = ok();
  while (status) {
    status = producer.claim(100, wait_as_station_says, frame);
    if (status) must(producer.commit(frame, 0));
  }
  EXPECT_EQ(status.fault().code(), FaultCode::full) << "it says reject now";
}

TEST_F(Edit, WakesABlockedProducerThatHasRoomNow) {
  Producer producer = station_.producer();
  Consumer holder = station_.lossless();
  fill(producer);
  std::thread writer([&] {
    Producer blocked = station_.producer();
    OpenFrame frame;
    must(blocked.claim(64, forever, frame));
    must(blocked.commit(frame, 0));
  });
  while (station_.attach()->ring().control->space_bell.parked.load(std::memory_order_acquire) ==
         0) {
    std::this_thread::yield();
  }
  edit({.capacity = 128u << 10});
  writer.join();
}

TEST_F(Edit, RefusesWhatCannotChangeAndSaysWhy) {
  const auto words = [&](const StationEdit& wanted, const char* part) {
    const Fault refused = refusal(wanted);
    EXPECT_EQ(refused.code(), FaultCode::unsupported);
    EXPECT_NE(refused.message().find(part), std::string::npos) << refused.message();
  };
  words({.when_full = WhenFull::drop_oldest}, "hold it back could not be told");
  words({.partitions = 2}, "keys would go to other ones");
  words({.exclusive = true}, "claim in the one way or the other");
  EXPECT_FALSE(edit({.partitions = 1, .exclusive = false}).is_changed);
  EXPECT_EQ(refusal({.capacity = 3u << 20}).code(), FaultCode::invalid_argument);
  EXPECT_EQ(refusal({.mode = 0077}).code(), FaultCode::invalid_argument);
  station_.remove();
  EXPECT_EQ(refusal({.capacity = 1u << 20}).code(), FaultCode::not_found);
}

TEST(EditOfAnExclusiveStation, WaitsUntilItsProducerIsGone) {
  RingOptions options = NamedStation::named_ring();
  options.exclusive = true;
  NamedStation station(options);
  Child other = Child::run([&](const Child::Parent& parent) {
    const Producer producer = station.producer();
    parent.say();
    Child::Parent::wait_to_be_killed();
  });
  ASSERT_TRUE(other.listen());
  const auto refused = edit_station(station.directory(), station.name(), {.message_max = 100});
  ASSERT_EQ(code_of(refused), FaultCode::unsupported);
  EXPECT_NE(refused.fault().message().find("exclusive producer"), std::string::npos);
  EXPECT_EQ(station.generations(), (std::vector<uint32_t>{1})) << "nothing is left of the try";
  other.kill();
  must(edit_station(station.directory(), station.name(), {.message_max = 100}));
  Producer producer = station.producer();
  write(producer, "x");
}

TEST_F(Edit, SetsModeAndOwnerInPlace) {
  EXPECT_TRUE(edit({.mode = 0600}).is_changed);
  EXPECT_FALSE(edit({.mode = 0600}).is_changed);
  EXPECT_EQ(station_.generations(), (std::vector<uint32_t>{1}));
  edit({.capacity = 128u << 10});
  struct stat status;
  ASSERT_EQ(::fstat(station_.attach()->mapping().fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u) << "a successor is like the ring before it";
  if (::geteuid() != 0) return;
  edit({.owner = FileOwner{12345, 23456}});
  edit({.timestamp = TimestampKind::off});
  ASSERT_EQ(::fstat(station_.attach()->mapping().fd(), &status), 0);
  EXPECT_EQ(status.st_uid, 12345u);
  EXPECT_EQ(status.st_gid, 23456u);
}

// Else who may publish from now on could not look up the ids of what is there.
TEST_F(Edit, SetsModeOfTheLedgerToo) {
  const auto attached = station_.attach();
  const Recorder recorder = must(Recorder::open(attached, 0));
  EXPECT_TRUE(edit({.mode = 0606}).is_changed);
  struct stat status;
  ASSERT_EQ(::fstat(recorder.ledger()->fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0606u);
}

TEST_F(Edit, ReplacesASuccessorThatADeadEditorMadeOtherwise) {
  RingOptions other = station_.options();
  other.capacity = 1u << 20;
  must(station_.attach()->make_successor(other));
  edit({.capacity = 256u << 10});
  EXPECT_EQ(station_.attach()->header().capacity, 256u << 10);
  EXPECT_EQ(station_.generations(), (std::vector<uint32_t>{2}));
}

TEST_F(Edit, CountsAgainstTheQuotaAndLeavesNothingWhenRefused) {
  FactorySettings settings;
  settings.quota_memory = memory_of(station_.options()) + 4096;
  must(add_factory(station_.directory().paths(), "main", settings));
  const Fault refused = refusal({.capacity = 128u << 10});
  EXPECT_EQ(refused.code(), FaultCode::no_space);
  EXPECT_NE(refused.message().find("another ring of station \"main/orders\""), std::string::npos)
      << refused.message();
  EXPECT_EQ(file_count(), 1u);
  Producer producer = station_.producer();
  write(producer, "as before");
}

TEST_F(Edit, TakesTurnsWithRemovers) {
  auto lock = must(StationLock::take(station_.directory(), station_.name()));
  Child child = Child::run([&](const Child::Parent& parent) {
    parent.say();
    must(station_.directory().remove_station(station_.name()));
  });
  ASSERT_TRUE(child.listen());
  EXPECT_EQ(must(station_.directory().list()).size(), 1u);
  { const StationLock gone = std::move(lock); }
  EXPECT_TRUE(child.passes());
  EXPECT_EQ(must(station_.directory().list()).size(), 0u);
}

// ---- purge -----------------------------------------------------------------

TEST_F(Edit, PurgeDropsForLaterComersAndGoesOnCounting) {
  Producer producer = station_.producer();
  Consumer early = station_.lossless();
  write(producer, "one");
  write(producer, "two");
  const StationChange change = purge();
  EXPECT_TRUE(change.is_changed);
  EXPECT_EQ(change.messages, 2u);
  Consumer late = station_.lossless();
  write(producer, "three");
  EXPECT_EQ(read_all(early), texts("one", "two", "three"));
  FrameView views[4];
  ASSERT_EQ(must(late.read(views)), 1u);
  EXPECT_EQ(text_of(views[0]), "three");
  EXPECT_EQ(views[0].sequence, 4u) << "one, two, the seal, three";
  EXPECT_EQ(file_count(), 1u);
}

TEST_F(Edit, PurgeOfAnEmptyStationDoesNothing) {
  EXPECT_FALSE(purge().is_changed);
  EXPECT_EQ(station_.generations(), (std::vector<uint32_t>{1}));
}

// ---- partitions ------------------------------------------------------------

RingOptions three() {
  RingOptions options = NamedStation::named_ring();
  options.partitions = 3;
  return options;
}

TEST(EditOfPartitions, GivesAllTheSameAndGoesOnWhereOneDied) {
  NamedStation station(three());
  const auto& directory = station.directory();
  RingOptions wanted = station.options();
  wanted.capacity = 128u << 10;
  Mapping last = must(directory.attach(station.name(), 2, Access::produce));
  must(Attached::make(std::move(last), must(directory.roster()), directory)
           ->seal_with_successor(wanted));
  const StationChange change =
      must(edit_station(directory, station.name(), {.capacity = 128u << 10}));
  EXPECT_EQ(change.rings, 2u) << "the one that has it is left alone";
  for (uint32_t partition = 0; partition < 3; ++partition) {
    EXPECT_EQ(must(directory.attach(station.name(), partition, Access::look)).header().capacity,
              128u << 10);
  }
}

TEST(EditOfPartitions, MakesWhatItsMakerDidNotComeTo) {
  NamedStation station(three());
  const auto& directory = station.directory();
  ASSERT_EQ(::unlink(directory.ring_path(station.name(), 1, 1).c_str()), 0);
  EXPECT_EQ(must(edit_station(directory, station.name(), {.message_max = 99})).rings, 3u);
}

TEST(EditOfPartitions, EndsARemovalThatBegan) {
  NamedStation station(three());
  const auto& directory = station.directory();
  Mapping last = must(directory.attach(station.name(), 2, Access::produce));
  must(Attached::make(std::move(last), must(directory.roster()), directory)->seal_for_good());
  EXPECT_EQ(code_of(edit_station(directory, station.name(), {.message_max = 99})),
            FaultCode::not_found);
  EXPECT_TRUE(must(directory.list()).empty());
}

// ---- deaths ----------------------------------------------------------------

void edit_for_ever(const NamedStation& station, uint32_t seed) {
  std::mt19937 random(seed);
  for (;;) {
    const uint64_t capacity = ring_capacity_min << (random() % 3);
    static_cast<void>(edit_station(station.directory(), station.name(), {.capacity = capacity}));
    if (random() % 2 == 0) static_cast<void>(purge_station(station.directory(), station.name()));
  }
}

TEST(EditKilled, AtAnyMomentLeavesAStationThatWorksAndAnEditThatCompletesIt) {
  NamedStation station(three());
  const auto& directory = station.directory();
  std::mt19937 random(7);
  Producer producer = station.producer();
  Consumer consumer = station.lossless();
  uint64_t written = 0, read = 0;
  for (int round = 0; round < kills; ++round) {
    const auto seed = static_cast<uint32_t>(random());
    Child child = Child::run([&](const Child::Parent& parent) {
      parent.say();
      edit_for_ever(station, seed);
    });
    ASSERT_TRUE(child.listen());
    for (auto count = random() % 60; count > 0; --count) {
      write(producer, std::to_string(written++));
      FrameView views[4];
      const size_t got = must(consumer.read(views));
      for (size_t index = 0; index < got; ++index) {
        ASSERT_EQ(text_of(views[index]), std::to_string(read++));
      }
    }
    child.kill();
    must(edit_station(directory, station.name(), {.capacity = 1u << 20}));
    for (uint32_t partition = 0; partition < 3; ++partition) {
      ASSERT_EQ(must(directory.attach(station.name(), partition, Access::look)).header().capacity,
                1u << 20);
    }
  }
  FrameView views[16];
  while (read != written) {
    const size_t got = must(consumer.read(views));
    for (size_t index = 0; index < got; ++index) {
      ASSERT_EQ(text_of(views[index]), std::to_string(read++));
    }
  }
  must(consumer.release());
  must(edit_station(directory, station.name(), {.message_max = 1000}));
  { const Consumer last = std::move(consumer); }
  must(purge_station(directory, station.name()));
  must(directory.remove_station(station.name()));
  EXPECT_TRUE(must(directory.list()).empty());
}

}  // namespace
}  // namespace loopline::shm
