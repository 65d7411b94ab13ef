// Factory: its file read strictly, defaults, quotas that hold in a race, and deaths in between.
#include "shm/factory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>
#include <thread>

#include "child.h"
#include "ring_fixture.h"
#include "shm/owner.h"
#include "tests/support/temp_instance.h"

namespace loopline::shm {
namespace {

constexpr int makers = 6;
constexpr int kill_count = 60;

bool says(const Fault& fault, std::string_view words) {
  const bool found = fault.message().find(words) != std::string::npos;
  EXPECT_TRUE(found) << fault.message();
  return found;
}

class Factory : public ::testing::Test {
 protected:
  Factory() : directory_(must(Directory::open_or_create(instance_.paths()))) {}

  const InstancePaths& paths() const { return instance_.paths(); }
  std::string path(const std::string& name) const {
    return paths().folder + "/factories/" + name + ".conf";
  }
  void write(const std::string& name, const std::string& text) const {
    std::filesystem::create_directories(paths().folder + "/factories");
    std::ofstream(path(name), std::ios::binary) << text;
  }
  static RingOptions small(const std::string& station, const std::string& factory = "f") {
    RingOptions options = tiny_ring(ring_capacity_min);
    options.factory = factory;
    options.station = station;
    return options;
  }
  Result<Mapping> make(const std::string& station) const {
    return directory_.create(small(station));
  }
  void allow(uint64_t stations) const {
    FactorySettings settings;
    settings.quota_memory = stations * memory_of(small("x"));
    must(add_factory(paths(), "f", settings));
  }
  FactoryUse use() const { return must(use_of_factory(directory_, "f")); }
  size_t factory_files() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(paths().folder + "/factories")) {
      EXPECT_EQ(entry.path().extension(), ".conf") << entry.path();
      ++count;
    }
    return count;
  }

  test::TempInstance instance_;
  Directory directory_;
};

// ---- the text --------------------------------------------------------------

TEST_F(Factory, SaysAgainWhatItWasTold) {
  const std::string text =
      "storage = memory\nring = 64KiB\npartitions = 3\nmax-message = 1KiB\nexclusive = "
      "on\nwhen-full = reject\n"
      "evict-after = 250ms\ntimestamp = off\nmode = 0640\nowner = root:0\n"
      "quota.memory = 64MiB\nquota.stations = 7\n";
  const FactorySettings settings = must(parse_factory(text, "here"));
  EXPECT_EQ(settings.partitions, 3u);
  EXPECT_EQ(settings.mode, 0640u);
  EXPECT_EQ(settings.quota_memory, 64u << 20);
  EXPECT_EQ(text_of(settings), text);
  EXPECT_EQ(must(parse_factory("# by hand\n\n  ring=64KiB  ", "here")).ring, 64u << 10);
}

TEST_F(Factory, RefusesEachBadLineByItsNumberAndReason) {
  const auto refused = [](const std::string& text, const char* words) {
    const auto parsed = parse_factory("ring = 64KiB\n" + text, "factory \"f\": f.conf");
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.fault().code(), FaultCode::corrupted);
    says(parsed.fault(), "f.conf");
    says(parsed.fault(), words);
    says(parsed.fault(), "mend it there, or remove the file");
  };
  refused("rng = 1", "line 2: \"rng\" is no key of a factory; they are storage, ring, partitions");
  refused("ring = 64KiB", "line 2: ring is said twice");
  refused("partitions = many", "partitions \"many\" is no number from 1 on");
  refused("partitions = 0", "no number from 1 on");
  refused("partitions = 300", "300 partitions (1 to 256)");
  refused("max-message = 64KB", "is no size");
  refused("max-message = 1MiB", "a ring of 64KiB takes messages of up to");
  refused("exclusive = yes", "exclusive \"yes\" is not known: use on or off");
  refused("when-full = wait", "block, reject or drop-oldest");
  refused("storage = disk", "storage \"disk\" is not known: use memory or file");
  refused("storage = file\nwhen-full = drop-oldest", "is for memory stations");
  refused("mode = 0900", "octal");
  refused("mode = 0060", "mode cannot be 0060");
  refused("owner = a b", "user:group");
  refused("evict-after = soon", "off, or a time");
  refused("quota.memory =", "quota.memory \"\"");
  refused("quota.stations", "is no key = value");
  refused(std::string("when-full = \x1b[31m\0", 17), "?[31m");
  refused("when-full = drop-oldest\nevict-after = 1s", "evict-after says nothing");
}

