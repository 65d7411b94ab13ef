// ring dump, ring watch: what stands in a ring and how it moves, alive, dead or full of garbage.
#include <gmock/gmock.h>
#include <signal.h>

#include <sstream>

#include "scene.h"
#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<nlohmann::json> json_lines(const std::string& text) {
  std::vector<nlohmann::json> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(nlohmann::json::parse(line));
  return lines;
}

class RingDump : public ToolFixture {
 protected:
  RingDump() : station_(must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()))) {}
  static std::vector<nlohmann::json> dumped(Words more = {}) {
    Words words = {"ring", "dump", "orders", "--json"};
    words.insert(words.end(), more.begin(), more.end());
    return json_lines(told(words));
  }
  Station station_;
};

TEST_F(RingDump, PrintsEachFrameInOrderWithItsFirstBytes) {
  told({"produce", "orders"}, "one\n\ttwo\n");
  const std::string text = told({"ring", "dump", "orders"});
  EXPECT_THAT(text, HasSubstr("SEQUENCE"));
  EXPECT_THAT(text, HasSubstr("6f 6e 65  |one|\n"));
  EXPECT_THAT(text, HasSubstr("09 74 77 6f  |.two|\n"));
  const auto frames = dumped();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0]["sequence"], 1);
  EXPECT_EQ(frames[0]["type"], "message");
  EXPECT_EQ(frames[0]["payload_bytes"], 3);
  EXPECT_EQ(frames[0]["head_hex"], "6f6e65");
  EXPECT_EQ(frames[1]["position"], frames[0]["position"].get<uint64_t>() + 64);
}

TEST_F(RingDump, LooksBehindKeysAndHeadersForThePayload) {
  told({"produce", "orders", "--key", "AAPL", "--header", "a=b"}, "one\n");
  const auto frame = dumped().at(0);
  EXPECT_GT(frame["extension_bytes"], 0);
  EXPECT_EQ(frame["head_hex"], "6f6e65");
}

TEST_F(RingDump, BeginsAndEndsWhereItIsTold) {
  told({"produce", "orders"}, "1\n2\n3\n4\n5\n");
  const auto frames = dumped({"--from", "2", "--limit", "3"});
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0]["sequence"], 2);
  EXPECT_EQ(frames[2]["sequence"], 4);
  EXPECT_THAT(loopline({"ring", "dump", "orders", "--from", "9"}).err, HasSubstr("no frames"));
  EXPECT_THAT(refused(2, {"ring", "dump", "orders", "--limit", "0"}), HasSubstr("--limit"));
}

TEST_F(RingDump, TellsOpenAndEmptyFramesFromMessages) {
  Producer producer = must(station_.producer());
  must(must(producer.claim(10)).abort());
  Slot slot = must(producer.claim(10));
  const auto frames = dumped();
  ASSERT_EQ(frames.size(), 2u);
  EXPECT_EQ(frames[0]["type"], "aborted");
  EXPECT_EQ(frames[0]["filler"], true);
  EXPECT_EQ(frames[1]["type"], "open");
  EXPECT_EQ(frames[1]["owner"]["pid"], ::getpid());
  const std::string text = told({"ring", "dump", "orders"});
  EXPECT_THAT(text, HasSubstr("no message: producer 0 gave it up"));
  EXPECT_THAT(text, HasSubstr("being filled by producer 0"));
  must(slot.commit());
}

TEST_F(RingDump, ReadsARingWhoseProcessesAreAllDead) {
  killed_in_a_claim("orders", instance_.folder(), 2);
  const auto frames = dumped();
  ASSERT_EQ(frames.size(), 3u);
  EXPECT_EQ(frames[0]["head_hex"], "77686f6c65");
  EXPECT_EQ(frames[2]["owner"]["state"], "dead");
  told({"produce", "orders"}, "next\n");
  told({"doctor", "--fix", "--quiet"});
  EXPECT_EQ(dumped().at(2)["type"], "dead");
}

TEST_F(RingDump, SaysWhereTheWalkStopsInARingOfGarbage) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    scribble(ring_path("orders"), shm::page_size, seed);
    const Outcome outcome = loopline({"ring", "dump", "orders"});
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr("the walk stops at sequence"));
  }
}

