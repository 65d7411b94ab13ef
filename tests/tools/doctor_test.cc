// doctor: every check answers, --fix does what is safe, and messages stay unless --yes is said.
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "scene.h"
#include "shm/attached.h"
#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

// Shared memory of the test's own, so that its neighbours are its own, too.
class Doctor : public ToolFixture {
 protected:
  Doctor() {
    ::setenv("LOOPLINE_SHM", (memory_.path() + "/shm").c_str(), 1);
    paths_ = must(shm::find_instance(instance_.folder()));
  }
  ~Doctor() override { ::unsetenv("LOOPLINE_SHM"); }

  // The machine may lack what it likes: only what is asked for counts.
  static nlohmann::json checks(Words more = {}) {
    Words words = {"doctor", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return nlohmann::json::parse(loopline(words).out)["checks"];
  }
  static nlohmann::json check(const std::string& code, Words more = {}) {
    const auto all = checks(std::move(more));
    for (const auto& one : all) {
      if (one["code"] == code) return one;
    }
    return {};
  }
  void add(const std::string& station) const {
    must(Station::create(station, {.ring = 64 << 10}, instance_.folder()));
  }
  std::string path(const std::string& file) const { return paths_.shm + "/" + file; }
  static bool exists(const std::string& path) { return std::filesystem::exists(path); }
  static size_t messages(const std::string& station) {
    return json_told({"station", "info", station, "--json"})["held_messages"];
  }

  TempFolder memory_;
  shm::InstancePaths paths_;
};

TEST_F(Doctor, ChecksTheMachineByNameAndGivesEachRemedy) {
  std::vector<std::string> codes;
  for (const auto& one : checks()) {
    codes.push_back(one["code"]);
    EXPECT_FALSE(one["text"].get<std::string>().empty());
    EXPECT_EQ(one["level"] == "ok", one["remedy"] == "") << one;
  }
  for (const char* code :
       {"shm-size", "container", "memlock", "huge-pages", "clock", "clock-sync", "kernel",
        "processors", "instructions", "robust-locks", "futex_waitv", "io_uring", "instance"}) {
    EXPECT_THAT(codes, ::testing::Contains(code));
  }
  EXPECT_THAT(loopline({"doctor"}).out, HasSubstr("robust-locks"));
  EXPECT_THAT(refused(2, {"doctor", "--yes"}), HasSubstr("--fix --yes"));
}

TEST_F(Doctor, FailsWhereSharedMemoryIsNoMemory) {
  ::setenv("LOOPLINE_SHM", "/proc/loopline", 1);
  const Outcome outcome = loopline({"doctor", "--json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(nlohmann::json::parse(outcome.err)["error"]["message"], HasSubstr("shm-size"));
  EXPECT_EQ(nlohmann::json::parse(outcome.out)["worst"], "critical");
}

TEST_F(Doctor, CleansUpAfterTheDeadAndKeepsTheirMessages) {
  add("orders");
  killed_in_a_claim("orders", instance_.folder(), 3);
  const auto stale = check("stale-ring");
  EXPECT_EQ(stale["level"], "warning");
  EXPECT_THAT(stale["text"], HasSubstr("main/orders: 1 place left by processes that died"));
  const auto fixed = check("stale-ring", {"--fix"});
  EXPECT_EQ(fixed["level"], "ok");
  EXPECT_THAT(fixed["done"], HasSubstr("cleaned up after the dead"));
  EXPECT_EQ(check("stale-ring"), nullptr);
  EXPECT_EQ(messages("orders"), 4u);
  EXPECT_EQ(json_told({"ring", "show", "orders", "--json"})["open_claim_count"], 0);
  EXPECT_EQ(told({"consume", "orders"}), "whole\nwhole\nwhole\n");
}

TEST_F(Doctor, RemovesARingOfTheDeadOnlyWhenToldYes) {
  add("orders");
  killed_in_a_claim("orders", instance_.folder());
  const auto fixed = check("stale-ring", {"--fix", "--yes"});
  EXPECT_EQ(fixed["done"], "removed it, with its messages");
  EXPECT_FALSE(exists(path("main@orders@0@1.ring")));
}

TEST_F(Doctor, LeavesARingWithSomebodyAliveToThem) {
  const Station station = must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()));
  Consumer consumer = must(station.consumer());
  killed_in_a_claim("orders", instance_.folder());
  EXPECT_EQ(check("stale-ring"), nullptr);
  EXPECT_THAT(check("dead-places", {"--fix", "--yes"})["done"],
              HasSubstr("no message was touched"));
  EXPECT_EQ(messages("orders"), 2u);
}

TEST_F(Doctor, KeepsAStationOfWhichOnePartitionIsStillRead) {
  told({"station", "add", "orders", "--ring=64KiB", "--partitions=2"});
  killed_in_a_claim("orders", instance_.folder());
  const Station station = must(Station::open("orders", instance_.folder()));
  {
    const Consumer reader = must(station.consumer({.partition = 1}));
    EXPECT_EQ(check("stale-ring", {"--fix", "--yes"}), nullptr);
    told({"station", "info", "orders"});
  }
}

TEST_F(Doctor, FinishesARemovalThatSomebodyBegan) {
  add("orders");
  const auto directory = must(shm::Directory::open(paths_));
  auto mapping = must(directory.attach({"main", "orders"}, 0, shm::Access::produce));
  must(shm::Attached::make(std::move(mapping), must(directory.roster()), directory)
           ->seal_for_good());
  EXPECT_EQ(check("removed-ring")["level"], "warning");
  EXPECT_THAT(check("removed-ring", {"--fix"})["done"], HasSubstr("unlinked"));
  EXPECT_FALSE(exists(path("main@orders@0@1.ring")));
}

TEST_F(Doctor, UnlinksOnlyWhatWasNeverARing) {
  add("orders");
  add("other");
  std::ofstream(path("main@garbage@0@1.ring")) << "no ring at all";
  std::ofstream(path("main@empty@0@1.ring")) << "";
  std::ofstream(path("notes.txt")) << "mine";
  std::filesystem::resize_file(path("main@orders@0@1.ring"), 8192);
  checks({"--fix"});
  EXPECT_FALSE(exists(path("main@garbage@0@1.ring")));
  EXPECT_FALSE(exists(path("main@empty@0@1.ring")));
  EXPECT_TRUE(exists(path("main@orders@0@1.ring")));
  checks({"--fix", "--yes"});
  EXPECT_FALSE(exists(path("main@orders@0@1.ring")));
  EXPECT_TRUE(exists(path("notes.txt")));
  EXPECT_TRUE(exists(path("main@other@0@1.ring")));
}

// A reader of a removed ring asked for an fd and was killed.
TEST_F(Doctor, UnlinksBellsWhoseRingIsGone) {
  add("orders");
  const std::string stale = path("main@gone@0@1@0123456789abcdef@3.bell");
  ASSERT_EQ(::mkfifo(stale.c_str(), 0600), 0);
  const Station station = must(Station::open("orders", instance_.folder()));
  Consumer consumer = must(station.consumer());
  must(consumer.fd());
  EXPECT_EQ(check("stranger"), nullptr);
  EXPECT_THAT(check("stale-bells")["text"], HasSubstr("1 bell file left by readers"));
  EXPECT_EQ(check("stale-bells", {"--fix"})["done"], "unlinked 1 file");
  EXPECT_FALSE(exists(stale));
  EXPECT_EQ(check("stale-bells"), nullptr);
  EXPECT_EQ(must(shm::Directory::open(paths_)).list_stale_bells().size(), 0u);
}

TEST_F(Doctor, TellsDamageAndTouchesNothing) {
  add("orders");
  scribble(path("main@orders@0@1.ring"), shm::page_size, 7);
  const Outcome outcome = loopline({"doctor", "--fix", "--json"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("damaged-ring"));
  EXPECT_TRUE(exists(path("main@orders@0@1.ring")));
}

TEST_F(Doctor, RemovesTheFolderOfAnInstanceWithoutRings) {
  add("orders");
  told({"station", "rm", "orders", "--yes"});
  EXPECT_THAT(check("instance")["text"], HasSubstr("holds no rings, and nobody is attached"));
  EXPECT_EQ(check("instance", {"--fix"})["level"], "ok");
  EXPECT_FALSE(exists(paths_.shm));
}

TEST_F(Doctor, NeverTouchesTheRingsOfAnotherInstance) {
  add("orders");
  TempFolder elsewhere;
  const std::string dir = elsewhere.path();
  told({"station", "add", "theirs", "--dir", dir});
  const auto other = check("other-instance", {"--fix", "--yes"});
  EXPECT_EQ(other["level"], "warning");
  EXPECT_THAT(other["remedy"], HasSubstr("rm -r"));
  EXPECT_EQ(json_told({"station", "ls", "--json", "--dir", dir})["stations"].size(), 1u);
  told({"station", "rm", "theirs", "--yes", "--dir", dir});
  EXPECT_EQ(check("other-instance", {"--fix"})["done"], "removed it");
  EXPECT_FALSE(exists(must(shm::find_instance(dir)).shm));
}

}  // namespace
}  // namespace loopline::test