TEST_F(Factory, TakesAValueBackWithDefaultAndAQuotaWithOff) {
  FactorySettings settings;
  must(set_factory_key(settings, "timestamp", "off"));
  EXPECT_EQ(settings.timestamp, TimestampKind::off);
  must(set_factory_key(settings, "timestamp", "default"));
  must(set_factory_key(settings, "quota.memory", "1MiB"));
  must(set_factory_key(settings, "quota.memory", "off"));
  EXPECT_EQ(settings, FactorySettings{});
  EXPECT_EQ(code_of(set_factory_key(settings, "ring", "off")), FaultCode::invalid_argument);
}

// ---- the files -------------------------------------------------------------

TEST_F(Factory, ThatWasNeverAddedSaysNothing) {
  EXPECT_FALSE(must(read_factory(paths(), "f")).has_value());
  EXPECT_TRUE(must(added_factories(paths())).empty());
  must(make("a"));
  const auto edited = edit_factory(paths(), "f", [](FactorySettings&) { return ok(); });
  EXPECT_EQ(code_of(edited), FaultCode::not_found);
  says(edited.fault(), "loopline factory add f");
}

TEST_F(Factory, IsAddedOnceEditedAndListed) {
  FactorySettings settings;
  settings.ring = 64u << 10;
  must(add_factory(paths(), "b", settings));
  must(add_factory(paths(), "a", {}));
  EXPECT_EQ(must(added_factories(paths())), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(code_of(add_factory(paths(), "b", {})), FaultCode::already_exists);
  must(edit_factory(paths(), "b", [](FactorySettings& now) {
    now.quota_stations = 2;
    return ok();
  }));
  EXPECT_EQ(must(read_factory(paths(), "b"))->ring, 64u << 10);
  EXPECT_EQ(must(read_factory(paths(), "b"))->quota_stations, 2u);
  EXPECT_EQ(factory_files(), 2u);
  EXPECT_EQ(code_of(add_factory(paths(), "Bad", {})), FaultCode::invalid_argument);
}

TEST_F(Factory, WhoseFileIsDamagedStopsMakersAndNobodyElse) {
  must(make("there"));
  for (const std::string& text : {std::string("garbage"), std::string(5000, '#')}) {
    write("f", text);
    const auto refused = make("new");
    ASSERT_EQ(code_of(refused), FaultCode::corrupted);
    says(refused.fault(), path("f"));
    must(directory_.attach({"f", "there"}, 0, Access::consume));
    EXPECT_EQ(code_of(edit_factory(paths(), "f", [](FactorySettings&) { return ok(); })),
              FaultCode::corrupted);
  }
  must(remove_factory(directory_, "f", true));
  must(make("new"));
}

TEST_F(Factory, GivesDefaultsToThoseWhoNameNothing) {
  write("f", "ring = 128KiB\nmax-message = 1000B\nwhen-full = reject\nmode = 0640\n");
  const RingOptions made = must(directory_.with_defaults(small("x"), {}));
  EXPECT_EQ(made.capacity, 128u << 10);
  EXPECT_EQ(made.message_max, 1000u);
  EXPECT_EQ(made.when_full, WhenFull::reject);
  EXPECT_EQ(made.mode, 0640u);
  Directory::Asked asked;
  asked.capacity = asked.when_full = true;
  const RingOptions named = must(directory_.with_defaults(small("x"), asked));
  EXPECT_EQ(named.capacity, ring_capacity_min);
  EXPECT_EQ(named.when_full, WhenFull::block);
  EXPECT_EQ(named.message_max, 1000u);
  write("f", "ring = 8MiB\nmax-message = 1MB\n");
  write("f", "ring = 8MiB\nmax-message = 512KiB\n");
  const auto torn = directory_.with_defaults(small("x"), asked);
  ASSERT_EQ(code_of(torn), FaultCode::invalid_argument);
  says(torn.fault(), "factory \"f\" says max-message 512KiB");
}

TEST_F(Factory, GivesItsStationsAway) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root gives files away";
  write("f", "owner = 12345:23456\npartitions = 2\n");
  const Mapping made = must(directory_.open_or_create(small("x"), {}, Access::produce));
  for (const auto& ring : must(directory_.list())) {
    struct stat status;
    ASSERT_EQ(::stat(ring.path.c_str(), &status), 0);
    EXPECT_EQ(status.st_uid, 12345u);
    EXPECT_EQ(status.st_gid, 23456u);
  }
  write("f", "owner = nobody-of-that-name\n");
  says(test::fault_of(directory_.with_defaults(small("y"), {})), "knows no user");
}

