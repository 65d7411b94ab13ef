// Slots that change hands while somebody stands still at each step: repairers, reapers, sealers.
#include <csignal>
#include <thread>

#include "every_step.h"

namespace loopline::crash {
namespace {

std::string sweep(Scene& scene) {
  scene.attach(shm::Access::produce)->janitor().sweep();
  return "";
}

// A child that is killed with handles open and no frame.
std::string bury(Scene& scene, const Scene::Role& role) {
  const pid_t child = scene.start({}, [role](Scene& here) {
    const std::string problem = role(here);
    if (problem.empty()) here.ready();
    return problem;
  });
  if (!scene.await_ready(child)) return "the child was not ready";
  ::kill(child, SIGKILL);
  scene.wait(child);
  scene.stage().cue = 0;
  return "";
}

std::string open_reader(Scene& scene) {
  return scene.open_reader({.from = From::earliest}, shm::Access::consume);
}

// The handle stays, the thread that made it is gone.
std::string in_a_thread_that_ends(const std::function<std::string()>& role) {
  std::string problem;
  std::thread([&] { problem = role(); }).join();
  return problem;
}

bool is_fenced(const std::string& problem) { return problem.find("fenced") != std::string::npos; }

// Our producer has a frame open while the stopped one goes on to its end.
std::string hold_a_frame_meanwhile(Scene& scene, pid_t child) {
  const std::string problem = scene.publish_holding([&] { scene.carry_on(child); });
  if (!problem.empty()) return problem;
  const shm::Producer& mine = scene.producer();
  const uint64_t owner = scene.ring().producers[mine.slot()].owner.load(std::memory_order_relaxed);
  const bool ours = owner == need(scene.roster().my_seat(), "no seat");
  return ours ? "" : "the producer's slot is not its own any more";
}

// Our reader reads nothing while the others go round: it holds the window.
std::string hold_the_window(Scene& scene, uint32_t slot) {
  const shm::CursorSlot& mine = scene.ring().cursors[slot];
  const uint64_t owner = mine.owner.load(std::memory_order_relaxed);
  if (owner != need(scene.roster().my_seat(), "no seat")) return "the cursor's slot is not its own";
  scene.go_round(2);
  std::string problem = scene.read_the_rest();
  scene.close_reader();
  return problem;
}

TEST(StoppedRepairer, OfASlotThatTheLivingTookActsOnTheDeadOnly) {
  const Trial trial{
      .prepare =
          [](Scene& scene) { return bury(scene, [](Scene& here) { return here.publish(1); }); },
      .role = sweep,
      .when_stopped =
          [](Scene& scene, pid_t child) {
            (void)sweep(scene);  // the slot is free now, unless the stopped one holds the lock
            return hold_a_frame_meanwhile(scene, child);
          }};
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

TEST(StoppedSweeper, OfASlotThatTheLivingTookActsOnTheDeadOnly) {
  const Trial trial{
      .prepare =
          [](Scene& scene) { return bury(scene, [](Scene& here) { return here.publish(1); }); },
      .role =
          [](Scene& scene) {
            (void)shm::sweep_ring(*scene.attach(shm::Access::produce));
            return std::string();
          },
      .when_stopped =
          [](Scene& scene, pid_t child) {
            (void)shm::sweep_ring(*scene.attach(shm::Access::produce));  // unless it has the lock
            return hold_a_frame_meanwhile(scene, child);
          }};
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

// Frames of the dead that are committed may be overwritten by the living while a repairer looks at
// them: it must not take what it finds there for one that is open.
TEST(StoppedRepairer, OfFramesThatAreOverwrittenLeavesTheNewOnesAlone) {
  const Trial trial{
      .prepare =
          [](Scene& scene) { return bury(scene, [](Scene& here) { return here.publish(4); }); },
      .role = sweep,
      .when_stopped =
          [](Scene& scene, pid_t child) {
            scene.go_round(3);
            const std::string problem = scene.fill();  // unread, so that any damage is seen
            ::kill(child, SIGCONT);
            scene.wait(child);
            return problem;
          }};
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

// The thread of our producer ended; it moves on to this one while a repairer is at it.
TEST(StoppedRepairer, OfAHandleThatMovesOnWinsOrLosesWhole) {
  const Trial trial{
      .prepare =
          [](Scene& scene) { return in_a_thread_that_ends([&] { return scene.publish(1); }); },
      .role = sweep,
      .when_stopped =
          [](Scene& scene, pid_t child) {
            const std::string problem = hold_a_frame_meanwhile(scene, child);
            if (!is_fenced(problem)) return problem;
            scene.carry_on(child);
            return std::string();
          },
      .check =
          [](Scene& scene) {
            const std::string problem = scene.publish(1);
            if (is_fenced(problem)) scene.retire();
            return is_fenced(problem) || problem.empty() ? scene.aftermath() : problem;
          }};
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

TEST(StoppedReaper, OfAHandleThatMovesOnWinsOrLosesWhole) {
  const Trial trial{.prepare =
                        [](Scene& scene) {
                          std::string problem = scene.publish(2);
                          if (!problem.empty()) return problem;
                          return in_a_thread_that_ends([&] { return open_reader(scene); });
                        },
                    .role = sweep,
                    .when_stopped =
                        [](Scene& scene, pid_t child) {
                          const std::string problem = scene.read_some();
                          scene.carry_on(child);
                          if (problem.empty()) return hold_the_window(scene, 1);
                          return is_fenced(problem) ? "" : problem;
                        },
                    .check =
                        [](Scene& scene) {
                          scene.close_reader();
                          return scene.aftermath();
                        }};
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

// Another one reaps meanwhile, and a new reader joins in what may be the same slot.
TEST(StoppedReaper, OfASlotThatTheLivingTookReleasesTheDeadOnly) {
  const Trial trial{.prepare =
                        [](Scene& scene) {
                          const std::string problem = scene.publish(2);
                          return problem.empty() ? bury(scene, open_reader) : problem;
                        },
                    .role = sweep,
                    .when_stopped =
                        [](Scene& scene, pid_t child) {
                          (void)sweep(scene);
                          const std::string problem = open_reader(scene);
                          if (!problem.empty()) return problem;
                          scene.carry_on(child);
                          return hold_the_window(scene, scene.reader().slot());
                        }};
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

// More deaths than there are slots, with nothing open: whoever attaches sweeps.
TEST(Slots, OfTheDeadAreFreeForWhoeverAttaches) {
  for (const bool exclusive : {false, true}) {
    Scene scene({.exclusive = exclusive});
    for (int count = 0; count < 6; ++count) {
      ASSERT_EQ(bury(scene, [](Scene& here) { return here.publish(1); }), "") << count;
    }
    EXPECT_EQ(scene.aftermath(), "");
  }
  Scene scene({});
  for (int count = 0; count < 6; ++count) {
    const auto lossy = [](Scene& here) {
      return here.open_reader({.lossy = true}, shm::Access::consume);
    };
    ASSERT_EQ(bury(scene, lossy), "") << count;
  }
  EXPECT_EQ(scene.aftermath(), "");
}

// All slots are held by the dead, and the one who cleans up after them is stopped over it: that is
// what the next one is told, not that the slots are taken.
TEST(Slots, OfTheDeadAreNotTakenForThoseOfTheLiving) {
  const Scene::Role roles[] = {[](Scene& here) { return here.open_producer(); }, open_reader};
  for (const Scene::Role& role : roles) {
    Scene scene({.witnessed = false});
    std::vector<pid_t> children;
    for (int count = 0; count < 4; ++count) {
      scene.stage().cue = 0;
      children.push_back(scene.start({}, [role](Scene& here) {
        const std::string problem = role(here);
        here.ready();
        return problem;
      }));
      ASSERT_TRUE(scene.await_ready(children.back()));
    }
    for (const pid_t child : children) {
      ::kill(child, SIGKILL);
      scene.wait(child);
    }
    const pid_t repairer = scene.start({}, [](Scene& here) {
      (void)need(here.roster().my_seat(), "no seat");
      arm_in_lock({Action::stop, 2});
      return sweep(here);
    });
    ASSERT_EQ(scene.wait(repairer), End::stopped);
    const std::string problem = role(scene);
    EXPECT_NE(problem.find("timed_out: the ring lock"), std::string::npos) << problem;
    scene.carry_on(repairer);
    EXPECT_EQ(scene.aftermath(), "");
  }
}

// It claims without a CAS: as long as it lives, nobody may claim beside it, a seal neither.
TEST(StoppedProducer, ExclusiveIsNotSealedOver) {
  Trial trial{.options = {.capacity = 64u << 10, .exclusive = true, .files = true},
              .role = [](Scene& scene) { return scene.publish(1); },
              .when_stopped =
                  [](Scene& scene, pid_t child) {
                    const bool sits = scene.ring().producers[0].owner.load(
                                          std::memory_order_relaxed) != shm::nobody;
                    const std::string problem = scene.seal(true);
                    const bool refused = problem.find("unsupported") != std::string::npos;
                    scene.carry_on(child);
                    if (refused == sits) return std::string();
                    return "its slot is " + std::string(sits ? "taken" : "free") +
                           ", but sealing says: " + problem;
                  }};
  trial.stride = 2;
  EXPECT_GT(at_every_step(trial, Action::stop), 10u);
}

}  // namespace
}  // namespace loopline::crash
