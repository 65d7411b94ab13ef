// Stations on disk: verify, info and ls of logs that are whole, damaged, without rings or conf.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "tool_fixture.h"

namespace loopline::test {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class LogTool : public ToolFixture {
 protected:
  LogTool() {
    told({"station", "add", "kept", "--ring=64KiB", "--storage=file", "--segment=64KiB"});
    put("one\n");
  }
  static void put(const std::string& lines) {
    told({"produce", "kept", "--ack=visible", "--quiet"}, lines);
    told({"flush", "kept", "--once", "--quiet"});
  }
  fs::path folder() const { return instance_.folder() + "/data/stations/main@kept"; }
  fs::path conf() const { return folder() / "station.conf"; }
  // As a reboot does it.
  void lose_memory() const { fs::remove(ring_path("kept")); }
  std::string segment() const {
    for (const auto& file : fs::directory_iterator(folder() / "0")) {
      const std::string name = file.path().filename();
      if (name.find('@') != std::string::npos) return name;
    }
    return "";
  }
  void flip(const std::string& file, std::streamoff offset) const {
    std::fstream stream(folder() / "0" / file, std::ios::in | std::ios::out | std::ios::binary);
    stream.seekg(offset);
    const int byte = stream.get();
    stream.seekp(offset);
    stream.put(static_cast<char>(byte ^ 1));
  }
};

constexpr std::streamoff first_batch = 8192;  // behind the two headers; each batch is a block here
constexpr std::streamoff frames_at = 192;     // in a batch

TEST_F(LogTool, FindsAWholeLogWhole) {
  EXPECT_THAT(told({"station", "verify", "kept"}),
              AllOf(HasSubstr("main/kept: message 1 in 1 segment and 1 batch (64KiB): whole\n"),
                    HasSubstr("next opening: it goes on behind message 1")));
  const auto verdict = json_told({"station", "verify", "kept", "--json"});
  EXPECT_EQ(verdict["well"], true);
  EXPECT_EQ(verdict["partitions"][0]["messages"], 1);
  lose_memory();
  EXPECT_THAT(told({"station", "verify", "kept"}), HasSubstr("message 1 in"));
  told({"station", "add", "fleeting", "--ring=64KiB"});
  EXPECT_THAT(refused(1, {"station", "verify", "fleeting"}), HasSubstr("is in memory"));
}

TEST_F(LogTool, NamesTheMessagesAndTheFileThatAreDamaged) {
  put("two\n");
  put("three\n");
  flip(segment(), first_batch + 4096 + frames_at + 40);
  const Outcome outcome = loopline({"station", "verify", "kept"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("message 2 is missing: segment 1, offset 12288: "),
                                 HasSubstr("file " + segment())));
  EXPECT_THAT(outcome.err, HasSubstr("has lost 1 message in 1 gap"));
  const auto verdict = nlohmann::json::parse(loopline({"station", "verify", "kept", "--json"}).out);
  EXPECT_EQ(verdict["partitions"][0]["gaps"][0]["first_sequence"], 2);
  EXPECT_EQ(verdict["partitions"][0]["gaps"][0]["count"], 1);
  EXPECT_EQ(verdict["partitions"][0]["gaps"][0]["file"], segment());
  EXPECT_EQ(verdict["partitions"][0]["messages"], 2);
  // From disk alone; the ring still has it.
  EXPECT_EQ(told({"consume", "kept"}), "one\ntwo\nthree\n");
  lose_memory();
  const Outcome read = loopline({"consume", "kept"});
  EXPECT_EQ(read.out, "one\nthree\n");
  EXPECT_THAT(read.err, HasSubstr("gap: 1 message from sequence 2 was neither in the ring nor"));
}

TEST_F(LogTool, DamageThatCostNothingIsToldToo) {
  flip(segment(), 4096 + 100);
  const Outcome outcome = loopline({"station", "verify", "kept"});
  EXPECT_EQ(outcome.status, 1);
  EXPECT_THAT(outcome.out, HasSubstr("one of the two headers"));
  EXPECT_THAT(outcome.err, HasSubstr("has lost no message"));
}

TEST_F(LogTool, ShowsWhatIsOnDiskAndWhoFlushesIt) {
  told({"produce", "kept", "--ack=visible", "--quiet"}, "two\n");
  EXPECT_THAT(told({"station", "info", "kept"}),
              AllOf(HasSubstr("on disk      message 1 in 1 segment (64KiB)"),
                    HasSubstr("durable      up to message 1; 1 message behind"),
                    HasSubstr("nobody flushes it to disk"), HasSubstr("retention    7d\n")));
  const auto log = json_told({"station", "info", "kept", "--json"})["log"];
  EXPECT_EQ(log["segment"], 64 << 10);
  EXPECT_EQ(log["partitions"][0]["durable_sequence"], 1);
  EXPECT_EQ(log["partitions"][0]["ring"]["lag_messages"], 1);
  Program flusher(tool_words({"flush", "kept", "--follow"}));
  ASSERT_TRUE(flusher.says("flushing a log"));
  EXPECT_THAT(told({"station", "info", "kept"}), HasSubstr("flushed by process "));
  EXPECT_THAT(told({"station", "verify", "kept"}), HasSubstr("it is being written now"));
  flusher.send(SIGINT);
  EXPECT_EQ(flusher.end().status, 0);
}

TEST_F(LogTool, EditsWhatAStationIsRevivedFrom) {
  EXPECT_THAT(told({"station", "edit", "kept", "--retention-messages=1000"}), HasSubstr("edited"));
  EXPECT_THAT(told({"station", "info", "kept"}), HasSubstr("retention    7d, 1,000 messages\n"));
  told({"station", "edit", "kept", "--ring=128KiB"});
  EXPECT_EQ(told({"consume", "kept"}), "one\n") << "the new ring begins empty, the disk does not";
  fs::remove(instance_.paths().shm + "/main@kept@0@2.ring");
  lose_memory();
  EXPECT_THAT(told({"station", "edit", "kept", "--flush=5ms"}), HasSubstr("edited"));
  EXPECT_EQ(json_told({"station", "info", "kept", "--json"})["parameters"]["ring"], 128 << 10);
}

TEST_F(LogTool, SaysWhatRetentionTakesNext) {
  EXPECT_THAT(told({"station", "info", "kept"}),
              HasSubstr("next to go   there is but one segment, and the one that is written"));
  for (int count = 0; count < 12; ++count) put(std::string(6000, 'x') + "\n");
  told({"station", "edit", "kept", "--retention-messages=1000"});
  const std::string info = told({"station", "info", "kept"});
  EXPECT_THAT(info, HasSubstr("next to go   messages 1 to "));
  EXPECT_THAT(info, HasSubstr(" old, go in "));
  EXPECT_THAT(info, HasSubstr(" more messages\n"));
  told({"station", "edit", "kept", "--retention-messages=1"});
  EXPECT_THAT(told({"station", "info", "kept"}), HasSubstr("would go, and nobody flushes it"));
  const auto json = json_told({"station", "info", "kept", "--json"})["log"]["partitions"][0];
  EXPECT_EQ(json["next_drop"]["first_sequence"], 1);
  EXPECT_EQ(json["next_drop"]["due"], true);
  told({"station", "edit", "kept", "--retention-messages=off", "--retention-age=off"});
  EXPECT_THAT(told({"station", "info", "kept"}), HasSubstr("nothing is ever dropped"));
}

TEST_F(LogTool, IsPurgedOnDiskToo) {
  EXPECT_THAT(refused(2, {"station", "purge", "kept"}),
              HasSubstr("the 1 message in station \"main/kept\", on disk too, would be dropped"));
  EXPECT_THAT(told({"station", "purge", "kept", "--yes"}), HasSubstr("is purged: 1 message ("));
  EXPECT_EQ(told({"consume", "kept"}), "");
  EXPECT_EQ(told({"station", "purge", "kept"}), "station main/kept is empty: nothing to purge\n");
  EXPECT_EQ(json_told({"station", "verify", "kept", "--json"})["well"], true);
  put("two\n");
  EXPECT_EQ(told({"consume", "kept"}), "two\n");
  const auto json = json_told({"station", "purge", "kept", "--yes", "--json"});
  EXPECT_EQ(json["messages_left"], 1);
  lose_memory();
  EXPECT_EQ(json_told({"station", "verify", "kept", "--json"})["well"], true);
  EXPECT_EQ(told({"consume", "kept"}), "");
  const auto log = json_told({"station", "info", "kept", "--json"})["log"]["partitions"][0];
  EXPECT_EQ(log["first_sequence"], log["durable_sequence"].get<int>() + 1);
}

TEST_F(LogTool, TellsWhoFlushesOfAnEdit) {
  Program flusher(tool_words({"flush", "kept", "--follow"}));
  ASSERT_TRUE(flusher.says("flushing a log"));
  told({"station", "edit", "kept", "--flush=5ms"});
  EXPECT_TRUE(flusher.says("main/kept was edited: its new parameters count"));
  flusher.send(SIGINT);
  EXPECT_EQ(flusher.end().status, 0);
}

TEST_F(LogTool, KnowsStationsThatAreOnDiskOnly) {
  lose_memory();
  const Outcome list = loopline({"station", "ls"});
  EXPECT_THAT(list.out, HasSubstr("on disk"));
  EXPECT_THAT(list.err, HasSubstr("loopline up"));
  EXPECT_THAT(told({"station", "info", "kept"}),
              AllOf(HasSubstr("whoever opens it first makes them again"),
                    HasSubstr("message 1 in 1 segment")));
  const auto info = json_told({"station", "info", "kept", "--json"});
  EXPECT_EQ(info["state"], "on-disk");
  EXPECT_EQ(info["messages"], 1);
  EXPECT_EQ(json_told({"station", "ls", "--json"})["stations"][0]["state"], "on-disk");
  EXPECT_EQ(told({"__stations"}), "kept\n");
  put("two\n");
  EXPECT_EQ(json_told({"station", "info", "kept", "--json"})["state"], "open");
  EXPECT_EQ(told({"consume", "kept", "--to=seq:1"}), "one\n");
  EXPECT_EQ(told({"consume", "kept"}), "one\ntwo\n");
}

TEST_F(LogTool, SaysHowToBringBackALostConf) {
  const fs::path aside = instance_.folder() + "/aside";
  fs::rename(conf(), aside);
  for (const Words& words : {Words{"flush", "kept", "--once"}, Words{"flush", "--once"},
                             Words{"station", "edit", "kept", "--segment=1MiB"}}) {
    EXPECT_THAT(refused(1, words), AllOf(HasSubstr("station.conf"), HasSubstr("\"uuid = ")));
  }
  EXPECT_THAT(told({"station", "info", "kept"}), HasSubstr("parameters is missing"));
  EXPECT_THAT(loopline({"station", "ls"}).err, HasSubstr("parameters is missing"));
  lose_memory();
  EXPECT_THAT(refused(1, {"consume", "kept"}), HasSubstr("put it back from a backup"));
  EXPECT_THAT(refused(1, {"station", "add", "kept", "--storage=file"}), HasSubstr("is missing"));
  EXPECT_THAT(told({"station", "ls"}), HasSubstr("damaged"));
  const std::string words = refused(1, {"flush", "kept", "--once"});
  std::ofstream again(conf());
  for (size_t at = words.find('"', words.find("lines: ")); at != std::string::npos;) {
    const size_t end = words.find('"', at + 1);
    again << words.substr(at + 1, end - at - 1) << "\n";
    at = words[end + 1] == ',' ? words.find('"', end + 1) : std::string::npos;
  }
  again.close();
  EXPECT_EQ(told({"consume", "kept"}), "one\n");
  told({"station", "rm", "kept", "--yes"});
  EXPECT_FALSE(fs::exists(folder()));
}

TEST_F(LogTool, NamesTheLineOfADamagedConf) {
  std::ofstream(conf(), std::ios::app) << "segmet = 1MiB\n";
  const std::string words = refused(1, {"flush", "kept", "--once"});
  EXPECT_THAT(words, AllOf(HasSubstr("\"segmet\" is no key"), HasSubstr("mend it there")));
  EXPECT_THAT(told({"station", "info", "kept"}), HasSubstr("segmet"));
  EXPECT_THAT(loopline({"station", "verify", "kept"}).err, HasSubstr("segmet"));
  std::ofstream(conf()).close();
  EXPECT_THAT(refused(1, {"flush", "--once"}), HasSubstr("it has no uuid"));
  lose_memory();
  told({"station", "rm", "kept", "--yes"});
  EXPECT_FALSE(fs::exists(folder()));
}

}  // namespace
}  // namespace loopline::test
