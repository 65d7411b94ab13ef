// ring show: the drawing, the tables and the JSON of a ring in use.
#include <gmock/gmock.h>
#include <loopline/loopline.h>
#include <signal.h>

#include "tests/support/must.h"
#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

class RingShow : public ToolFixture {
 protected:
  RingShow() : station_(must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()))) {}
  static nlohmann::json shown() { return json_told({"ring", "show", "orders", "--json"}); }
  Station station_;
};

TEST_F(RingShow, DrawsTheWindowIn80Columns) {
  told({"produce", "orders"}, std::string(3000, 'a') + "\n" + std::string(3000, 'b') + "\n");
  const std::string text = told({"ring", "show", "orders"});
  EXPECT_THAT(text, HasSubstr("[--------...."));
  EXPECT_THAT(text, HasSubstr("sequences 1 to 2 are in the ring (2 messages)"));
  size_t width = 0, widest = 0;
  for (const char letter : text) {
    width = letter == '\n' ? 0 : width + 1;
    widest = std::max(widest, width);
  }
  EXPECT_EQ(widest, 80u);
}

TEST_F(RingShow, TellsEachConsumerAndItsLag) {
  Consumer consumer = must(station_.consumer({.from = From::earliest}));
  told({"produce", "orders"}, "one\ntwo\n");
  const auto ring = shown();
  ASSERT_EQ(ring["cursors"].size(), 1u);
  EXPECT_EQ(ring["cursors"][0]["kind"], "lossless");
  EXPECT_EQ(ring["cursors"][0]["state"], "alive");
  EXPECT_EQ(ring["cursors"][0]["pid"], ::getpid());
  EXPECT_EQ(ring["cursors"][0]["lag_messages"], 2);
  EXPECT_THAT(told({"ring", "show", "orders"}), HasSubstr("consumer 0"));
}

TEST_F(RingShow, ShowsAnOpenClaimWithItsOwner) {
  Producer producer = must(station_.producer());
  must(producer.publish("one"));
  Slot slot = must(producer.claim(100));
  const auto ring = shown();
  EXPECT_EQ(ring["visible"]["sequence"], 2);
  EXPECT_EQ(ring["frontier"]["sequence"], 3);
  ASSERT_EQ(ring["open_claims"].size(), 1u);
  EXPECT_EQ(ring["open_claims"][0]["owner"]["pid"], ::getpid());
  EXPECT_EQ(ring["open_claims"][0]["owner"]["state"], "alive");
  EXPECT_EQ(ring["producers"][0]["open_claims"], 1);
  const std::string text = told({"ring", "show", "orders"});
  EXPECT_THAT(text, HasSubstr("claimed, being filled"));
  EXPECT_THAT(text, HasSubstr("OPEN CLAIM"));
  must(slot.commit());
}

TEST_F(RingShow, ShowsAConsumerThatWasKilledUntilItIsCleanedUp) {
  Program reader(tool_words({"consume", "orders", "--follow"}));
  EXPECT_TRUE(wait_until([] { return shown()["cursors"].size() == 1; }));
  reader.send(SIGKILL);
  reader.end();
  EXPECT_EQ(shown()["cursors"][0]["state"], "dead");
  EXPECT_THAT(told({"ring", "show", "orders"}), HasSubstr("dead"));
  told({"produce", "orders"}, "one\n");
  EXPECT_TRUE(shown()["cursors"].empty());
  EXPECT_EQ(shown()["reaped_cursors"], 1);
}

TEST_F(RingShow, RefusesAStationThatIsNotThere) {
  EXPECT_THAT(refused(3, {"ring", "show", "nothing"}), HasSubstr("main/nothing"));
}

}  // namespace
}  // namespace loopline::test
