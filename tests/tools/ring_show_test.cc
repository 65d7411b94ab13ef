// ring show: the drawing, the tables and the JSON of a ring in use.
#include <gmock/gmock.h>
#include <loopline/loopline.h>
#include <signal.h>

#include "shm/flush_cursor.h"
#include "shm/producer.h"
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
  // The ring of one whose log the test keeps itself.
  std::shared_ptr<shm::Attached> file_station(const std::string& name) const {
    shm::Directory directory = must(shm::Directory::open_or_create(instance_.paths()));
    shm::RingOptions options;
    options.station = name;
    options.capacity = 64 << 10;
    options.storage = shm::Storage::file;
    options.log_uuid = {1, 2};
    must(directory.create(options));
    auto roster = must(directory.roster());
    auto mapping = must(directory.attach({"main", name}, 0, shm::Access::produce));
    return shm::Attached::make(std::move(mapping), std::move(roster), std::move(directory));
  }
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

TEST_F(RingShow, TellsHowFarTheDiskIsAndWhoWritesIt) {
  EXPECT_TRUE(shown()["log"].is_null()) << "kept in memory";
  const auto ring = file_station("kept");
  shm::Producer producer = must(shm::Producer::open(ring));
  for (const char letter : {'a', 'b', 'c'}) {
    shm::OpenFrame frame;
    must(producer.claim(1, 0, frame));
    std::memset(frame.body, letter, 1);
    must(producer.commit(frame, 0));
  }
  EXPECT_THAT(told({"ring", "show", "kept"}),
              HasSubstr("nothing of it is on disk; 3 messages behind (192B)\n"
                        "nobody flushes it to disk; start the broker: loopline up\n"));
  shm::FlushCursor cursor = must(shm::FlushCursor::open(ring));
  cursor.set_durable(must(cursor.next(1)).end());
  const auto log = json_told({"ring", "show", "kept", "--json"})["log"];
  EXPECT_EQ(log["durable"]["sequence"], 2);
  EXPECT_EQ(log["lag_messages"], 2);
  EXPECT_EQ(log["state"], "flushing");
  EXPECT_EQ(log["flusher"]["pid"], ::getpid());
  const std::string text = told({"ring", "show", "kept"});
  EXPECT_THAT(text, HasSubstr("on disk up to sequence 1 (position 65600); 2 messages behind"));
  EXPECT_THAT(text, HasSubstr("flushed by process " + std::to_string(::getpid())));
  EXPECT_THAT(text, HasSubstr("durable"));
  cursor.set_state(shm::LogState::failed, EIO);
  EXPECT_THAT(told({"ring", "show", "kept"}),
              HasSubstr("the disk of its log failed (Input/output error)"));
}

TEST_F(RingShow, RefusesAStationThatIsNotThere) {
  EXPECT_THAT(refused(3, {"ring", "show", "nothing"}), HasSubstr("main/nothing"));
}

}  // namespace
}  // namespace loopline::test
