// fd(): consumers in event loops of their users, from one partition to many, in C++ and in C.
#include <gtest/gtest.h>
#include <loopline/c.h>

#include <atomic>
#include <thread>

#include "shm/attached.h"
#include "station_fixture.h"
#include "tests/shm/child.h"
#include "tests/support/event_loop.h"
#include "tests/support/wait_until.h"

namespace loopline {
namespace {

using test::EventLoop;

class FdTest : public StationTest {
 protected:
  Station station(const StationOptions& options = {.ring = 64_KiB}) const {
    return open_or_create("orders", options);
  }
  static bool comes_to_rest(Consumer& consumer, const EventLoop& loop) {
    return test::wait_until([&] {
      EXPECT_EQ(texts_of(consumer), texts());
      return !loop.is_ready();
    });
  }
  // How many it got when it polled only as it was told: `max` at most at each, once a turn or until
  // there was nothing.
  static size_t listen(Consumer& consumer, const EventLoop& loop, size_t count, size_t max,
                       bool until_nothing) {
    size_t seen = 0;
    while (seen < count && loop.turn()) {
      size_t polled = 0;
      do {
        seen += polled = must(consumer.poll([](const Message&) {}, max));
      } while (until_nothing && polled != 0);
    }
    return seen;
  }
};

TEST_F(FdTest, IsTheSameEachTimeAndReadableWithAMessage) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  const EventLoop loop(must(consumer.fd()));
  EXPECT_EQ(must(consumer.fd()), must(consumer.fd()));
  ASSERT_TRUE(comes_to_rest(consumer, loop));
  must(producer.publish("one"));
  EXPECT_TRUE(loop.is_ready());
  EXPECT_EQ(texts_of(consumer), texts("one"));
  EXPECT_TRUE(comes_to_rest(consumer, loop));
}

TEST_F(FdTest, MissesNothingHoweverTheLoopPolls) {
  constexpr size_t count = 5000;
  struct Manner {
    uint32_t events;
    size_t max;
    bool until_nothing;
  };
  const Manner manners[] = {{EPOLLIN, 256, true},
                            {EPOLLIN, 256, false},
                            {EPOLLIN, 3, false},
                            {EPOLLIN | EPOLLET, 7, true}};
  for (const uint32_t partitions : {1u, 3u}) {
    for (const Manner& manner : manners) {
      (void)Station::remove("orders", dir());
      const Station here = station({.ring = 64_KiB, .partitions = partitions});
      Consumer consumer = must(here.consumer());
      const EventLoop loop(must(consumer.fd()), manner.events);
      std::thread writer([&] {
        Producer producer = must(here.producer());
        for (size_t sent = 0; sent < count; ++sent) {
          must(producer.publish("message"));
          if (sent % 50 == 0) std::this_thread::yield();
        }
      });
      EXPECT_EQ(listen(consumer, loop, count, manner.max, manner.until_nothing), count)
          << partitions << " " << manner.max;
      writer.join();
    }
  }
}

TEST_F(FdTest, OfAllPartitionsIsOne) {
  const Station four = station({.ring = 64_KiB, .partitions = 4});
  Producer producer = must(four.producer());
  Consumer consumer = must(four.consumer());
  const EventLoop loop(must(consumer.fd()));
  for (int turn = 0; turn < 8; ++turn) {
    ASSERT_TRUE(comes_to_rest(consumer, loop));
    must(producer.publish(std::to_string(turn)));
    EXPECT_TRUE(loop.is_ready()) << turn;
    EXPECT_EQ(texts_of(consumer), texts(std::to_string(turn)));
  }
}

TEST_F(FdTest, IsReadableWhenTheStationIsRemoved) {
  for (const uint32_t partitions : {1u, 3u}) {
    Producer producer = must(station({.ring = 64_KiB, .partitions = partitions}).producer());
    Consumer consumer = must(station({}).consumer());
    const EventLoop loop(must(consumer.fd()));
    ASSERT_TRUE(comes_to_rest(consumer, loop));
    must(producer.publish("last"));
    must(Station::remove("orders", dir()));
    EXPECT_TRUE(loop.is_ready());
    EXPECT_EQ(texts_until_closed(consumer), texts("last"));
  }
}

// A remover that died on its way: the partition that has ended is silent, the other goes on.
TEST_F(FdTest, RestsWhileOnePartitionHasEnded) {
  const Station two = station({.ring = 64_KiB, .partitions = 2});
  Producer producer = must(two.producer());
  Consumer consumer = must(two.consumer());
  const EventLoop loop(must(consumer.fd()));
  ASSERT_TRUE(comes_to_rest(consumer, loop));
  const auto directory = must(shm::Directory::open(instance().paths()));
  auto mapping = must(directory.attach({"main", "orders"}, 1, shm::Access::produce));
  must(shm::Attached::make(std::move(mapping), must(directory.roster()), directory)
           ->seal_for_good());
  EXPECT_TRUE(loop.is_ready());
  EXPECT_TRUE(comes_to_rest(consumer, loop));
  must(producer.publish("of partition 0"));
  EXPECT_TRUE(loop.is_ready());
  EXPECT_EQ(texts_of(consumer), texts("of partition 0"));
}

TEST_F(FdTest, SurvivesAMoveAndAnotherThread) {
  Producer producer = must(station().producer());
  Consumer first = must(station().consumer());
  const EventLoop loop(must(first.fd()));
  ASSERT_TRUE(comes_to_rest(first, loop));
  Consumer moved = std::move(first);
  std::thread([&] { EXPECT_TRUE(comes_to_rest(moved, loop)); }).join();
  must(producer.publish("one"));
  EXPECT_TRUE(loop.is_ready());
  EXPECT_EQ(texts_of(moved), texts("one"));
}

TEST_F(FdTest, IsNotForAChild) {
  Producer producer = must(station().producer());
  Consumer consumer = must(station().consumer());
  const EventLoop loop(must(consumer.fd()));
  ASSERT_TRUE(comes_to_rest(consumer, loop));
  Child child = Child::run([&](Child::Parent&) {
    const bool is_told = code_of(consumer.fd()) == FaultCode::forked &&
                         code_of(consumer.poll([](const Message&) {})) == FaultCode::forked;
    const Consumer closed = std::move(consumer);
    return is_told;
  });
  EXPECT_TRUE(child.passes());
  must(producer.publish("to the parent"));
  EXPECT_TRUE(loop.is_ready());
  EXPECT_EQ(texts_of(consumer), texts("to the parent"));
}

TEST_F(FdTest, IsOfferedToC) {
  Producer producer = must(station().producer());
  ll_error error;
  ll_station* opened = nullptr;
  ll_consumer* consumer = nullptr;
  ASSERT_EQ(ll_station_open("orders", dir().c_str(), &opened, &error), LL_OK);
  ASSERT_EQ(ll_consumer_open(opened, nullptr, &consumer, &error), LL_OK);
  int fd = -1;
  ASSERT_EQ(ll_consumer_fd(consumer, &fd, &error), LL_OK) << error.message;
  const EventLoop loop(fd);
  must(producer.publish("to C"));
  EXPECT_TRUE(loop.is_ready());
  const ll_message* messages[LL_RUN_MAX];
  size_t count = 0;
  EXPECT_EQ(ll_consumer_read(consumer, messages, LL_RUN_MAX, &count, &error), LL_OK);
  EXPECT_EQ(count, 1u);
  EXPECT_TRUE(test::wait_until([&] {
    EXPECT_EQ(ll_consumer_read(consumer, messages, LL_RUN_MAX, &count, &error), LL_OK);
    return count == 0 && !loop.is_ready();
  }));
  EXPECT_EQ(ll_consumer_fd(nullptr, &fd, &error), LL_INVALID_ARGUMENT);
  EXPECT_EQ(ll_consumer_fd(consumer, nullptr, &error), LL_INVALID_ARGUMENT);
  EXPECT_STREQ(error.message, "fd is where the descriptor is put, and is NULL");
  ll_consumer_close(consumer);
  ll_station_close(opened);
}

}  // namespace
}  // namespace loopline