TEST_F(Factory, OwnersAreNamesOrNumbers) {
  EXPECT_EQ(must(find_owner("root")).user, 0u);
  EXPECT_EQ(must(find_owner("root")).group, FileOwner::unchanged);
  EXPECT_EQ(must(find_owner("7:root")).group, 0u);
  EXPECT_EQ(must(find_owner(":8")).user, FileOwner::unchanged);
  for (const char* bad : {"", ":", "a:", "a b", "-x", "a:b:c", "4294967295x!"}) {
    EXPECT_FALSE(find_owner(bad)) << bad;
  }
}

// ---- quotas ----------------------------------------------------------------

TEST_F(Factory, RefusesWhatIsOverItsMemoryInWords) {
  allow(2);
  must(make("a"));
  must(make("b"));
  const auto refused = make("c");
  ASSERT_EQ(code_of(refused), FaultCode::no_space);
  says(refused.fault(), "station \"f/c\" needs");
  says(refused.fault(), "has 0B left of its quota.memory of");
  says(refused.fault(), "(2 stations use");
  says(refused.fault(), "loopline factory edit f --quota-memory 1MiB");
  EXPECT_EQ(code_of(make("a")), FaultCode::already_exists) << "not a question of room";
  must(directory_.open_or_create(small("a"), {}, Access::consume));
  must(directory_.remove_station({"f", "a"}));
  must(make("c"));
  must(directory_.create(small("c", "g")));
}

TEST_F(Factory, CountsExactlyWhatTheFileSystemGives) {
  must(make("a"));
  RingOptions three = small("b");
  three.partitions = 3;
  must(directory_.create(three));
  EXPECT_EQ(use().stations, 2u);
  EXPECT_EQ(use().bytes, 4 * memory_of(small("x")));
  ASSERT_EQ(::unlink(directory_.ring_path({"f", "b"}, 2, 1).c_str()), 0);
  EXPECT_EQ(use().bytes, 4 * memory_of(small("x"))) << "its maker died before he came to it";
}

TEST_F(Factory, LetsMissingPartitionsBeMadeThoughItIsFull) {
  RingOptions three = small("b");
  three.partitions = 3;
  allow(3);
  must(directory_.create(three));
  ASSERT_EQ(::unlink(directory_.ring_path({"f", "b"}, 2, 1).c_str()), 0);
  EXPECT_EQ(code_of(make("c")), FaultCode::no_space);
  must(directory_.attach_partition({"f", "b"}, 2, Access::produce));
  EXPECT_EQ(use().bytes, 3 * memory_of(small("x")));
}

TEST_F(Factory, MayBeGivenLessThanItUses) {
  must(make("a"));
  must(make("b"));
  FactorySettings settings;
  settings.quota_stations = 1;
  must(add_factory(paths(), "f", settings));
  const auto refused = make("c");
  ASSERT_EQ(code_of(refused), FaultCode::no_space);
  says(refused.fault(), "factory \"f\" has 2 stations, and its quota.stations is 1");
  says(refused.fault(), "--quota-stations 3");
  must(directory_.attach({"f", "a"}, 0, Access::produce));
}

TEST_F(Factory, DoesNotCountWhatADeadRemoverLeft) {
  allow(1);
  Mapping ring = must(make("a"));
  must(Attached::make(std::move(ring), must(directory_.roster()), directory_)->seal_for_good());
  must(make("b"));
  EXPECT_EQ(use().stations, 1u);
}

// Shared by the makers: which round is on, and how many of them are through with it.
struct Rounds {
  Atomic<uint32_t> now;
  Atomic<uint32_t> through;

