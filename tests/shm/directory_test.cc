// Tests of Directory: names lead to rings, whoever races for one gets the same, and what was
// removed is gone, whoever died on the way.
#include "shm/directory.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <new>

#include "child.h"
#include "shm/base/units.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"

namespace loopline::shm {
namespace {

using test::code_of;
using test::fault_of;
using test::must;

namespace fs = std::filesystem;

class Stations : public ::testing::Test {
 protected:
  Stations() : directory_(must(Directory::open_or_create(instance_.paths()))) {}

  static RingOptions ring(const std::string& station = "orders", uint32_t generation = 1) {
    RingOptions options;
    options.station = station;
    options.capacity = ring_capacity_min;
    options.generation = generation;
    return options;
  }
  static RingOptions unborn(uint32_t generation) {
    RingOptions options = ring("orders", generation);
    options.born = false;
    return options;
  }
  static void seal(const Mapping& mapping, uint64_t state) {
    mapping.control().seal.state.store(state, std::memory_order_release);  // release [seal]
  }
  static void give_birth(const Mapping& mapping) {
    mapping.control().start.pair.store({1 << 20, 1}, std::memory_order_release);  // release [seal]
  }
  Result<Mapping> attach(Access access = Access::produce) const {
    return directory_.attach(orders_, 0, access);
  }
  std::string path(uint32_t generation) const {
    return directory_.ring_path(orders_, 0, generation);
  }
  std::vector<uint32_t> generations() const { return must(directory_.generations(orders_, 0)); }
  std::string in_shm(const std::string& name) const { return instance_.paths().shm + "/" + name; }

