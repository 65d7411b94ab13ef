// Threads: producers and consumers of every kind over one mapping, for the eyes of ThreadSanitizer.
//
// TSan sees races only between accesses through one mapping: the threads share one, and the frames
// cross its end through the mirror, which TSan takes for other memory, so that of a frame behind
// the end it judges nothing. What it can see here: payloads, headers, handles, counters, seats. The
// 16-byte pairs are asm that it is told about (shm/base/atomic.h).
#include <gtest/gtest.h>

#include <thread>

#include "ring_fixture.h"
#include "shm/base/clock.h"

namespace loopline::shm {
namespace {

#if defined(__SANITIZE_THREAD__)
constexpr uint64_t each = 2'000;
#else
constexpr uint64_t each = 15'000;
#endif

// A payload of `number`: its writer, its number, and words that forge frames of the next lap.
struct Letter {
  uint32_t writer;
  uint32_t number;
};

std::string letter_of(const Ring& ring, uint64_t position, Letter letter) {
  const size_t size = sizeof letter + letter.number * 37 % 400;
  std::string text = forged_body(ring, position, size, letter.number % 8);
  std::memcpy(text.data(), &letter, sizeof letter);
  return text;
}

// What every consumer checks: each writer's numbers ascend, by one unless it may miss some.
class Journal {
 public:
  explicit Journal(bool may_miss) : may_miss_(may_miss) {}

  void note(const Ring& ring, const FrameView& view) {
    ASSERT_EQ(view.sequence > last_sequence_, true);
    last_sequence_ = view.sequence;
    Letter letter;
    ASSERT_GE(view.body_size, sizeof letter);
    std::memcpy(&letter, view.body, sizeof letter);
    ASSERT_LT(letter.writer, 2u);
    ASSERT_EQ(text_of(view), letter_of(ring, view.position, letter));
    uint32_t& expected = next_[letter.writer];
    if (!may_miss_ && expected != 0) {
      ASSERT_EQ(letter.number, expected);
    }
    ASSERT_GE(letter.number, expected);
    expected = letter.number + 1;
  }
  bool complete() const { return next_[0] == each && next_[1] == each; }

 private:
  bool may_miss_;
  uint64_t last_sequence_ = 0;
  uint32_t next_[2] = {0, 0};
};

class ThreadsTest : public testing::Test {
 protected:
  void produce(uint32_t writer) {
    Producer producer = station_.producer();
    OpenFrame frame;
    for (uint32_t number = 0; number < each; ++number) {
      const size_t size = sizeof(Letter) + number * 37 % 400;
      must(producer.claim(size, wait_for_ever, frame));
      if (number % 11 == 5) {  // changes its mind, and tries again
        must(producer.abort(frame));
        must(producer.claim(size, wait_for_ever, frame));
      }
      const std::string text = letter_of(station_.ring(), frame.claim.position, {writer, number});
      std::memcpy(frame.body, text.data(), text.size());
      must(producer.commit(frame, 0));
    }
  }
  void consume(Consumer consumer) {
    Journal journal(consumer.lossy());
    FrameView views[32];
    while (!journal.complete()) {
      must(consumer.wait(wait_for_ever));
      const size_t count = must(consumer.read(views));
      for (size_t index = 0; index < count; ++index) journal.note(station_.ring(), views[index]);
      if (testing::Test::HasFatalFailure()) return;
      if (consumer.lossy() && done_.load(std::memory_order_acquire) == 2 && count == 0) return;
    }
  }
  void join_and_leave() {
    FrameView views[8];
    for (int round = 0; done_.load(std::memory_order_acquire) < 2; ++round) {
      Consumer consumer = round % 3 == 0 ? station_.lossy() : station_.lossless(From::latest);
      Journal journal(true);
      for (int run = 0; run < 3; ++run) {
        const size_t count = must(consumer.read(views));
        for (size_t index = 0; index < count; ++index) journal.note(station_.ring(), views[index]);
      }
    }
  }
  void stop() { done_.fetch_add(1, std::memory_order_acq_rel); }

  TestStation station_{tiny_ring(16 << 10)};
  Atomic<uint32_t> done_{};
};

TEST_F(ThreadsTest, OfEveryKindShareOneMapping) {
  std::vector<std::thread> threads;
  threads.emplace_back(
      [this, consumer = station_.lossless()]() mutable { consume(std::move(consumer)); });
  threads.emplace_back([this] { join_and_leave(); });
  std::thread producers[2];
  for (uint32_t writer = 0; writer < 2; ++writer) {
    producers[writer] = std::thread([this, writer] {
      produce(writer);
      stop();
    });
  }
  std::thread lossy([this] {
    Consumer consumer = station_.lossy();
    Journal journal(true);
    FrameView views[32];
    for (;;) {
      const bool last = done_.load(std::memory_order_acquire) == 2;
      const size_t count = must(consumer.read(views));
      for (size_t index = 0; index < count; ++index) journal.note(station_.ring(), views[index]);
      if ((last && count == 0) || testing::Test::HasFatalFailure()) return;
    }
  });
  for (std::thread& thread : producers) thread.join();
  for (std::thread& thread : threads) thread.join();
  lossy.join();
  EXPECT_EQ(gating_count(station_.ring()), 0u);
}

TEST_F(ThreadsTest, PassAHandleAround) {
  Producer producer = station_.producer();
  Consumer consumer = station_.lossless();
  for (int round = 0; round < 200; ++round) {
    const std::string text = std::to_string(round);
    std::thread([&] { write(producer, text); }).join();
    std::thread([&] { EXPECT_EQ(read(consumer), texts(text)); }).join();
  }
}

TEST_F(ThreadsTest, OpenAndCloseHandlesAtOnce) {
  std::vector<std::thread> threads;
  for (int index = 0; index < 3; ++index) {
    threads.emplace_back([this, index] {
      for (int round = 0; round < 50; ++round) {
        Producer producer = station_.producer();
        Consumer consumer = index == 0 ? station_.lossy() : station_.lossless();
        OpenFrame frame = open(producer, "x", 0);
        must(producer.commit(frame, 0));
        read(consumer);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(gating_count(station_.ring()), 0u);
}

}  // namespace
}  // namespace loopline::shm
