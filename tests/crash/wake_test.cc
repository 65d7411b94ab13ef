// Sleepers without a clock: no time-out ever wakes them, so that each wake-up that is owed shows.
#include <csignal>

#include "every_step.h"

namespace loopline::crash {
namespace {

// What one does who is not asleep yet when the others begin.
std::string sleep_for_a_message(Scene& scene) {
  const std::string problem = scene.open_reader(
      {.from = From::earliest, .wait = shm::WaitKind::park}, shm::Access::consume);
  if (!problem.empty()) return problem;
  time_stands_still = true;
  const auto more = scene.reader().wait(shm::wait_for_ever);
  if (!more) return scene.fail("wait", more.fault());
  return scene.read_some();
}

std::string sleep_for_room(Scene& scene) {
  const std::string problem = scene.open_producer();
  if (!problem.empty()) return problem;
  scene.producer().wait_kind = shm::WaitKind::park;
  time_stands_still = true;
  return scene.publish_holding({});
}

pid_t start_reader(Scene& scene, uint32_t slot) {
  const pid_t child = scene.start({}, sleep_for_a_message);
  const auto& waiting = scene.ring().cursors[slot].waiting;
  EXPECT_TRUE(
      scene.await_asleep(child, [&] { return waiting.load(std::memory_order_relaxed) != 0; }));
  return child;
}

pid_t start_producer(Scene& scene, uint32_t slot, const shm::BellLine& bell) {
  const pid_t child = scene.start({}, sleep_for_room);
  const uint32_t bit = 1u << slot;
  EXPECT_TRUE(scene.await_asleep(
      child, [&] { return (bell.parked.load(std::memory_order_relaxed) & bit) != 0; }));
  return child;
}

// Holds a frame open, or a cursor, until it is killed.
pid_t start_holder(Scene& scene, const Scene::Role& role) {
  const pid_t child = scene.start({}, role);
  EXPECT_TRUE(scene.await_ready(child));
  return child;
}
std::string hold_a_frame(Scene& scene) {
  return scene.publish_holding([&] { scene.ready(); });
}
std::string hold_the_window_long(Scene& scene) {
  const std::string problem = scene.open_reader({.from = From::earliest}, shm::Access::consume);
  scene.ready();
  return problem;
}

void kill(Scene& scene, pid_t child) {
  ::kill(child, SIGKILL);
  EXPECT_EQ(scene.wait(child), End::died);
}

// The kernel wakes one of those who watch the dead one; that one wakes the others.
TEST(Asleep, ReadersAreWokenByTheDeathOfWhoeverHoldsTheirFrame) {
  for (const uint32_t count : {1u, 2u}) {
    Scene scene({});
    const pid_t holder = start_holder(scene, hold_a_frame);
    std::vector<pid_t> sleepers;
    for (uint32_t slot = 1; slot <= count; ++slot) sleepers.push_back(start_reader(scene, slot));
    kill(scene, holder);
    for (const pid_t sleeper : sleepers) EXPECT_TRUE(scene.ends(sleeper)) << count;
    EXPECT_EQ(scene.aftermath(), "");
  }
}

TEST(Asleep, ReadersAreWokenByACommit) {
  Scene scene({});
  const pid_t sleeper = start_reader(scene, 1);
  ASSERT_EQ(scene.publish(1), "");
  EXPECT_TRUE(scene.ends(sleeper));
  EXPECT_EQ(scene.aftermath(), "");
}

TEST(Asleep, ProducersAreWokenByTheDeathOfWhoeverHoldsTheWindow) {
  for (const uint32_t count : {1u, 2u}) {
    Scene scene({});
    const pid_t holder = start_holder(scene, hold_the_window_long);
    ASSERT_EQ(scene.fill(), "");
    ASSERT_EQ(scene.read_all(), "");
    std::vector<pid_t> sleepers;
    const auto& bell = scene.ring().control->space_bell;
    for (uint32_t slot = 1; slot <= count; ++slot) {
      sleepers.push_back(start_producer(scene, slot, bell));
    }
    kill(scene, holder);
    for (const pid_t sleeper : sleepers) EXPECT_TRUE(scene.ends(sleeper)) << count;
    EXPECT_EQ(scene.aftermath(), "");
  }
}

TEST(Asleep, ProducersAreWokenByAReaderThatGoesOn) {
  Scene scene({});
  ASSERT_EQ(scene.fill(), "");
  const pid_t sleeper = start_producer(scene, 1, scene.ring().control->space_bell);
  ASSERT_EQ(scene.read_all(), "");
  EXPECT_TRUE(scene.ends(sleeper));
  EXPECT_EQ(scene.aftermath(), "");
}

TEST(Asleep, ProducersAreWokenByAReaderThatLeaves) {
  Scene scene({});
  ASSERT_EQ(scene.open_reader({.from = From::earliest}, shm::Access::consume), "");
  ASSERT_EQ(scene.fill(), "");
  ASSERT_EQ(scene.read_all(), "");
  const pid_t sleeper = start_producer(scene, 1, scene.ring().control->space_bell);
  scene.close_reader();
  EXPECT_TRUE(scene.ends(sleeper));
  EXPECT_EQ(scene.aftermath(), "");
}

// Nobody gates: what is in the way is a frame, and its owner may die or go on.
TEST(Asleep, ProducersAreWokenByWhateverBecomesOfTheOpenFrame) {
  for (const bool dies : {true, false}) {
    Scene scene({.lossy = true});
    const pid_t holder = start_holder(scene, hold_a_frame);
    ASSERT_EQ(scene.fill(), "");
    const pid_t sleeper = start_producer(scene, 2, scene.ring().control->data_bell);
    if (dies) kill(scene, holder);
    scene.go();
    EXPECT_TRUE(scene.ends(sleeper)) << dies;
    EXPECT_TRUE(dies || scene.wait(holder) == End::finished);
    EXPECT_EQ(scene.aftermath(), "");
  }
}

}  // namespace
}  // namespace loopline::crash
