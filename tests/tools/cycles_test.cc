// Cycles: stations made, used and removed by the thousand, by processes that are killed at any
// moment, and many stations in many processes at once. Nothing is left behind.
#include <gmock/gmock.h>
#include <loopline/loopline.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <thread>

#include "shm/directory.h"
#include "shm/instance.h"
#include "tests/support/must.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using namespace std::chrono_literals;

constexpr int cycle_count = 1000;
constexpr int name_count = 8;  // few, so that the next one meets what a dead one left

class Cycles : public ToolFixture {
 protected:
  Cycles() { paths_ = must(shm::find_instance(instance_.folder())); }

  // What one process does with a station: it may be killed anywhere in here.
  static void live(const std::string& name, const std::string& dir, bool removes) {
    auto station = Station::open_or_create(name, {.ring = 64 << 10, .partitions = 2}, dir);
    if (!station) return;
    auto producer = station->producer();
    auto consumer = station->consumer({.from = From::earliest});
    if (producer && consumer) {
      for (int number = 0; number < 20; ++number) {
        (void)producer->publish("a message", {.timeout = 0ns});
        (void)consumer->poll([](const Message&) {}, 5);
      }
    }
    if (removes) (void)Station::remove(name, dir);
  }
  pid_t fork_life(const std::string& name, bool removes) const {
    const pid_t pid = ::fork();
    if (pid != 0) return pid;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    live(name, instance_.folder(), removes);
    ::_exit(0);
  }
  std::vector<std::string> files() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(paths_.shm)) {
      names.push_back(entry.path().filename());
    }
    return names;
  }

  shm::InstancePaths paths_;
};

TEST_F(Cycles, OfMakingUsingAndRemovingLeaveNothingWhoeverDies) {
  std::mt19937 random(20261123);
  int killed_count = 0;
  for (int cycle = 0; cycle < cycle_count; ++cycle) {
    const std::string name = "station-" + std::to_string(random() % name_count);
    const std::string other = "station-" + std::to_string(random() % name_count);
    const pid_t one = fork_life(name, random() % 2 == 0);
    const pid_t two = fork_life(other, true);
    std::this_thread::sleep_for(std::chrono::microseconds(random() % 4000));
    if (random() % 2 == 0) ::kill(one, SIGKILL);
    if (random() % 2 == 0) ::kill(two, SIGKILL);
    for (const pid_t pid : {one, two}) {
      int status = 0;
      ::waitpid(pid, &status, 0);
      ASSERT_TRUE(WIFSIGNALED(status) ? WTERMSIG(status) == SIGKILL : WEXITSTATUS(status) == 0)
          << "cycle " << cycle << ", status " << status;
      killed_count += WIFSIGNALED(status) ? 1 : 0;
    }
  }
  EXPECT_GT(killed_count, cycle_count / 10) << "too few were killed in the midst of it";
  // Whoever comes next uses each of them like any other, and removes it.
  for (int number = 0; number < name_count; ++number) {
    const std::string name = "station-" + std::to_string(number);
    const auto station = Station::open_or_create(name, {}, instance_.folder());
    ASSERT_TRUE(station) << station.fault().message();
    Consumer consumer = must(station->consumer());
    must(must(station->producer()).publish("after all that"));
    EXPECT_EQ(must(consumer.take(10s))->text(), "after all that");
    must(Station::remove(name, instance_.folder()));
  }
  EXPECT_THAT(files(), testing::ElementsAre("roster"));
  for (const auto& check : nlohmann::json::parse(loopline({"doctor", "--json"}).out)["checks"]) {
    constexpr const char* ours[] = {"instance",     "roster",       "rings",
                                    "damaged-ring", "removed-ring", "stale-ring",
                                    "dead-places",  "stranger",     "stale-bells"};
    for (const char* code : ours) EXPECT_TRUE(check["code"] != code || check["level"] == "ok");
  }
}

TEST_F(Cycles, TwoHundredStationsAreUsedByFourProcessesAtOnce) {
  constexpr int station_count = 200, process_count = 4;
  const auto name_of = [](int number) { return "many/station-" + std::to_string(number); };
  for (int number = 0; number < station_count; ++number) {
    must(Station::create(name_of(number), {.ring = 64 << 10}, instance_.folder()));
  }
  // Each process publishes once to every station and hears all four of them.
  const auto work = [&] {
    std::vector<Producer> producers;
    std::vector<Consumer> consumers;
    for (int number = 0; number < station_count; ++number) {
      const Station station = must(Station::open(name_of(number), instance_.folder()));
      producers.push_back(must(station.producer()));
      consumers.push_back(must(station.consumer({.from = From::earliest})));
    }
    for (Producer& producer : producers) must(producer.publish(std::to_string(::getpid())));
    for (Consumer& consumer : consumers) {
      for (int heard = 0; heard < process_count; ++heard) {
        if (!must(consumer.take(60s))) return false;
      }
    }
    return true;
  };
  std::vector<pid_t> pids;
  for (int process = 0; process < process_count; ++process) {
    const pid_t pid = ::fork();
    if (pid == 0) {
      ::prctl(PR_SET_PDEATHSIG, SIGKILL);
      bool is_well = false;
      try {
        is_well = work();
      } catch (const std::exception& problem) {
        std::fprintf(stderr, "%s\n", problem.what());
      }
      ::_exit(is_well ? 0 : 1);
    }
    pids.push_back(pid);
  }
  for (const pid_t pid : pids) {
    int status = 0;
    ::waitpid(pid, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(json_told({"station", "ls", "--json"})["stations"].size(), 200u);
}

}  // namespace
}  // namespace loopline::test
