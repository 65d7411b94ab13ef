// Repairers cut off at every step of their work on victims cut off at every step of theirs.
#include "every_step.h"
#include "shm/lock.h"

namespace loopline::crash {
namespace {

std::string sweep(Scene& scene, shm::Access access) {
  const auto attached = scene.attach(access);
  attached->janitor().sweep();
  return "";
}

// The victim dies at `victim_step`; the one who cleans up after it at each of its own.
Trial cleaning_up(uint64_t victim_step, const Scene::Role& victim, shm::Access access,
                  bool& victim_died) {
  return {.prepare =
              [=, &victim_died](Scene& scene) {
                scene.go_round(1);  // keeps its producer: a new one would sweep before us
                victim_died = scene.run({Action::die, victim_step}, victim) == End::died;
                // Frames behind the open one: they must come through, in order.
                return scene.publish(2);
              },
          .role = [access](Scene& scene) { return sweep(scene, access); }};
}

std::string read_a_little(Scene& scene) {
  std::string problem = scene.open_reader({.from = From::earliest}, shm::Access::consume);
  if (problem.empty()) problem = scene.read_some();
  scene.close_reader();
  return problem;
}

void clean_up_after_each(const Scene::Role& victim, shm::Access access, Action action,
                         uint64_t victim_stride, uint64_t stride) {
  bool victim_died = true;
  for (uint64_t step = 1; victim_died && step < steps_max; step += victim_stride) {
    Trial trial = cleaning_up(step, victim, access, victim_died);
    trial.stride = stride;
    at_every_step(trial, action);
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "victim's step " << step;
      return;
    }
  }
}

TEST(KilledRepairer, OfAProducerIsFollowedByTheNext) {
  clean_up_after_each(publish_two, shm::Access::produce, Action::die, 3, 2);
}
TEST(KilledRepairer, WhoLiftedItsProtectionIsFollowedByTheNext) {
  clean_up_after_each(publish_two, shm::Access::consume, Action::die, 4, 3);
}
TEST(KilledRepairer, OfAReaderIsFollowedByTheNext) {
  clean_up_after_each(read_a_little, shm::Access::produce, Action::die, 9, 3);
}
TEST(StoppedRepairer, HoldsOthersUpButHarmsNobody) {
  clean_up_after_each(publish_two, shm::Access::produce, Action::stop, 6, 5);
}

std::string sweep_now(Scene& scene) {
  (void)shm::sweep_ring(*scene.attach(shm::Access::produce));
  return "";
}

// A producer inside a claim and a reader are dead; the sweeper dies, or stops, at each step.
void sweep_at_every_step(Action action, uint64_t victim_stride) {
  bool victim_died = true;
  for (uint64_t step = 1; victim_died && step < steps_max; step += victim_stride) {
    Trial trial = cleaning_up(step, publish_two, shm::Access::produce, victim_died);
    const auto prepare_producer = trial.prepare;
    trial.prepare = [&prepare_producer](Scene& scene) {
      const std::string problem = prepare_producer(scene);
      scene.run({Action::die, 60}, read_a_little);
      return problem;
    };
    trial.role = sweep_now;
    trial.check = [](Scene& scene) {
      // Nobody holds the lock any more: one sweep frees whatever is left.
      (void)shm::sweep_ring(*scene.attach(shm::Access::produce));
      // Who may only look counts the dead.
      const shm::Swept seen = shm::sweep_ring(*scene.attach(shm::Access::look));
      if (seen.left != 0) return std::string("a sweep left something");
      return scene.aftermath();
    };
    trial.stride = 2;
    at_every_step(trial, action);
    if (testing::Test::HasFailure()) {
      ADD_FAILURE() << "victim's step " << step;
      return;
    }
  }
}

TEST(KilledSweeper, IsFollowedByTheNext) { sweep_at_every_step(Action::die, 7); }
TEST(StoppedSweeper, HarmsNobody) { sweep_at_every_step(Action::stop, 11); }

// The lock passes from one dead holder to the next.
TEST(KilledRepairer, ManyInARowAreFollowedByTheLast) {
  Scene scene({});
  scene.go_round(1);
  scene.retire();
  for (uint64_t step = 1; step < 40; ++step) {
    scene.run({Action::die, step}, publish_two);
    scene.run({Action::die, step}, [](Scene& here) { return sweep(here, shm::Access::produce); });
    scene.run({Action::die, 40 - step},
              [](Scene& here) { return sweep(here, shm::Access::consume); });
  }
  EXPECT_EQ(scene.aftermath(), "");
}

}  // namespace
}  // namespace loopline::crash
