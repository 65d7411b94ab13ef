// station: add, ls, info, rm, and what bad input gets.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

class StationTool : public ToolFixture {};

TEST_F(StationTool, AddsAStationThatLsAndInfoShow) {
  EXPECT_THAT(told({"station", "add", "orders", "--ring", "64KiB"}), HasSubstr("main/orders"));
  EXPECT_THAT(told({"station", "ls"}), HasSubstr("main/orders  open   memory   64KiB"));
  EXPECT_THAT(told({"station", "info", "orders"}), HasSubstr("when-full    block"));
}

TEST_F(StationTool, TakesEveryParameter) {
  told({"station", "add", "billing/orders", "--ring=128KiB", "--max-message=1KiB", "--exclusive",
        "--when-full=reject", "--timestamp=off", "--mode=0600"});
  const auto info = json_told({"station", "info", "billing/orders", "--json"});
  EXPECT_EQ(info["parameters"]["ring"], 128 << 10);
  EXPECT_EQ(info["parameters"]["max_message"], 1024);
  EXPECT_EQ(info["parameters"]["exclusive"], true);
  EXPECT_EQ(info["parameters"]["when_full"], "reject");
  EXPECT_EQ(info["parameters"]["timestamp"], "off");
  struct stat status;
  ASSERT_EQ(::stat(info["path"].get<std::string>().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(StationTool, SaysForHowLongIdsAreKnown) {
  told({"factory", "add", "billing", "--dedup-window", "10m"});
  told({"station", "add", "billing/orders", "--ring", "64KiB", "--dedup-entries", "1024"});
  const auto parameters = [] {
    return json_told({"station", "info", "billing/orders", "--json"})["parameters"];
  };
  EXPECT_EQ(parameters()["dedup_window_ns"], 600'000'000'000);
  EXPECT_EQ(parameters()["dedup_entries"], 1024);
  EXPECT_THAT(told({"station", "info", "billing/orders"}), HasSubstr("10m, 1,024 ids at once"));
  told({"station", "edit", "billing/orders", "--dedup-window", "off", "--yes"});
  EXPECT_EQ(parameters()["dedup_window_ns"], 0);
  EXPECT_THAT(refused(2, {"station", "edit", "billing/orders", "--dedup-entries", "2048"}),
              HasSubstr("dedup-entries"));
}

TEST_F(StationTool, ShowsPartitionsTogetherAndEachForItself) {
  told({"station", "add", "orders", "--ring=64KiB", "--partitions=4"});
  told({"produce", "orders", "--quiet"}, "a\nb\nc\nd\ne\n");
  EXPECT_THAT(told({"station", "ls"}), HasSubstr("4x 64KiB"));
  const std::string text = told({"station", "info", "orders"});
  EXPECT_THAT(text, HasSubstr("partitions   4"));
  EXPECT_THAT(text, HasSubstr("5 so far"));
  EXPECT_THAT(text, HasSubstr("PARTITION"));
  const auto info = json_told({"station", "info", "orders", "--json"});
  EXPECT_EQ(info["parameters"]["partitions"], 4);
  EXPECT_EQ(info["messages"], 5);
  ASSERT_EQ(info["rings"].size(), 4u);
  EXPECT_EQ(info["rings"][0]["last_sequence"], 2);
  EXPECT_EQ(info["rings"][3]["partition"], 3);
  told({"station", "add", "strict", "--evict-after", "2s"});
  EXPECT_THAT(told({"station", "info", "strict"}), HasSubstr("evict-after  2s"));
  for (const char* bad : {"soon", "0s", "-1s", "999999d"}) {
    EXPECT_THAT(refused(2, {"station", "add", "x", std::string("--evict-after=") + bad}),
                HasSubstr("write 250ms, 5s, or off"));
  }
  EXPECT_THAT(refused(2, {"station", "add", "x", "--partitions", "0"}), HasSubstr("0 partitions"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--partitions", "many"}), HasSubstr("1 to 256"));
  told({"station", "rm", "orders", "--yes"});
  EXPECT_THAT(refused(3, {"station", "info", "orders"}), HasSubstr("there is no station"));
}

TEST_F(StationTool, ListsStationsAsJsonByName) {
  told({"station", "add", "b"});
  told({"station", "add", "a"});
  const auto list = json_told({"station", "ls", "--format", "json"});
  ASSERT_EQ(list["stations"].size(), 2u);
  EXPECT_EQ(list["stations"][0]["station"], "main/a");
  EXPECT_EQ(list["stations"][1]["last_sequence"], 0);
}

TEST_F(StationTool, RemovesAStationOnlyWhenToldYes) {
  told({"station", "add", "orders"});
  EXPECT_THAT(refused(2, {"station", "rm", "orders"}), HasSubstr("--yes"));
  told({"station", "rm", "orders", "--yes"});
  EXPECT_THAT(refused(3, {"station", "info", "orders"}), HasSubstr("no station \"main/orders\""));
  EXPECT_THAT(refused(3, {"station", "rm", "orders", "--yes"}), HasSubstr("station ls"));
}

TEST_F(StationTool, RefusesToAddWhatIsThere) {
  told({"station", "add", "orders"});
  EXPECT_THAT(refused(1, {"station", "add", "orders", "--ring", "1MiB"}), HasSubstr("exists"));
}

TEST_F(StationTool, RefusesBadNamesAndSizes) {
  EXPECT_THAT(refused(2, {"station", "add", "Orders"}), HasSubstr("'O'"));
  EXPECT_THAT(refused(2, {"station", "add", "a/b/c"}), HasSubstr("a/b/c"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--ring", "64KB"}), HasSubstr("64KiB"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--ring", "3MiB"}), HasSubstr("power of two"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--max-message", "0"}), HasSubstr("max-message"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--max-message", "2MiB"}), HasSubstr("2MiB"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--mode", "9"}), HasSubstr("octal"));
  EXPECT_THAT(refused(2, {"station", "add", "x", "--when-full", "wait"}), HasSubstr("reject"));
}

TEST_F(StationTool, SaysWhatIsMissingWhenThereIsNoInstance) {
  const std::string err = refused(3, {"station", "ls", "--dir", instance_.folder() + "/none"});
  EXPECT_THAT(err, HasSubstr("loopline station add"));
}

TEST_F(StationTool, NamesAStrangerAmongTheRings) {
  told({"station", "add", "orders"});
  const std::string path = ring_path("broken");
  const int fd = ::open(path.c_str(), O_CREAT | O_WRONLY, 0600);
  ASSERT_EQ(::write(fd, "no ring", 7), 7);
  ::close(fd);
  const Outcome outcome = loopline({"station", "ls"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_THAT(outcome.err, HasSubstr(path));
  EXPECT_THAT(refused(1, {"station", "info", "broken"}), HasSubstr("not a ring"));
}

TEST_F(StationTool, RefusesAnotherLayoutVersion) {
  told({"station", "add", "orders"});
  const int fd = ::open(ring_path("orders").c_str(), O_WRONLY);
  const uint32_t version = 99;
  ASSERT_EQ(::pwrite(fd, &version, sizeof version, 8), 4);
  ::close(fd);
  for (const char* noun : {"produce", "consume"}) {
    EXPECT_THAT(refused(1, {noun, "orders"}), HasSubstr("version 99"));
  }
  EXPECT_THAT(refused(1, {"ring", "show", "orders"}), HasSubstr("version 99"));
}

TEST_F(StationTool, RefusesARingCutShort) {
  told({"station", "add", "orders"});
  ASSERT_EQ(::truncate(ring_path("orders").c_str(), 8192), 0);
  EXPECT_THAT(refused(1, {"consume", "orders"}), HasSubstr("cut short"));
  EXPECT_THAT(refused(1, {"ring", "show", "orders"}), HasSubstr("cut short"));
}

TEST_F(StationTool, RemovesEvenARingThatNobodyCanUse) {
  told({"station", "add", "orders"});
  ASSERT_EQ(::truncate(ring_path("orders").c_str(), 8192), 0);
  told({"station", "rm", "orders", "--yes"});
  EXPECT_EQ(json_told({"station", "ls", "--json"})["strangers"].size(), 0u);
  told({"station", "add", "orders"});
}

}  // namespace
}  // namespace loopline::test
