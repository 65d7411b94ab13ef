// process ls: each producer and consumer with its process, its role and whether it lives.
#include <gmock/gmock.h>
#include <signal.h>

#include "scene.h"
#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

class ProcessLs : public ToolFixture {
 protected:
  ProcessLs() : station_(must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()))) {}
  static nlohmann::json listed(const std::string& station = "") {
    Words words = {"process", "ls", "--json"};
    if (!station.empty()) words.push_back(station);
    return json_told(words)["processes"];
  }
  Station station_;
};

TEST_F(ProcessLs, ListsEachHandleWithItsRole) {
  Producer producer = must(station_.producer());
  Consumer lossless = must(station_.consumer({.from = From::earliest}));
  Consumer lossy = must(station_.consumer({.lossy = true}));
  must(producer.publish("one"));
  const auto processes = listed();
  ASSERT_EQ(processes.size(), 3u);
  for (const auto& one : processes) {
    EXPECT_EQ(one["station"], "main/orders");
    EXPECT_EQ(one["pid"], ::getpid());
    EXPECT_EQ(one["uid"], ::geteuid());
    EXPECT_EQ(one["state"], "alive");
    EXPECT_TRUE(one["messages_per_s"].is_number());
  }
  EXPECT_EQ(processes[0]["role"], "producer");
  EXPECT_EQ(processes[0]["kind"], nullptr);
  EXPECT_EQ(processes[0]["messages"], 1);
  EXPECT_EQ(processes[1]["role"], "consumer");
  EXPECT_EQ(processes[1]["kind"], "lossless");
  EXPECT_EQ(processes[1]["lag_messages"], 1);
  EXPECT_EQ(processes[2]["kind"], "lossy");
  const std::string text = told({"process", "ls"});
  EXPECT_THAT(text, HasSubstr("lossless consumer"));
  EXPECT_THAT(text, HasSubstr(std::to_string(::getpid())));
  EXPECT_THAT(told({"process", "ls", "--format", "wide"}), HasSubstr("THREAD"));
}

TEST_F(ProcessLs, ListsOneStationOrAll) {
  const Station other = must(Station::create("billing/refunds", {}, instance_.folder()));
  Producer first = must(station_.producer());
  Producer second = must(other.producer());
  EXPECT_EQ(listed().size(), 2u);
  ASSERT_EQ(listed("billing/refunds").size(), 1u);
  EXPECT_EQ(listed("billing/refunds")[0]["station"], "billing/refunds");
  EXPECT_THAT(refused(3, {"process", "ls", "nothing"}), HasSubstr("main/nothing"));
}

TEST_F(ProcessLs, TellsTheStoppedFromTheLivingAndTheDead) {
  Program reader(tool_words({"consume", "orders", "--follow"}));
  const pid_t pid = reader.pid();
  const auto becomes = [](const char* state) {
    return wait_until([=] {
      const auto processes = listed();
      return processes.size() == 1 && processes[0]["state"] == state;
    });
  };
  EXPECT_TRUE(becomes("alive"));
  reader.send(SIGSTOP);
  EXPECT_TRUE(becomes("stopped"));
  reader.send(SIGKILL);
  reader.end();
  EXPECT_TRUE(becomes("dead"));
  EXPECT_EQ(listed()[0]["command"], "loopline");
  EXPECT_EQ(listed()[0]["pid"], pid);
}

TEST_F(ProcessLs, SaysThatNobodyIsAttached) {
  const Outcome outcome = loopline({"process", "ls"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.out, "");
  EXPECT_THAT(outcome.err, HasSubstr("nobody is attached"));
  EXPECT_TRUE(listed().empty());
}

TEST_F(ProcessLs, ComparesOneRefreshWithTheNext) {
  Producer producer = must(station_.producer());
  Program watch(tool_words({"process", "ls", "--json", "--watch=1ms"}));
  EXPECT_TRUE(watch.says("}\n{"));
  watch.send(SIGINT);
  const Outcome outcome = watch.end();
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.out, Not(HasSubstr("\"messages_per_s\":null")));
}

}  // namespace
}  // namespace loopline::test
