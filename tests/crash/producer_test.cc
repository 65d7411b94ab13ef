// Producers cut off at every step: what they committed is read once, what they left is completed.
#include <unistd.h>

#include <csignal>
#include <thread>

#include "every_step.h"

namespace loopline::crash {
namespace {

// Two laps of forged payload lie where the child will write.
std::string go_round_first(Scene& scene) {
  scene.go_round(2);
  scene.retire();
  return "";
}

Trial publishing() { return {.prepare = go_round_first, .role = publish_two}; }

Trial aborting() {
  return {.prepare = go_round_first, .role = [](Scene& scene) { return scene.publish(2, true); }};
}

Trial publishing_exclusively() {
  return {.options = {.exclusive = true}, .prepare = go_round_first, .role = publish_two};
}

Trial publishing_with_a_sleeper() {
  // As if somebody slept: the waker takes all its steps.
  return {.prepare = go_round_first, .role = [](Scene& scene) {
            scene.ring().control->data_bell.parked.fetch_or(1, std::memory_order_relaxed);
            return scene.publish(1);
          }};
}

// The window must move before there is room.
Trial advancing() {
  return {.prepare =
              [](Scene& scene) {
                const std::string problem = scene.fill();
                scene.retire();
                return problem.empty() ? scene.read_all() : problem;
              },
          .role = publish_two};
}

// Nobody gates: the producer walks over the oldest frames.
Trial overwriting() {
  return {.options = {.lossy = true}, .prepare = go_round_first, .role = [](Scene& scene) {
            return scene.publish(8);
          }};
}

// A reader died with its cursor where the window ends.
Trial reaping_a_reader() {
  return {.prepare =
              [](Scene& scene) {
                const pid_t reader = scene.start({}, [](Scene& here) {
                  std::string problem =
                      here.open_reader({.from = From::earliest}, shm::Access::consume);
                  if (problem.empty()) here.ready();
                  return problem;
                });
                if (!scene.await_ready(reader)) return std::string("no reader");
                std::string problem = scene.fill();
                scene.retire();
                if (problem.empty()) problem = scene.read_all();
                ::kill(reader, SIGKILL);
                scene.wait(reader);
                return problem;
              },
          .role = publish_two};
}

// A reader died between its cursor {0, 0} and its join.
Trial reaping_a_joiner() {
  return {.prepare =
              [](Scene& scene) {
                std::string problem = scene.fill();
                scene.retire();
                if (problem.empty()) problem = scene.read_all();
                scene.run({}, [](Scene& here) {
                  const auto seat = need(here.roster().my_seat(), "no seat");
                  const auto slot =
                      shm::take_cursor_slot(here.ring(), seat, shm::CursorKind::lossless);
                  here.ring().cursors[*slot].cursor.store({0, 0}, std::memory_order_release);
                  ::kill(::getpid(), SIGKILL);
                  return std::string();
                });
                return problem;
              },
          .role = publish_two};
}

// The handle moves to another thread, which is cut off.
Trial moving_to_a_thread() {
  return {.prepare = go_round_first, .role = [](Scene& scene) {
            disarm();
            std::string problem = scene.publish(1);
            std::thread other([&] {
              scene.rearm();
              if (problem.empty()) problem = scene.publish(1);
              disarm();
            });
            other.join();
            // Its thread is gone: the next one of ours takes over, or is told that it lost the
            // slot.
            return problem.empty() ? scene.publish(1) : problem;
          }};
}

TEST(KilledProducer, PublishingLosesNothingAtAnyStep) {
  EXPECT_GT(at_every_step(publishing(), Action::die), 20u);
}
TEST(KilledProducer, AbortingLeavesAFillerAtAnyStep) {
  EXPECT_GT(at_every_step(aborting(), Action::die), 20u);
}
TEST(KilledProducer, ExclusiveIsTakenOverAtAnyStep) {
  EXPECT_GT(at_every_step(publishing_exclusively(), Action::die), 20u);
}
TEST(KilledProducer, WakingSleepersDelaysNobodyForEver) {
  EXPECT_GT(at_every_step(publishing_with_a_sleeper(), Action::die), 10u);
}
TEST(KilledProducer, MovingTheWindowKeepsItWhole) {
  EXPECT_GT(at_every_step(advancing(), Action::die), 20u);
}
TEST(KilledProducer, OverwritingTheOldestKeepsTheChain) {
  EXPECT_GT(at_every_step(overwriting(), Action::die), 50u);
}
TEST(KilledProducer, ReapingADeadReaderIsDoneByTheNext) {
  EXPECT_GT(at_every_step(reaping_a_reader(), Action::die), 20u);
}
TEST(KilledProducer, ReapingADeadJoinerIsDoneByTheNext) {
  EXPECT_GT(at_every_step(reaping_a_joiner(), Action::die), 20u);
}
TEST(KilledProducer, MovingToAnotherThreadIsRebound) {
  EXPECT_GT(at_every_step(moving_to_a_thread(), Action::die), 10u);
}

TEST(StoppedProducer, PublishingCorruptsNothingAfterManyLaps) {
  at_every_step(publishing(), Action::stop);
}
TEST(StoppedProducer, AbortingCorruptsNothingAfterManyLaps) {
  at_every_step(aborting(), Action::stop);
}
TEST(StoppedProducer, ExclusiveCannotBeTakenOver) {
  at_every_step(publishing_exclusively(), Action::stop);
}
TEST(StoppedProducer, MovingTheWindowCorruptsNothingAfterManyLaps) {
  at_every_step(advancing(), Action::stop);
}
TEST(StoppedProducer, OverwritingCorruptsNothingAfterManyLaps) {
  Trial trial = overwriting();
  trial.stride = 3;
  at_every_step(trial, Action::stop);
}
TEST(StoppedProducer, ReapingCorruptsNothingAfterManyLaps) {
  at_every_step(reaping_a_reader(), Action::stop);
}

// A waker killed between its commit and its wake: the sleeper's time-out covers it.
TEST(KilledProducer, LeavesNoSleeperAsleep) {
  uint64_t step = 1;
  for (End end = End::died; end == End::died && step < steps_max; ++step) {
    Scene scene({});
    const pid_t sleeper = scene.start({}, [](Scene& here) {
      std::string problem = here.open_reader({.from = From::earliest, .wait = shm::WaitKind::park},
                                             shm::Access::consume);
      if (!problem.empty()) return problem;
      const auto more = here.reader().wait(shm::wait_for_ever);
      return more ? here.read_some() : here.fail("wait", more.fault());
    });
    const auto asleep = [&] {
      return scene.ring().cursors[1].waiting.load(std::memory_order_relaxed) != 0;
    };
    ASSERT_TRUE(scene.await(sleeper, asleep));
    end = scene.run({Action::die, step}, publish_two);
    // Whatever it claimed is enough to wake up for, without anybody's help.
    const shm::Ring& ring = scene.ring();
    const uint64_t first = ring.capacity;
    const uint64_t side = ring.side(first).load(std::memory_order_relaxed);
    const bool claimed = ring.side_lap(side) == ring.lap(first);
    ASSERT_EQ(claimed ? "" : scene.publish(1), "");
    ASSERT_TRUE(scene.ends(sleeper)) << "step " << step;
    ASSERT_EQ(scene.aftermath(), "") << "step " << step;
  }
  EXPECT_GT(step, 20u);
}

}  // namespace
}  // namespace loopline::crash