  static Rounds& make() {
    void* page =
        ::mmap(nullptr, sizeof(Rounds), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return *new (page) Rounds;
  }
  static void wait_for(const Atomic<uint32_t>& value, uint32_t wanted) {
    while (value.load(std::memory_order_acquire) != wanted) std::this_thread::yield();
  }
};

// With each station the look at what is used takes longer, and so does the moment between it and
// the name.
TEST_F(Factory, LetsAsManyInAtOnceAsFit) {
  constexpr uint32_t rounds_max = 60;
  must(add_factory(paths(), "f", {}));
  Rounds& rounds = Rounds::make();
  std::vector<Child> children;
  for (int maker = 0; maker < makers; ++maker) {
    children.push_back(Child::run([&, maker](const Child::Parent&) {
      for (uint32_t round = 1; round <= rounds_max; ++round) {
        Rounds::wait_for(rounds.now, round);
        const auto made = make(std::to_string(round) + "-" + std::to_string(maker));
        if (!made && made.fault().code() != FaultCode::no_space) return false;
        rounds.through.fetch_add(1, std::memory_order_acq_rel);
      }
      return true;
    }));
  }
  for (uint32_t round = 1; round <= rounds_max; ++round) {
    must(edit_factory(paths(), "f", [&](FactorySettings& settings) {
      settings.quota_stations = round;
      return ok();
    }));
    rounds.now.store(round, std::memory_order_release);
    Rounds::wait_for(rounds.through, round * makers);
    ASSERT_EQ(use().stations, round);
  }
  for (Child& child : children) EXPECT_TRUE(child.passes());
}

TEST_F(Factory, LetsAllOpenTheOneStationThatFits) {
  FactorySettings settings;
  settings.quota_stations = 1;
  must(add_factory(paths(), "f", settings));
  std::vector<Child> children;
  for (int maker = 0; maker < makers; ++maker) {
    children.push_back(Child::run([&](const Child::Parent&) {
      must(directory_.open_or_create(small("one"), {}, Access::consume));
    }));
  }
  for (Child& child : children) EXPECT_TRUE(child.passes());
}

// ---- removal ---------------------------------------------------------------

TEST_F(Factory, IsRemovedWhenItIsEmptyOrByForce) {
  allow(8);
  must(make("a"));
  must(make("b"));
  const auto refused = remove_factory(directory_, "f", false);
  ASSERT_EQ(code_of(refused), FaultCode::already_exists);
  says(refused.fault(), "factory \"f\" has 2 stations");
  says(refused.fault(), "--force");
  ASSERT_EQ(::truncate(directory_.ring_path({"f", "b"}, 0, 1).c_str(), 8192), 0);
  must(remove_factory(directory_, "f", true));
  EXPECT_TRUE(must(directory_.list()).empty());
  EXPECT_FALSE(must(read_factory(paths(), "f")).has_value());
  EXPECT_EQ(code_of(remove_factory(directory_, "f", true)), FaultCode::not_found);
}

// ---- deaths ----------------------------------------------------------------

// Adds, edits, fills and removes, for ever.
void live(const Directory& directory, std::mt19937& random,
          const std::function<RingOptions(const std::string&)>& ring) {
  const InstancePaths& paths = directory.paths();
  for (;;) {
    FactorySettings settings;
    settings.quota_stations = 1 + random() % 3;
    static_cast<void>(add_factory(paths, "f", settings));
    for (int count = 0; count < 4; ++count) {
      static_cast<void>(directory.create(ring("s" + std::to_string(random() % 6))));
      static_cast<void>(edit_factory(paths, "f", [&](FactorySettings& now) {
        now.quota_memory = (1 + random() % 8) << 18;
        return ok();
      }));
    }
    static_cast<void>(remove_factory(directory, "f", true));
  }
}

TEST_F(Factory, SurvivesWhoeverDiesAtItsWork) {
  std::mt19937 random(20261123);
  for (int round = 0; round < kill_count; ++round) {
    const auto seed = static_cast<uint32_t>(random());
    Child child = Child::run([&](const Child::Parent& parent) {
      std::mt19937 own(seed);
      parent.say();
      live(directory_, own, [](const std::string& name) { return small(name); });
    });
    ASSERT_TRUE(child.listen());
    ::usleep(static_cast<useconds_t>(random() % 4000));
    child.kill();
    const auto settings = read_factory(paths(), "f");
    ASSERT_TRUE(settings) << settings.fault().message();
    ASSERT_LE(use().stations, 3u);
  }
  const auto removed = remove_factory(directory_, "f", true);
  ASSERT_TRUE(removed || removed.fault().code() == FaultCode::not_found);
  must(add_factory(paths(), "f", {}));
  EXPECT_EQ(factory_files(), 1u) << "what the dead left is gone with the next writer";
  EXPECT_TRUE(must(directory_.list()).empty());
  must(make("works"));
}

}  // namespace
}  // namespace loopline::shm