  const StationName orders_{"main", "orders"};
  test::TempInstance instance_;
  Directory directory_;
};

using Generations = std::vector<uint32_t>;

TEST_F(Stations, AreFoundByName) {
  const Mapping made = must(directory_.create(ring()));
  EXPECT_EQ(must(attach()).header().uuid[0], made.header().uuid[0]);
  EXPECT_EQ(path(1), in_shm("main@orders@0@1.ring"));
  EXPECT_EQ(made.header().roster_uuid[0], must(directory_.roster())->uuid()[0]);
}

TEST_F(Stations, ThatAreMissingAreNamedWithTheirFolder) {
  const Fault fault = fault_of(attach());
  EXPECT_EQ(fault.code(), FaultCode::not_found);
  EXPECT_EQ(fault.message(), "there is no station \"main/orders\" in " + instance_.folder() +
                                 "; see: loopline station ls");
  must(directory_.create(ring()));
  EXPECT_NE(fault_of(directory_.attach(orders_, 3, Access::look))
                .message()
                .find("no partition 3 of station \"main/orders\""),
            std::string::npos);
}

TEST_F(Stations, AreMadeOnce) {
  must(directory_.create(ring()));
  EXPECT_EQ(code_of(directory_.create(ring())), FaultCode::already_exists);
  RingOptions other = ring();
  other.factory = "billing";
  EXPECT_TRUE(directory_.create(other));
}

TEST_F(Stations, AreAttachedAtTheirNewestGenerationThatIsBorn) {
  const Mapping first = must(directory_.create(ring()));
  const Mapping second = must(directory_.create(unborn(2)));
  EXPECT_EQ(must(attach()).header().generation, 1u);
  EXPECT_EQ(must(directory_.attach_generation(orders_, 0, 2, Access::look)).header().generation,
            2u);
  give_birth(second);
  EXPECT_EQ(must(attach()).header().generation, 2u);
  EXPECT_EQ(generations(), (Generations{1, 2}));
}

TEST_F(Stations, HaveNoGenerationWithoutTheOneBefore) {
  EXPECT_EQ(code_of(directory_.create(unborn(2))), FaultCode::not_found);
  must(directory_.create(ring()));
  EXPECT_EQ(code_of(directory_.create(unborn(3))), FaultCode::not_found);
  must(directory_.create(unborn(2)));
  EXPECT_EQ(code_of(directory_.create(ring())), FaultCode::already_exists);
}

TEST_F(Stations, AreOpenedOrMade) {
  const Mapping made = must(directory_.open_or_create(ring(), {}, Access::consume));
  EXPECT_EQ(made.access(), Access::consume);
  const Mapping opened = must(directory_.open_or_create(ring(), {}, Access::produce));
  EXPECT_EQ(opened.header().uuid[0], made.header().uuid[0]);
}

TEST_F(Stations, ThatDifferFromWhatIsAskedAreRefusedWithEachDifference) {
  must(directory_.create(ring()));
  RingOptions other = ring();
  other.capacity = 1_MiB;
  other.message_max = 100;
  other.exclusive = true;
  other.when_full = WhenFull::reject;
  other.evict_after_ns = 5'000'000'000;
  other.timestamp = TimestampKind::off;
  const auto open = [&](Directory::Asked asked) {
    return directory_.open_or_create(other, asked, Access::produce);
  };
  EXPECT_TRUE(open({}));
  const Fault all = fault_of(open({true, true, true, true, true, true}));
  EXPECT_EQ(all.code(), FaultCode::already_exists);
  EXPECT_EQ(all.message(),
            "station \"main/orders\" exists with other parameters: ring is 64KiB, not 1MiB, "
            "max-message is 8160B, not 100B, exclusive is off, not on, when-full is block, not "
            "reject, evict-after is off, not 5s, timestamp is precise, not off; open it without "
            "them, or remove it first");
  const Fault one = fault_of(open({.when_full = true}));
  EXPECT_NE(one.message().find("parameters: when-full is block, not reject; open"),
            std::string::npos);
  EXPECT_TRUE(directory_.open_or_create(ring(), {true, true, true, true, true}, Access::look));
}

TEST_F(Stations, KeptInAFileAreToldFromThoseInMemory) {
  RingOptions options = ring();
  options.storage = Storage::file;
  options.log_uuid = {7, 8};
  options.start = Pair{640, 9};
  const auto made = must(directory_.create(options));
  EXPECT_EQ(made.header().storage, Storage::file);
  const RingOptions same = options_of(made.header());
  EXPECT_EQ(same.storage, Storage::file);
  EXPECT_EQ(same.log_uuid, options.log_uuid);
  EXPECT_EQ(made.control().hint.pair.load(std::memory_order_relaxed), (Pair{640, 9}));
  const Fault other =
      fault_of(directory_.open_or_create(ring(), {.storage = true}, Access::produce));
  EXPECT_NE(other.message().find("storage is file, not memory"), std::string::npos);
}

TEST_F(Stations, KeptInAFileLoseNothingToProducers) {
  RingOptions options = ring();
  options.storage = Storage::file;
  options.when_full = WhenFull::drop_oldest;
  EXPECT_EQ(*wrong_in(options),
            "when-full drop-oldest is for memory stations: consumers of a file station never hold "
            "it");
  options.when_full = WhenFull::block;
  options.evict_after_ns = 5'000'000'000;
  EXPECT_EQ(wrong_in(options)->substr(0, 38), "evict-after is for memory stations: co");
  options.evict_after_ns = 0;
  EXPECT_FALSE(wrong_in(options));
  for (const Pair start : {Pair{0, 1}, Pair{64, 0}, Pair{65, 1}, Pair{64, 3}, Pair{~63ull, 1}}) {
    options.start = start;
    EXPECT_TRUE(wrong_in(options)) << start.first;
  }
}

TEST_F(Stations, AreOneForAllWhoRaceForThem) {
  constexpr int process_count = 8;
  constexpr int round_count = 50;
  struct Board {
    std::atomic<int> round{-1};
    std::atomic<int> done{0};
    std::atomic<uint64_t> uuids[process_count];
  };
  void* place =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  auto* board = new (place) Board;
  std::vector<Child> children;
  for (int index = 0; index < process_count; ++index) {
    children.push_back(Child::run([&](Child::Parent&) {
      for (int round = 0; round < round_count; ++round) {
        while (board->round < round) ::sched_yield();
        const auto mapping = must(directory_.open_or_create(ring("s" + std::to_string(round)),
                                                            {.capacity = true}, Access::consume));
        board->uuids[index] = mapping.header().uuid[0];
        ++board->done;
      }
    }));
  }
  for (int round = 0; round < round_count; ++round) {
    board->round = round;
    while (board->done < process_count * (round + 1)) ::sched_yield();
    for (const auto& uuid : board->uuids) EXPECT_EQ(uuid, board->uuids[0]);
  }
  for (Child& child : children) EXPECT_TRUE(child.passes());
  EXPECT_EQ(must(directory_.list()).size(), static_cast<size_t>(round_count));
  ::munmap(place, sizeof(Board));
}

TEST_F(Stations, AreListedByName) {
  RingOptions several = ring("b");
  several.partitions = 11;
  must(directory_.create(several));
  for (const uint32_t gone : {1, 3, 4, 5, 6, 7, 8, 9}) {
    ASSERT_EQ(::unlink(directory_.ring_path({"main", "b"}, gone, 1).c_str()), 0);
  }
  RingOptions billing = ring("a");
  billing.factory = "billing";
  must(directory_.create(billing));
  must(directory_.roster());
  const auto rings = must(directory_.list());
  ASSERT_EQ(rings.size(), 4u);
  EXPECT_EQ(rings[0].name.text(), "billing/a");
  EXPECT_EQ(rings[1].name.text(), "main/b");
  EXPECT_EQ(rings[2].partition, 2u);
  EXPECT_EQ(rings[3].partition, 10u);
  EXPECT_EQ(rings[3].generation, 1u);
  EXPECT_EQ(rings[3].path, directory_.ring_path({"main", "b"}, 10, 1));
  EXPECT_GE(rings[3].bytes, ring_capacity_min + ring_capacity_min / 8);
  EXPECT_TRUE(directory_.list_strangers().empty());
}

TEST_F(Stations, AreNotMistakenForOtherFiles) {
  const std::vector<std::string> strangers = {
      "notes",       "a@b@0@1",      "a@b@0@1.ring.old", "a@b@00@1.ring",
      "a@b@0@.ring", "A@b@0@1.ring", "a@b@0@1@2.ring",   "a@b@-1@1.ring",
      "a@b@0.ring",  ".ring",        "@@0@1.ring",       "a@b@0@99999999999.ring"};
  for (const std::string& name : strangers) std::ofstream(in_shm(name)) << "?";
  EXPECT_TRUE(must(directory_.list()).empty());
  EXPECT_EQ(directory_.list_strangers().size(), strangers.size());
  std::ofstream(in_shm("main@orders@0@1.ring")) << "no ring";
  EXPECT_EQ(directory_.list_strangers().size(), strangers.size() + 1);
  EXPECT_EQ(code_of(attach()), FaultCode::corrupted);
  EXPECT_EQ(code_of(directory_.open_or_create(ring(), {}, Access::produce)), FaultCode::corrupted);
  ASSERT_TRUE(directory_.unlink(orders_, 0));  // what is no ring can be removed without a seal
  EXPECT_TRUE(directory_.create(ring()));
}

TEST_F(Stations, AreRemovedWithAllTheirGenerations) {
  const Mapping first = must(directory_.create(ring()));
  const Mapping second = must(directory_.create(unborn(2)));
  must(directory_.create(ring("orders2")));
  seal(first, seal_to(2));
  give_birth(second);
  seal(second, seal_removed);
  ASSERT_TRUE(directory_.unlink(orders_, 0));
  EXPECT_EQ(generations(), Generations{});
  EXPECT_TRUE(directory_.unlink(orders_, 0));  // again: nothing left to do
  EXPECT_EQ(must(directory_.list()).size(), 1u);
}

TEST_F(Stations, AreNotRemovedWhileTheyAreInUse) {
  must(directory_.create(ring()));
  EXPECT_EQ(code_of(directory_.unlink(orders_, 0)), FaultCode::already_exists);
  EXPECT_TRUE(attach());
}

TEST_F(Stations, WhoseRemoverDiedAreGoneForAll) {
  seal(must(directory_.create(ring())), seal_removed);
  EXPECT_EQ(code_of(attach(Access::look)), FaultCode::not_found);
  EXPECT_TRUE(fs::exists(path(1)));  // who only looks changes nothing
  EXPECT_EQ(code_of(attach(Access::consume)), FaultCode::not_found);
  EXPECT_FALSE(fs::exists(path(1)));
}

TEST_F(Stations, WhoseRemoverDiedAreMadeAnew) {
  const Mapping old = must(directory_.create(ring()));
  seal(old, seal_removed);
  const Mapping made = must(directory_.create(ring()));
  EXPECT_NE(made.header().uuid[0], old.header().uuid[0]);
  seal(made, seal_removed);
  EXPECT_NE(must(directory_.open_or_create(ring(), {}, Access::consume)).header().uuid[0],
            made.header().uuid[0]);
}

// Else it would be its own predecessor, and whoever asks the predecessors would never end.
TEST_F(Stations, AreRefusedUnderNamesTheyWereNotMadeFor) {
  const Mapping mapping = must(directory_.create(ring("orders", 1)));
  ASSERT_EQ(::link(path(1).c_str(), path(7).c_str()), 0);
  EXPECT_EQ(code_of(directory_.attach_generation(orders_, 0, 7, Access::look)),
            FaultCode::corrupted);
  EXPECT_EQ(code_of(attach()), FaultCode::corrupted);
  EXPECT_TRUE(directory_.attach_generation(orders_, 0, 1, Access::look));
}

// The remover dies after each of its steps; the next one finds the rest.
TEST_F(Stations, WhoseRemovalWasInterruptedAnywhereAreGone) {
  for (int steps = 0; steps < 3; ++steps) {
    const Mapping first = must(directory_.create(ring()));
    const Mapping second = must(directory_.create(unborn(2)));
    give_birth(second);
    must(directory_.create(unborn(3)));
    seal(second, seal_removed);
    if (steps > 0) fs::remove(path(3));
    if (steps > 1) fs::remove(path(1));
    EXPECT_EQ(code_of(attach()), FaultCode::not_found);
    EXPECT_EQ(generations(), Generations{});
  }
}

TEST_F(Stations, ThatWereMadeAnewAreNeverRemovedByALateRemover) {
  Child child = Child::run([&](Child::Parent& parent) {
    parent.say();
    for (;;) static_cast<void>(directory_.unlink(orders_, 0));
  });
  ASSERT_TRUE(child.listen());
  for (int round = 0; round < 200; ++round) {
    const Mapping mapping = must(directory_.open_or_create(ring(), {}, Access::produce));
    ASSERT_EQ(mapping.control().seal.state.load(std::memory_order_relaxed), seal_open);
    struct stat status;
    ASSERT_EQ(::fstat(mapping.fd(), &status), 0);
    ASSERT_EQ(status.st_nlink, 1u);
    seal(mapping, seal_removed);
  }
}

TEST_F(Stations, SurviveKillsOfThoseWhoMakeAndRemoveThem) {
  for (int round = 0; round < 60; ++round) {
    Child child = Child::run([&](Child::Parent& parent) {
      parent.say();
      for (;;) {
        const auto mapping = directory_.open_or_create(ring(), {}, Access::produce);
        if (!mapping) continue;
        seal(*mapping, seal_removed);
        static_cast<void>(directory_.unlink(orders_, 0));
      }
    });
    ASSERT_TRUE(child.listen());
    ::usleep(static_cast<useconds_t>(round * 20));
    child.kill();
    const Mapping mapping = must(directory_.open_or_create(ring(), {}, Access::produce));
    EXPECT_EQ(mapping.control().seal.state.load(std::memory_order_relaxed), seal_open);
  }
}

}  // namespace
}  // namespace loopline::shm