TEST_F(RingDump, ToolsThatLookSurviveGarbageOfAnyKind) {
  const std::vector<Words> looks = {{"ring", "show", "orders"},
                                    {"ring", "watch", "orders", "--every=1ms", "--count=1"},
                                    {"station", "ls"},
                                    {"station", "info", "orders"},
                                    {"process", "ls"}};
  for (uint32_t seed = 10; seed < 12; ++seed) {
    scribble(ring_path("orders"), shm::page_size, seed);
    for (Words words : looks) {
      EXPECT_LE(loopline(words).status, 1);
      words.push_back("--json");
      EXPECT_TRUE(json_told(words).is_object());
    }
  }
}

class RingWatch : public RingDump {};

TEST_F(RingWatch, PrintsALineAnInterval) {
  Producer producer = must(station_.producer());
  Consumer consumer = must(station_.consumer({.from = From::earliest}));
  must(producer.publish("one"));
  const std::string text = told({"ring", "watch", "orders", "--every", "1ms", "--count", "3"});
  EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 3);
  EXPECT_THAT(text, HasSubstr("in 0/s"));
  EXPECT_THAT(text, HasSubstr("c0 0/s lag 1"));
  const auto lines =
      json_lines(told({"ring", "watch", "orders", "--every=1ms", "--count=2", "--json"}));
  ASSERT_EQ(lines.size(), 2u);
  EXPECT_EQ(lines[1]["last_sequence"], 1);
  EXPECT_EQ(lines[1]["lag_messages_max"], 1);
  EXPECT_EQ(lines[1]["producers"][0]["pid"], ::getpid());
  EXPECT_EQ(lines[1]["consumers"][0]["messages_per_s"], 0.0);
}

TEST_F(RingWatch, CountsWhatComesIn) {
  Program watch(tool_words({"ring", "watch", "orders", "--every=1ms", "--json"}));
  ASSERT_TRUE(watch.says("}\n"));
  Producer producer = must(station_.producer());
  for (int count = 0; count < 20; ++count) must(producer.publish("one"));
  ASSERT_TRUE(watch.says("\"last_sequence\":20"));
  watch.send(SIGINT);
  EXPECT_EQ(watch.end().status, 0);
}

TEST_F(RingWatch, RefusesNonsense) {
  EXPECT_THAT(refused(2, {"ring", "watch", "orders", "--every", "5"}), HasSubstr("5ms"));
  EXPECT_THAT(refused(2, {"ring", "watch", "orders", "--every", "0s"}), HasSubstr("above 0"));
  EXPECT_THAT(refused(3, {"ring", "watch", "nothing"}), HasSubstr("main/nothing"));
}

TEST_F(RingWatch, SaysInWordsThatTheRingWasCutShortUnderALook) {
  const std::vector<Words> looks = {{"ring", "watch", "orders", "--every=1ms"},
                                    {"ring", "show", "orders", "--watch=1ms"},
                                    {"process", "ls", "orders", "--watch=1ms", "--json"},
                                    {"why", "orders", "--watch=1ms"}};
  for (const Words& words : looks) {
    Program look(tool_words(words));
    ASSERT_TRUE(look.says("\n"));
    ASSERT_EQ(::truncate(ring_path("orders").c_str(), 8192), 0);
    const Outcome outcome = look.end();
    EXPECT_EQ(outcome.status, 1);
    EXPECT_THAT(outcome.err, HasSubstr("cut short"));
    told({"station", "rm", "orders", "--yes"});
    told({"station", "add", "orders", "--ring=64KiB"});
  }
}

TEST_F(RingWatch, GoesOnWhenTheRosterIsCutShortUnderALook) {
  killed_in_a_claim("orders", instance_.folder());
  Program look(tool_words({"ring", "watch", "orders", "--every=1ms", "--json"}));
  ASSERT_TRUE(look.says("\"state\":\"dead\""));
  ASSERT_EQ(::truncate((instance_.paths().shm + "/roster").c_str(), 4096), 0);
  EXPECT_TRUE(look.says("\"state\":\"unknown\""));
  look.send(SIGINT);
  EXPECT_EQ(look.end().status, 0);
}

}  // namespace
}  // namespace loopline::test
