// demo and bench: they run, find everything equal, and leave nothing behind.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

// Shared memory and folders of the test's own, so that what is left behind would show.
class Traceless : public ToolFixture {
 protected:
  Traceless() {
    ::unsetenv("LOOPLINE_DIR");
    ::setenv("LOOPLINE_SHM", (folder_.path() + "/shm").c_str(), 1);
    ::setenv("TMPDIR", folder_.path().c_str(), 1);
  }
  ~Traceless() override {
    ::unsetenv("LOOPLINE_SHM");
    ::unsetenv("TMPDIR");
  }
  bool nothing_is_left() const { return std::filesystem::is_empty(folder_.path()); }

  std::string input(const std::string& text) const {
    const std::string path = instance_.folder() + "/input";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  TempFolder folder_;
};

TEST_F(Traceless, DemoFindsEverythingEqual) {
  const auto result = json_told({"demo", "--seconds", "1", "--json"});
  EXPECT_EQ(result["equal"], true);
  EXPECT_EQ(result["removed"], true);
  EXPECT_EQ(result["dense"], true);
  EXPECT_GT(result["killed_sequence"], 0);
  ASSERT_EQ(result["consumers"].size(), 3u);
  for (const auto& consumer : result["consumers"]) {
    EXPECT_EQ(consumer["equal"], true);
    EXPECT_EQ(consumer["got"], consumer["journals"]);
  }
  EXPECT_EQ(result["consumers"][0]["messages"], result["messages"]);
  EXPECT_GT(result["consumers"][1]["first_sequence"], 1);
  EXPECT_GT(result["consumers"][2]["missed"], 0);
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Traceless, DemoTellsItsStoryOnRecordsOfTheUser) {
  const std::string path = input("first line\nsecond line\nthird line\n");
  const std::string text = told({"demo", "--seconds", "1", "--input", path});
  EXPECT_THAT(text, HasSubstr("3 records from " + path));
  EXPECT_THAT(text, HasSubstr("is killed inside a claim"));
  EXPECT_THAT(text, HasSubstr("All equal"));
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Traceless, DemoRemovesEverythingWhenInterrupted) {
  Program demo(tool_words({"demo", "--seconds", "60"}));
  EXPECT_TRUE(demo.says("published"));
  demo.send(SIGINT);
  const Outcome outcome = demo.end();
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.err, HasSubstr("interrupted"));
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Traceless, DemoRefusesInputWithoutRecords) {
  EXPECT_THAT(refused(2, {"demo", "--input", input("\n\n")}), HasSubstr("no records"));
  EXPECT_THAT(refused(3, {"demo", "--input", input("") + "x"}), HasSubstr("cannot read"));
  EXPECT_THAT(refused(2, {"demo", "--input", input(std::string(1 << 20, 'x'))}),
              HasSubstr("1,048,576"));
  EXPECT_THAT(refused(2, {"demo", "--seconds", "never"}), HasSubstr("never"));
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Traceless, BenchMeasuresRoundTrips) {
  const auto result = json_told({"bench", "rtt", "--seconds", "0.1", "--size", "64B", "--json"});
  EXPECT_EQ(result["bench"], "rtt");
  EXPECT_EQ(result["size_bytes"], 64);
  EXPECT_GT(result["messages"], 0);
  EXPECT_GT(result["p50_ns"], 0);
  EXPECT_GE(result["max_ns"], result["p999_ns"]);
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Traceless, BenchMeasuresAStream) {
  for (const char* wait : {"spin", "adaptive", "park"}) {
    const auto result = json_told({"bench", "pub", "--seconds", "0.1", "--wait", wait, "--json"});
    EXPECT_EQ(result["bench"], "one-way");
    EXPECT_GT(result["rate_per_s"], 0);
  }
  EXPECT_THAT(told({"bench", "pub", "--seconds", "0.1"}), HasSubstr("rate"));
  EXPECT_TRUE(nothing_is_left());
}

TEST_F(Traceless, BenchRefusesWhatItCannotMeasure) {
  EXPECT_THAT(refused(2, {"bench", "rtt", "--wait", "long"}), HasSubstr("spin, adaptive or park"));
  EXPECT_THAT(refused(2, {"bench", "rtt", "--size", "1GiB"}), HasSubstr("16MiB"));
  EXPECT_TRUE(nothing_is_left());
}

}  // namespace
}  // namespace loopline::test
