// Consumers cut off at every step: the window they held becomes free, and they saw nothing wrong.
#include <unistd.h>

#include <csignal>

#include "every_step.h"

namespace loopline::crash {
namespace {

// Forged payload of older laps lies around, and some messages and fillers wait to be read.
std::string leave_some(Scene& scene) {
  scene.go_round(2);
  std::string problem = scene.publish(3);
  if (problem.empty()) problem = scene.publish(1, true);
  if (problem.empty()) problem = scene.publish(3);
  scene.retire();
  return problem;
}

Scene::Role reading(shm::ConsumerOptions options, shm::Access access) {
  return [options, access](Scene& scene) {
    std::string problem = scene.open_reader(options, access);
    for (int run = 0; run < 3 && problem.empty(); ++run) problem = scene.read_some();
    scene.close_reader();
    return problem;
  };
}

Trial reading_from(From from) {
  return {.prepare = leave_some, .role = reading({.from = from}, shm::Access::consume)};
}

Trial reading_lossily(shm::Access access) {
  return {.prepare = leave_some, .role = reading({.lossy = true, .from = From::earliest}, access)};
}

bool somebody_waits(const Scene& scene) {
  for (uint32_t slot = 0; slot < scene.ring().cursor_slots; ++slot) {
    if (scene.ring().cursors[slot].waiting.load(std::memory_order_relaxed) != 0) return true;
  }
  return false;
}

// Sleeps until a message comes; the parent publishes once it sleeps.
Trial parking() {
  return {.role =
              [](Scene& scene) {
                std::string problem = scene.open_reader(
                    {.from = From::earliest, .wait = shm::WaitKind::park}, shm::Access::consume);
                if (!problem.empty()) return problem;
                const auto more = scene.reader().wait(shm::wait_for_ever);
                return more ? scene.read_some() : scene.fail("wait", more.fault());
              },
          .meanwhile =
              [](Scene& scene, pid_t child) {
                scene.await(child, [&] { return somebody_waits(scene); });
                return scene.publish(1);
              }};
}

// A producer sleeps for room; the witness reads once it sleeps.
Trial parking_for_room() {
  return {.prepare =
              [](Scene& scene) {
                const std::string problem = scene.fill();
                scene.retire();
                return problem;
              },
          .role =
              [](Scene& scene) {
                std::string problem = scene.open_producer();
                scene.producer().wait_kind = shm::WaitKind::park;
                return problem.empty() ? scene.publish(1) : problem;
              },
          .meanwhile =
              [](Scene& scene, pid_t child) {
                scene.await(child, [&] {
                  return scene.ring().control->space_bell.parked.load(std::memory_order_relaxed) !=
                         0;
                });
                return scene.read_all();
              }};
}

TEST(KilledConsumer, ReadingFromTheEarliestFreesTheWindow) {
  EXPECT_GT(at_every_step(reading_from(From::earliest), Action::die), 50u);
}
TEST(KilledConsumer, ReadingFromTheLatestFreesTheWindow) {
  EXPECT_GT(at_every_step(reading_from(From::latest), Action::die), 40u);
}
TEST(KilledConsumer, ReadingLossilyHoldsNobody) {
  EXPECT_GT(at_every_step(reading_lossily(shm::Access::consume), Action::die), 50u);
}
TEST(KilledConsumer, OnlyLookingLeavesNoTrace) {
  EXPECT_GT(at_every_step(reading_lossily(shm::Access::look), Action::die), 20u);
}
TEST(KilledConsumer, ParkedFreesTheWindow) {
  EXPECT_GT(at_every_step(parking(), Action::die), 50u);
}
TEST(KilledProducer, ParkedForRoomHoldsNobody) {
  EXPECT_GT(at_every_step(parking_for_room(), Action::die), 30u);
}

TEST(StoppedConsumer, ReadingFromTheEarliestSeesNothingWrong) {
  at_every_step(reading_from(From::earliest), Action::stop);
}
TEST(StoppedConsumer, ReadingFromTheLatestSeesNothingWrong) {
  at_every_step(reading_from(From::latest), Action::stop);
}
TEST(StoppedConsumer, ReadingLossilySeesNothingWrongAfterManyLaps) {
  at_every_step(reading_lossily(shm::Access::consume), Action::stop);
}
TEST(StoppedConsumer, OnlyLookingSeesNothingWrongAfterManyLaps) {
  at_every_step(reading_lossily(shm::Access::look), Action::stop);
}
TEST(StoppedConsumer, ParkedSeesNothingWrong) { at_every_step(parking(), Action::stop); }

// The only reader joins from the latest while a writer is stopped at each step of its claim: the
// window must not pass over the place where the writer will go on.
TEST(StoppedProducer, IsNotLappedByAReaderFromTheLatest) {
  for (uint64_t step = 1; step < steps_max; ++step) {
    Scene scene({.witnessed = false});
    const pid_t writer =
        scene.start({Action::stop, step}, [](Scene& here) { return here.publish(1); });
    if (scene.wait(writer) == End::finished) break;
    ASSERT_EQ(scene.publish(2), "");
    ASSERT_EQ(scene.open_reader({.from = From::latest}, shm::Access::produce), "");
    for (int count = 0; count < 200 && scene.publish(1, false, 1).empty(); ++count) {
      ASSERT_EQ(scene.read_some(), "") << "step " << step;
    }
    ASSERT_EQ(scene.carry_on(writer), End::finished);
    for (int count = 0; count < 200; ++count) {
      ASSERT_EQ(scene.read_some(), "") << "step " << step;
      ASSERT_EQ(scene.publish(1), "") << "step " << step;
    }
    ASSERT_EQ(scene.read_some(), "") << "step " << step;
    scene.close_reader();
    ASSERT_EQ(scene.aftermath(), "") << "step " << step;
  }
}

}  // namespace
}  // namespace loopline::crash
