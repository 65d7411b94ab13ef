// Readiness: an event loop that reads only when it is told to misses nothing, whatever happens.
#include "shm/readiness.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <thread>

#include "child.h"
#include "named_station.h"
#include "shm/armed.h"
#include "tests/support/event_loop.h"
#include "tests/support/wait_until.h"

namespace loopline::shm {
namespace {

using test::EventLoop;

// One consumer in an event loop of its own.
class Listener {
 public:
  explicit Listener(Consumer consumer, uint32_t events = EPOLLIN)
      : consumer_(std::move(consumer)),
        readiness_(must(Readiness::make())),
        loop_((rest(), readiness_.fd()), events) {}

  Consumer& consumer() { return consumer_; }
  const EventLoop& loop() const { return loop_; }
  // What is there now, up to the end that arms it.
  std::vector<std::string> read() {
    std::vector<std::string> read;
    FrameView views[8];
    while (const size_t count = must(consumer_.read(views))) {
      for (size_t index = 0; index < count; ++index) read.push_back(text_of(views[index]));
    }
    rest();
    return read;
  }
  // Read only when the loop is told to.
  std::vector<std::string> await(size_t count) {
    std::vector<std::string> all;
    while (all.size() < count && loop_.turn()) {
      for (const std::string& text : read()) all.push_back(text);
    }
    return all;
  }
  // Not readable any more, once it was read; but for its timer, which may come at any moment.
  bool comes_to_rest() {
    return test::wait_until([&] {
      EXPECT_EQ(read().size(), 0u);
      return !loop_.is_ready();
    });
  }
  void rest() {
    Consumer* const all[] = {&consumer_};
    must(readiness_.rest(all));
  }
  Readiness& readiness() { return readiness_; }

 private:
  Consumer consumer_;
  Readiness readiness_;
  EventLoop loop_;
};

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

std::string bell_path(const Attached& attached, uint32_t slot) {
  return attached.ring().bell_files + std::to_string(slot) + std::string(bell_suffix);
}

// Bytes that wait in a bell file.
int rung_count(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  int count = -1;
  ::ioctl(file.fd(), FIONREAD, &count);
  return count;
}

// As if nobody had rung.
void take_the_byte(const std::string& path) {
  const File file(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  char byte;
  EXPECT_EQ(::read(file.fd(), &byte, 1), 1);
}

TEST(Readiness, ComesWithAMessageAndGoesWhenItIsRead) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  EXPECT_TRUE(listener.comes_to_rest());
  write(producer, "one");
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_EQ(listener.read(), texts("one"));
  EXPECT_TRUE(listener.comes_to_rest());
}

TEST(Readiness, IsThereAtOnceForWhatCameBefore) {
  NamedStation station;
  Producer producer = station.producer();
  write(producer, "old");
  Listener listener(station.lossless());
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_EQ(listener.read(), texts("old"));
}

// As loops do that are told levels: what is left is told again.
TEST(Readiness, StaysUntilAllIsRead) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  for (const char* text : {"one", "two", "three"}) write(producer, text);
  FrameView view[1];
  for (int count = 0; count < 3; ++count) {
    ASSERT_TRUE(listener.loop().is_ready());
    ASSERT_EQ(must(listener.consumer().read(view)), 1u);
  }
  EXPECT_TRUE(listener.loop().is_ready());  // the read that finds nothing ends it
  EXPECT_TRUE(listener.comes_to_rest());
}

TEST(Readiness, LosesNoMessageOfTwoProducersWhetherToldLevelsOrEdges) {
  constexpr int count_each = 3000;
  for (const uint32_t events : {uint32_t{EPOLLIN}, uint32_t{EPOLLIN | EPOLLET}}) {
    NamedStation station;
    Listener listener(station.lossless(), events);
    const auto produce = [&] {
      Producer producer = station.producer();
      for (int count = 0; count < count_each; ++count) {
        OpenFrame frame;  // waits for room
        must(producer.claim(8, wait_for_ever, frame));
        must(producer.commit(frame, 0));
        if (count % 7 == 0) std::this_thread::yield();
      }
    };
    std::thread one(produce), other(produce);
    EXPECT_EQ(listener.await(2 * count_each).size(), 2u * count_each) << events;
    one.join();
    other.join();
  }
}

// Each arming is worth one byte, however many commits and other sleepers there are.
TEST(Readiness, IsRungOnceForManyMessages) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  const std::string path = bell_path(*listener.consumer().attached(), listener.consumer().slot());
  for (int count = 0; count < 100; ++count) {
    station.attach()->ring().control->data_bell.parked.fetch_or(1, std::memory_order_relaxed);
    write(producer, "more");
  }
  EXPECT_EQ(rung_count(path), 1);
}

// Its timer comes after 10, 20, 40 and 80 ms: whoever waits for nothing costs next to nothing.
TEST(Readiness, OfAnIdleRingComesMoreAndMoreSeldom) {
  NamedStation station;
  Listener listener(station.lossless());
  EXPECT_EQ(listener.read().size(), 0u);
  const uint64_t begin_ns = monotonic_ns();
  for (int turn = 0; turn < 3; ++turn) {
    ASSERT_TRUE(listener.loop().turn());
    EXPECT_EQ(listener.read().size(), 0u);
  }
  EXPECT_GE(monotonic_ns() - begin_ns, 130'000'000u);
}

// A waker that was killed after its commit: nobody rings any more.
TEST(Readiness, ComesByTheTimerForAMessageThatNobodyRangFor) {
  NamedStation station;
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  const auto attached = station.attach();
  Claimer claimer(attached->ring(), 3, false);
  Claim claim;
  ASSERT_EQ(claimer.claim(unit_size, claim), ClaimOutcome::claimed);
  claimer.commit(claim, pack_meta(5, FrameType::message, 0), 0);
  EXPECT_EQ(listener.await(1).size(), 1u);
}

