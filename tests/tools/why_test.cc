// why: names what holds a station up, who causes it, and what to do next.
#include <gmock/gmock.h>
#include <signal.h>

#include "scene.h"
#include "shm/attached.h"
#include "shm/lock.h"
#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

class Why : public ToolFixture {
 protected:
  Why() : station_(must(Station::create("orders", {.ring = 64 << 10}, instance_.folder()))) {}
  static nlohmann::json asked(const std::string& station = "orders") {
    return json_told({"why", station, "--json"});
  }
  // The finding of this code; null when there is none.
  static nlohmann::json finding(const std::string& code, const std::string& station = "orders") {
    const auto answer = asked(station);
    for (const auto& one : answer["findings"]) {
      if (one["code"] == code) return one;
    }
    return {};
  }
  shm::Directory directory() const { return must(shm::Directory::open(instance_.paths())); }
  std::shared_ptr<shm::Attached> attached() const {
    const auto folder = directory();
    auto mapping = must(folder.attach({"main", "orders"}, 0, shm::Access::produce));
    return shm::Attached::make(std::move(mapping), must(folder.roster()), folder);
  }
  Station station_;
};

TEST_F(Why, SaysSoWhenNothingIsWrong) {
  EXPECT_THAT(told({"why", "orders"}), HasSubstr("nothing is slow: nobody is attached"));
  Producer producer = must(station_.producer());
  Consumer consumer = must(station_.consumer());
  must(producer.publish("one"));
  const auto answer = asked();
  EXPECT_EQ(answer["worst"], "ok");
  ASSERT_EQ(answer["findings"].size(), 1u);
  EXPECT_EQ(answer["findings"][0]["code"], "nothing");
  EXPECT_THAT(refused(3, {"why", "nothing"}), HasSubstr("main/nothing"));
}

TEST_F(Why, NamesAStoppedReaderThatHoldsAFullRing) {
  Program reader(tool_words({"consume", "orders", "--follow", "--from", "earliest"}));
  told({"produce", "orders"}, "ready\n");
  ASSERT_TRUE(reader.says("ready"));
  reader.send(SIGSTOP);
  Program program(tool_words({"produce", "orders"}));
  program.type(thousand_byte_lines(60));
  program.type(thousand_byte_lines(60));
  ASSERT_TRUE(program.says("waiting for room"));
  const auto full = finding("full");
  EXPECT_EQ(full["level"], "critical");
  EXPECT_EQ(full["who"]["pid"], reader.pid());
  EXPECT_EQ(full["who"]["state"], "stopped");
  const std::string text = told({"why", "orders"});
  EXPECT_THAT(text, HasSubstr("the ring is full and producers wait for room"));
  EXPECT_THAT(text, HasSubstr("process " + std::to_string(reader.pid()) + " (loopline)"));
  EXPECT_THAT(text, HasSubstr("kill -CONT " + std::to_string(reader.pid())));
  reader.send(SIGKILL);
  reader.end();
  program.end();
}

TEST_F(Why, NamesAReaderThatWasDetached) {
  told({"station", "add", "strict", "--ring=64KiB", "--evict-after=1ms"});
  const Station strict = must(Station::open("strict", instance_.folder()));
  const Consumer consumer = must(strict.consumer({.from = From::earliest}));
  told({"produce", "strict"}, thousand_byte_lines(200));
  const auto evicted = finding("evicted", "strict");
  EXPECT_EQ(evicted["who"]["pid"], ::getpid());
  EXPECT_THAT(evicted["text"], HasSubstr("held a full ring for 1ms and was detached"));
  EXPECT_EQ(json_told({"ring", "show", "strict", "--json"})["cursors"][0]["evicted"], true);
  EXPECT_THAT(told({"ring", "show", "strict"}), HasSubstr("detached 1 consumer"));
}

TEST_F(Why, NamesTheLivingOwnerOfAnOpenMessage) {
  Producer slow = must(station_.producer());
  Producer fast = must(station_.producer());
  Slot slot = must(slow.claim(100));
  must(fast.publish("behind"));
  const auto open = finding("open-claim");
  EXPECT_EQ(open["level"], "critical");
  EXPECT_EQ(open["who"]["pid"], ::getpid());
  EXPECT_THAT(open["text"], HasSubstr("sequence 1 was claimed by producer 0"));
  EXPECT_THAT(open["text"], HasSubstr("1 message behind it waits"));
  must(slot.commit());
  EXPECT_EQ(finding("open-claim"), nullptr);
}

TEST_F(Why, NamesTheDeadOwnerOfAnOpenMessage) {
  const pid_t dead = killed_in_a_claim("orders", instance_.folder());
  const auto open = finding("open-claim");
  EXPECT_EQ(open["who"]["pid"], dead);
  EXPECT_EQ(open["who"]["state"], "dead");
  EXPECT_THAT(open["remedy"], HasSubstr("loopline doctor --fix"));
  EXPECT_THAT(finding("dead")["text"], HasSubstr("1 producer has died and not been"));
}

TEST_F(Why, NamesAReaderThatIsFarBehind) {
  Consumer consumer = must(station_.consumer({.from = From::earliest}));
  told({"produce", "orders"}, thousand_byte_lines(40));
  const auto slow = finding("slow-reader");
  EXPECT_EQ(slow["level"], "warning");
  EXPECT_EQ(slow["who"]["pid"], ::getpid());
  EXPECT_THAT(slow["text"], HasSubstr("is 40 messages"));
}

TEST_F(Why, NamesAReaderThatFillsARingWhichRejects) {
  const Station strict = must(Station::create(
      "strict", {.ring = 64 << 10, .when_full = WhenFull::reject}, instance_.folder()));
  Consumer consumer = must(strict.consumer({.from = From::earliest}));
  loopline({"produce", "strict"}, thousand_byte_lines(100));
  EXPECT_THAT(told({"why", "strict"}), HasSubstr("the ring is full and producers are refused"));
}

TEST_F(Why, NamesTheHolderOfTheRingLock) {
  const auto ring = attached();
  pthread_mutex_t& lock = ring->ring().control->lock.mutex;
  ASSERT_EQ(shm::try_lock(lock), shm::LockOutcome::taken);
  const auto held = finding("ring-lock");
  EXPECT_EQ(held["level"], "critical");
  EXPECT_EQ(held["who"]["pid"], ::getpid());
  shm::unlock(lock);
  EXPECT_EQ(finding("ring-lock"), nullptr);
}

TEST_F(Why, NamesTheReaderOfAPredecessorThatIsStillRead) {
  Producer producer = must(station_.producer());
  Consumer consumer = must(station_.consumer({.from = From::earliest}));
  must(producer.publish("old"));
  shm::RingOptions options;
  options.station = "orders";
  options.capacity = 64 << 10;
  options.generation = 2;
  must(attached()->seal_with_successor(options));
  const auto gate = finding("gate");
  EXPECT_EQ(gate["who"]["pid"], ::getpid());
  EXPECT_THAT(gate["text"], HasSubstr("generation 1"));
}

TEST_F(Why, TellsDamageInWords) {
  scribble(ring_path("orders"), shm::page_size, 7);
  const auto damage = finding("damaged");
  EXPECT_EQ(damage["level"], "critical");
  EXPECT_THAT(damage["remedy"], HasSubstr("station rm main/orders"));
}

}  // namespace
}  // namespace loopline::test
