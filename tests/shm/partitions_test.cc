// Partitions: they come and go together, whoever dies while he makes or removes them.
#include <gtest/gtest.h>
#include <unistd.h>

#include <random>

#include "child.h"
#include "ring_fixture.h"
#include "shm/directory.h"
#include "tests/support/temp_instance.h"

namespace loopline::shm {
namespace {

class Partitions : public ::testing::Test {
 protected:
  Partitions() : directory_(must(Directory::open_or_create(instance_.paths()))) {}

  static RingOptions three() {
    RingOptions options = tiny_ring(ring_capacity_min);
    options.station = "orders";
    options.partitions = 3;
    return options;
  }
  Result<Mapping> attach(uint32_t partition, Access access = Access::produce) const {
    return directory_.attach_partition(orders_, partition, access);
  }
  std::shared_ptr<Attached> open(uint32_t partition) const {
    return Attached::make(must(attach(partition)), must(directory_.roster()), directory_);
  }
  // As their maker leaves them that died before he came to this one.
  void lose(uint32_t partition) const {
    ASSERT_EQ(::unlink(directory_.ring_path(orders_, partition, 1).c_str()), 0);
  }
  size_t ring_count() const { return must(directory_.list()).size(); }

  const StationName orders_{"main", "orders"};
  test::TempInstance instance_;
  Directory directory_;
};

TEST_F(Partitions, AreMadeWithTheirStation) {
  must(directory_.create(three()));
  for (uint32_t partition = 0; partition < 3; ++partition) {
    const Mapping ring = must(attach(partition));
    EXPECT_EQ(ring.header().partition, partition);
    EXPECT_EQ(ring.header().partitions, 3u);
  }
  EXPECT_EQ(code_of(attach(3)), FaultCode::not_found);
  EXPECT_EQ(ring_count(), 3u);
}

TEST_F(Partitions, DoNotStandAlone) {
  RingOptions alone = three();
  alone.partition = 1;
  EXPECT_EQ(code_of(directory_.create(alone)), FaultCode::not_found);
  EXPECT_EQ(code_of(attach(1)), FaultCode::not_found);
  EXPECT_EQ(ring_count(), 0u);
}

TEST_F(Partitions, ThatTheirMakerDidNotComeToAreMadeByWhoNeedsThem) {
  RingOptions options = three();
  options.exclusive = true;
  options.message_max = 100;
  options.mode = 0640;
  must(directory_.create(options));
  lose(2);
  EXPECT_EQ(code_of(attach(2, Access::look)), FaultCode::not_found);
  const Mapping made = must(attach(2, Access::consume));
  EXPECT_EQ(made.header().exclusive, 1u);
  EXPECT_EQ(made.header().message_max, 100u);
  EXPECT_EQ(made.header().partition, 2u);
  struct stat status;
  ASSERT_EQ(::fstat(made.fd(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0640u);
}

TEST_F(Partitions, AreRefusedToOneWhoWantsAnotherNumberOfThem) {
  must(directory_.create(three()));
  RingOptions other = three();
  other.partitions = 4;
  const auto refused = directory_.open_or_create(other, {.partitions = true}, Access::look);
  EXPECT_EQ(code_of(refused), FaultCode::already_exists);
  EXPECT_NE(refused.fault().message().find("partitions is 3, not 4"), std::string::npos);
  EXPECT_TRUE(directory_.open_or_create(other, {}, Access::look));
}

TEST_F(Partitions, AreRemovedTogetherAndEverybodyIsTold) {
  must(directory_.create(three()));
  std::vector<Producer> producers;
  for (uint32_t partition = 0; partition < 3; ++partition) {
    producers.push_back(must(Producer::open(open(partition))));
  }
  must(directory_.remove_station(orders_));
  EXPECT_EQ(ring_count(), 0u);
  for (Producer& producer : producers) EXPECT_EQ(refusal(producer, 1), FaultCode::closed);
  EXPECT_EQ(code_of(directory_.remove_station(orders_)), FaultCode::not_found);
}

TEST_F(Partitions, AreRemovedThoughOneIsMissing) {
  must(directory_.create(three()));
  lose(1);
  must(directory_.remove_station(orders_));
  EXPECT_EQ(ring_count(), 0u);
}

TEST_F(Partitions, AreRemovedThoughOneIsDamaged) {
  must(directory_.create(three()));
  ASSERT_EQ(::truncate(directory_.ring_path(orders_, 1, 1).c_str(), 100), 0);
  EXPECT_EQ(code_of(attach(1)), FaultCode::corrupted);
  must(directory_.remove_station(orders_));
  EXPECT_EQ(ring_count(), 0u);
}

TEST_F(Partitions, WhoseRemoverDiedAreRemovedByWhoComesNext) {
  for (const bool by_creator : {false, true}) {
    must(directory_.create(three()));
    Producer producer = must(Producer::open(open(1)));
    must(open(2)->seal_for_good());  // and then he died
    EXPECT_TRUE(attach(0));
    EXPECT_EQ(code_of(attach(2)), FaultCode::not_found);
    EXPECT_EQ(refusal(producer, 1), FaultCode::closed);
    EXPECT_EQ(ring_count(), 0u);
    if (by_creator) {
      EXPECT_TRUE(directory_.create(three()));
    }
  }
}

TEST_F(Partitions, LeftUnsealedByNobodyAreGoneWithPartitionZero) {
  must(directory_.create(three()));
  for (const uint32_t partition : {2, 1, 0}) must(open(partition)->seal_for_good());
  EXPECT_EQ(code_of(attach(0)), FaultCode::not_found);
  EXPECT_EQ(ring_count(), 0u);
}

// Makers and removers are killed anywhere; whoever comes after them finds a station that works, or
// none, and can remove what there is.
TEST_F(Partitions, SurviveTheDeathOfMakersAndRemoversAtAnyMoment) {
  std::mt19937 random(7);
  for (int round = 0; round < 60; ++round) {
    Child child = Child::run([&](Child::Parent& parent) {
      parent.say();
      for (;;) {
        (void)directory_.create(three());
        (void)directory_.remove_station(orders_);
      }
    });
    child.listen();
    ::usleep(std::uniform_int_distribution<useconds_t>(0, 8000)(random));
    child.kill();
    const auto found = attach(0);
    if (found) {
      for (uint32_t partition = 0; partition < 3; ++partition) {
        auto ring = attach(partition);
        if (!ring) {  // a removal that was begun has been ended now
          EXPECT_EQ(code_of(ring), FaultCode::not_found);
          break;
        }
        Producer producer = must(Producer::open(
            Attached::make(std::move(*ring), must(directory_.roster()), directory_)));
        write(producer, "works");
      }
    }
    const Status removed = directory_.remove_station(orders_);
    EXPECT_TRUE(removed || removed.fault().code() == FaultCode::not_found);
    EXPECT_EQ(ring_count(), 0u) << "round " << round;
  }
}

// ---- several rings, one sleeper --------------------------------------------

class Sleeper : public Partitions {
 protected:
  void SetUp() override {
    must(directory_.create(three()));
    for (uint32_t partition = 0; partition < 3; ++partition) {
      consumers_.push_back(
          must(Consumer::open(open(partition), {.from = From::earliest, .wait = WaitKind::park})));
    }
    for (Consumer& consumer : consumers_) all_.push_back(&consumer);
  }
  bool wait(uint64_t deadline_ns) { return must(Consumer::wait_any(all_, deadline_ns)); }

  std::vector<Consumer> consumers_;
  std::vector<Consumer*> all_;
};

TEST_F(Sleeper, IsWokenByAMessageInAnyOfThem) {
  EXPECT_FALSE(wait(0));
  for (uint32_t partition = 0; partition < 3; ++partition) {
    Child writer = Child::run([&](Child::Parent&) {
      Producer producer = must(Producer::open(open(partition)));
      write(producer, "wake up");
    });
    EXPECT_TRUE(wait(wait_for_ever));
    EXPECT_EQ(read(consumers_[partition]), texts("wake up"));
    EXPECT_TRUE(writer.passes());
  }
}

TEST_F(Sleeper, IsWokenByTheDeathOfOneWhoHeldAMessageOpen) {
  Child holder = Child::run([&](Child::Parent& parent) {
    Producer dead = must(Producer::open(open(1)));
    (void)shm::open(dead, "never committed");
    Producer alive = must(Producer::open(open(1)));
    write(alive, "behind it");
    parent.say();
    Child::Parent::wait_to_be_killed();
  });
  holder.listen();
  EXPECT_FALSE(wait(0));
  holder.kill();
  EXPECT_TRUE(wait(wait_for_ever));
  EXPECT_EQ(read(consumers_[1]), texts("behind it"));
}

}  // namespace
}  // namespace loopline::shm