TEST(Readiness, ComesForWhatADeadProducerHeldBack) {
  NamedStation station;
  Listener listener(station.lossless());
  Child child = Child::run([&](Child::Parent& parent) {
    Producer producer = station.producer();
    open(producer, "half");
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  Producer producer = station.producer();
  write(producer, "behind");
  EXPECT_EQ(listener.read().size(), 0u);
  child.kill();
  EXPECT_EQ(listener.await(1), texts("behind"));
}

TEST(Readiness, GoesOnInTheNextRing) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  write(producer, "before");
  station.seal();
  write(producer, "behind");
  EXPECT_EQ(listener.await(2), texts("before", "behind"));
  ASSERT_TRUE(listener.comes_to_rest());
  EXPECT_EQ(listener.consumer().attached()->header().generation, 2u);
  write(producer, "later");
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_EQ(listener.read(), texts("later"));
}

// One that polls once a turn comes to the next ring with a message in its hands and is not armed
// there yet; the sealer died before it rang.
TEST(Readiness, StaysOnTheWayIntoTheNextRing) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  station.seal();
  take_the_byte(bell_path(*listener.consumer().attached(), listener.consumer().slot()));
  write(producer, "one");
  write(producer, "two");
  FrameView view[1];
  ASSERT_EQ(must(listener.consumer().read(view)), 1u);
  EXPECT_EQ(listener.consumer().attached()->header().generation, 2u);
  EXPECT_TRUE(listener.loop().is_ready());
}

TEST(Readiness, ComesWithTheEndOfTheStation) {
  NamedStation station;
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  station.remove();
  EXPECT_TRUE(listener.loop().is_ready());
  FrameView view[1];
  EXPECT_EQ(code_of(listener.consumer().read(view)), FaultCode::closed);
  EXPECT_TRUE(listener.loop().is_ready());
}

TEST(Readiness, SuitsLossyConsumers) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossy());
  ASSERT_TRUE(listener.comes_to_rest());
  for (int count = 0; count < 3000; ++count) write(producer, "more than the ring holds");
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_GT(listener.read().size(), 0u);
  ASSERT_TRUE(listener.comes_to_rest());
  write(producer, "last");
  EXPECT_TRUE(listener.loop().is_ready());
}

TEST(Readiness, FollowsItsConsumerToAnotherThread) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  std::thread([&] { EXPECT_TRUE(listener.comes_to_rest()); }).join();
  write(producer, "here again");
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_EQ(listener.read(), texts("here again"));
}

// Skipped messages would otherwise fill the ring up while the loop sleeps.
TEST(Readiness, GivesBackWhatItPassedOver) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless(From::sequence(100'000)));
  for (int count = 0; count < 100; ++count) write(producer, "before the first it wants");
  EXPECT_EQ(listener.read().size(), 0u);
  const auto attached = station.attach();
  const auto& cursor = attached->ring().cursors[listener.consumer().slot()].cursor;
  EXPECT_EQ(cursor.load(std::memory_order_acquire), listener.consumer().at());
}

// ---- beside wait() and fork ------------------------------------------------

TEST(Readiness, IsNotDisturbedByWaiting) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  EXPECT_FALSE(must(listener.consumer().wait(monotonic_ns() + 1'000'000)));
  write(producer, "one");
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_TRUE(must(listener.consumer().wait(wait_for_ever)));
  EXPECT_EQ(listener.read(), texts("one"));
}

TEST(Readiness, OfTheParentIsNotDisturbedByAChild) {
  NamedStation station;
  Producer producer = station.producer();
  Listener listener(station.lossless());
  ASSERT_TRUE(listener.comes_to_rest());
  Child child = Child::run([&](Child::Parent&) {
    Consumer* const all[] = {&listener.consumer()};
    const bool is_told = listener.readiness().rest(all).fault().code() == FaultCode::forked;
    listener.readiness().forget(listener.consumer());
    const Consumer closed = std::move(listener.consumer());
    return is_told;
  });
  EXPECT_TRUE(child.passes());
  EXPECT_TRUE(exists(bell_path(*listener.consumer().attached(), listener.consumer().slot())));
  write(producer, "still here");
  EXPECT_TRUE(listener.loop().is_ready());
  EXPECT_EQ(listener.read(), texts("still here"));
}

// The child keeps the old bell open: it must be silent all the same.
TEST(Readiness, ComesToRestInTheNextRingBesideAChild) {
  NamedStation station;
  Listener listener(station.lossless());
  Child child = Child::run([&](Child::Parent& parent) {
    parent.say();
    parent.wait_to_be_killed();
  });
  ASSERT_TRUE(child.listen());
  station.seal();
  EXPECT_TRUE(listener.comes_to_rest());
  EXPECT_EQ(listener.consumer().attached()->header().generation, 2u);
}

TEST(Readiness, IsRefusedWhereNobodyCanRing) {
  TestStation anonymous;
  Consumer nameless = must(Consumer::open(anonymous.attached(), {}));
  Readiness readiness = must(Readiness::make());
  Consumer* consumers[] = {&nameless};
  EXPECT_EQ(code_of(readiness.rest(consumers)), FaultCode::unsupported);
  NamedStation station;
  Consumer looker = must(Consumer::open(station.attach(Access::look), {.lossy = true}));
  consumers[0] = &looker;
  EXPECT_EQ(code_of(readiness.rest(consumers)), FaultCode::no_permission);
}

}  // namespace
}  // namespace loopline::shm
