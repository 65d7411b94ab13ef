// Seals, successors and the making of rings, cut off at every step: whoever comes finishes them.
#include <csignal>

#include "every_step.h"

namespace loopline::crash {
namespace {

constexpr SceneOptions with_small_files = {.capacity = 64u << 10, .files = true};

std::string leave_five(Scene& scene) {
  std::string problem = scene.publish(5);
  scene.retire();
  return problem;
}

// Sealed or not when the sealer died: sealing again ends it, and the witness gets what there was.
std::string ends_for_good(Scene& scene) {
  const bool claimed = scene.ring().control->seal.at.load_first(std::memory_order_relaxed) != 0;
  std::string problem = scene.read_all();
  // The seal frame is there: a reader alone finishes it.
  if (claimed && problem.find("closed") == std::string::npos) return "not closed: " + problem;
  problem = scene.publish(1);
  const bool closed = problem.find("closed") != std::string::npos;
  if (!problem.empty() && !closed) return problem;
  const Status sealed = scene.attached()->seal_for_good();
  if (!sealed) return scene.fail("seal again", sealed.fault());
  problem = scene.read_all();
  if (problem.find("closed") == std::string::npos) return "not at its end: " + problem;
  return scene.everything_was_read() ? "" : "something was lost";
}

Trial sealing_for_good() {
  return {.prepare = leave_five,
          .role =
              [](Scene& scene) {
                const Status sealed = scene.attached()->seal_for_good();
                return sealed ? "" : scene.fail("seal", sealed.fault());
              },
          .check = ends_for_good};
}

Trial sealing_with_a_successor(bool exclusive) {
  SceneOptions options = with_small_files;
  options.exclusive = exclusive;
  return {.options = options, .prepare = leave_five, .role = [exclusive](Scene& scene) {
            return scene.seal(exclusive);
          }};
}

// The child holds a handle on the old ring; the parent seals it; the child goes on and is cut off.
Trial following(const Scene::Role& before, const Scene::Role& after) {
  return {.options = with_small_files,
          .prepare = leave_five,
          .role =
              [=](Scene& scene) {
                disarm();
                std::string problem = before(scene);
                if (!problem.empty()) return problem;
                scene.ready();
                return after(scene);
              },
          .meanwhile =
              [](Scene& scene, pid_t child) {
                if (!scene.await_ready(child)) return std::string("the child was not ready");
                std::string problem = scene.seal(false);
                if (problem.empty()) problem = scene.publish(3);
                scene.go();
                return problem;
              }};
}

Trial following_as_a_reader(const shm::ConsumerOptions& options) {
  return following(
      [options](Scene& scene) { return scene.open_reader(options, shm::Access::consume); },
      [](Scene& scene) {
        std::string problem;
        for (int run = 0; run < 4 && problem.empty(); ++run) problem = scene.read_some();
        return problem;
      });
}

Trial following_as_a_producer() {
  return following([](Scene& scene) { return scene.open_producer(); },
                   [](Scene& scene) { return scene.publish(2); });
}

// A reader died in the old ring; the successor is full; whoever wants room lifts the gate.
Trial lifting_the_gate() {
  return {.options = with_small_files,
          .prepare =
              [](Scene& scene) {
                std::string problem = leave_five(scene);
                const pid_t reader = scene.start({}, [](Scene& here) {
                  const std::string none =
                      here.open_reader({.from = From::earliest}, shm::Access::consume);
                  here.ready();
                  return none;
                });
                if (!scene.await_ready(reader)) return std::string("no reader");
                if (problem.empty()) problem = scene.seal(false);
                scene.renew();  // whoever came by the old ring would sweep it
                if (problem.empty()) problem = scene.fill();
                scene.retire();
                if (problem.empty()) problem = scene.read_all();
                ::kill(reader, SIGKILL);
                scene.wait(reader);
                return problem;
              },
          .role = [](Scene& scene) { return scene.publish(2); }};
}

TEST(KilledSealer, ForGoodIsFinishedByTheNext) {
  EXPECT_GT(at_every_step(sealing_for_good(), Action::die), 25u);
}
TEST(KilledSealer, WithASuccessorIsFinishedByWhoeverComes) {
  EXPECT_GT(at_every_step(sealing_with_a_successor(false), Action::die), 40u);
}
TEST(KilledSealer, OfAnExclusiveRingIsFinishedByWhoeverComes) {
  EXPECT_GT(at_every_step(sealing_with_a_successor(true), Action::die), 50u);
}
TEST(KilledSealer, IsFollowedByAnother) {
  for (const bool exclusive : {false, true}) {
    Trial trial = sealing_with_a_successor(exclusive);
    trial.check = [exclusive](Scene& scene) {
      const std::string problem = scene.seal(exclusive);
      return problem.empty() ? scene.aftermath() : problem;
    };
    EXPECT_GT(at_every_step(trial, Action::die), 40u);
  }
}
TEST(KilledFollower, ReaderHoldsNothingInEitherRing) {
  EXPECT_GT(at_every_step(following_as_a_reader({.from = From::earliest}), Action::die), 40u);
}
TEST(KilledFollower, LossyReaderHoldsNothingInEitherRing) {
  const shm::ConsumerOptions lossy{.lossy = true, .from = From::earliest};
  EXPECT_GT(at_every_step(following_as_a_reader(lossy), Action::die), 30u);
}
TEST(KilledFollower, ProducerHoldsNothingInEitherRing) {
  EXPECT_GT(at_every_step(following_as_a_producer(), Action::die), 20u);
}
TEST(KilledFollower, LiftingTheGateIsFinishedByTheNext) {
  EXPECT_GT(at_every_step(lifting_the_gate(), Action::die), 40u);
}

TEST(StoppedSealer, HoldsOthersUpButHarmsNobody) {
  Trial trial = sealing_with_a_successor(false);
  trial.stride = 3;  // at most: birth is three stores that nobody may repeat later
  at_every_step(trial, Action::stop);
}
TEST(StoppedSealer, OfAnExclusiveRingHarmsNobody) {
  Trial trial = sealing_with_a_successor(true);
  trial.stride = 5;
  at_every_step(trial, Action::stop);
}
TEST(StoppedFollower, ReaderMissesNothing) {
  Trial trial = following_as_a_reader({.from = From::earliest});
  trial.stride = 4;
  at_every_step(trial, Action::stop);
}
TEST(StoppedFollower, ProducerWritesIntoNoSealedRing) {
  Trial trial = following_as_a_producer();
  trial.stride = 3;
  at_every_step(trial, Action::stop);
}

// Not a step of shared memory but of the file system: nothing half-made ever has a name.
TEST(KilledMaker, OfARingLeavesAWholeOneOrNone) {
  const shm::RingOptions options{.station = "made", .capacity = 64u << 10};
  const auto make = [options](Scene& scene) {
    const auto made =
        scene.instance().directory().open_or_create(options, {}, shm::Access::produce);
    return made ? "" : scene.fail("make", made.fault());
  };
  const Trial trial{.options = with_small_files, .role = make, .check = [make](Scene& scene) {
                      std::string problem = make(scene);
                      if (!problem.empty()) return problem;
                      if (!scene.instance().directory().list_strangers().empty()) {
                        return std::string("a stranger is left");
                      }
                      if (scene.instance().file_count() != 2) return std::string("files are left");
                      return scene.aftermath();
                    }};
  EXPECT_GT(at_every_step(trial, Action::die), 10u);
}

// The same for what every station of an instance shares.
TEST(KilledMaker, OfAnInstanceLeavesAWholeOneOrNone) {
  const auto make = [](Scene& scene) {
    shm::InstancePaths paths = scene.instance().paths();
    paths.folder += "/another";
    paths.shm += "-another";
    const auto directory = shm::Directory::open_or_create(paths);
    if (!directory) return scene.fail("folders", directory.fault());
    const auto roster = directory->roster();
    if (!roster) return scene.fail("roster", roster.fault());
    const auto seat = (*roster)->my_seat();
    return seat ? "" : scene.fail("seat", seat.fault());
  };
  EXPECT_GT(at_every_step({.options = with_small_files, .role = make, .check = make}, Action::die),
            10u);
}

// A station of three rings: the old one, in which the witness still is, the current, an unborn one.
Trial removing() {
  return {.options = with_small_files,
          .prepare =
              [](Scene& scene) {
                std::string problem = leave_five(scene);
                if (problem.empty()) problem = scene.seal(false);
                scene.renew();
                shm::RingOptions unborn{.station = "scene", .generation = 3, .born = false};
                unborn.capacity = with_small_files.capacity;
                const auto made = scene.instance().directory().create(unborn);
                return made || !problem.empty() ? problem : scene.fail("make", made.fault());
              },
          .role =
              [](Scene& scene) {
                const shm::StationName name{"main", "scene"};
                auto newest = scene.instance().attach("scene", shm::Access::produce);
                if (!newest && newest.fault().code() == FaultCode::not_found) return std::string();
                Status done = (*newest)->seal_for_good();
                if (done) done = scene.instance().directory().unlink(name, 0);
                return done ? "" : scene.fail("remove", done.fault());
              }};
}

TEST(KilledRemover, OfAStationIsFinishedByTheNext) {
  Trial trial = removing();
  trial.check = [remove = trial.role](Scene& scene) {
    std::string problem = remove(scene);
    if (problem.empty()) problem = scene.read_all();
    if (problem.find("closed") == std::string::npos) return "not closed: " + problem;
    return scene.instance().file_count() == 0 ? "" : std::string("files are left");
  };
  EXPECT_GT(at_every_step(trial, Action::die), 25u);
}

TEST(KilledRemover, OfAStationIsFinishedByWhoeverMakesItAnew) {
  Trial trial = removing();
  trial.check = [](Scene& scene) {
    if (scene.attached()->is_open()) return std::string();
    shm::RingOptions options{.station = "scene"};
    options.capacity = with_small_files.capacity;
    const auto made = scene.instance().directory().create(options);
    if (!made) return scene.fail("make", made.fault());
    return scene.instance().file_count() == 1 ? "" : std::string("files are left");
  };
  EXPECT_GT(at_every_step(trial, Action::die), 25u);
}

// Whoever gates nothing is waited for by nobody: two rings may come and go while it sleeps.
TEST(Sleeper, ProducerGoesOnInTheNewestRing) {
  Scene scene(with_small_files);
  const auto first = scene.attach(shm::Access::produce);
  auto sleeper = need(shm::Producer::open(first), "no producer");
  for (int count = 0; count < 2; ++count) {
    ASSERT_EQ(scene.publish(2), "");
    ASSERT_EQ(scene.seal_newest(), "");
    ASSERT_EQ(scene.read_all(), "");
  }
  ASSERT_EQ(scene.publish(1), "");
  shm::OpenFrame frame;
  const Status claimed = sleeper.claim(message_size_min, 0, frame);
  ASSERT_TRUE(claimed) << claimed.fault().message();
  EXPECT_EQ(sleeper.attached()->header().generation, 3u);
  ASSERT_TRUE(sleeper.abort(frame));
  EXPECT_EQ(scene.aftermath(), "");
}

TEST(Sleeper, LossyReaderGoesOnInTheNewestRingAndIsToldOfTheGap) {
  for (const auto access : {shm::Access::look, shm::Access::consume}) {
    Scene scene(with_small_files);
    auto sleeper =
        need(shm::Consumer::open(scene.attach(access), {.lossy = true, .from = From::earliest}),
             "no reader");
    for (int count = 0; count < 2; ++count) {
      ASSERT_EQ(scene.publish(2), "");
      ASSERT_EQ(scene.seal_newest(), "");
      ASSERT_EQ(scene.read_all(), "");
    }
    ASSERT_EQ(scene.publish(1), "");
    shm::FrameView views[8];
    const auto old = sleeper.read(views);
    ASSERT_TRUE(old) << old.fault().message();
    EXPECT_EQ(*old, 2u);
    const auto fresh = sleeper.read(views);
    ASSERT_TRUE(fresh) << fresh.fault().message();
    EXPECT_EQ(*fresh, 1u);
    // The second ring's two messages and its seal.
    EXPECT_EQ(sleeper.take_gap().count, 3u);
  }
}

// Rings 1 to 3, and the only reader died in ring 1: nobody is left in ring 2 to lift its gate.
TEST(Sleeper, GatesOfRingsThatNobodyIsInAreLifted) {
  SceneOptions options = with_small_files;
  options.witnessed = false;
  Scene scene(options);
  const pid_t reader = scene.start({}, [](Scene& here) {
    const std::string problem = here.open_reader({.from = From::earliest}, shm::Access::consume);
    here.ready();
    return problem;
  });
  ASSERT_TRUE(scene.await_ready(reader));
  for (int count = 0; count < 2; ++count) {
    ASSERT_EQ(scene.publish(2), "");
    ASSERT_EQ(scene.seal_newest(), "");
  }
  ::kill(reader, SIGKILL);
  scene.wait(reader);
  EXPECT_EQ(scene.aftermath(), "");
}

}  // namespace
}  // namespace loopline::crash
