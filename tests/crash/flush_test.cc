// Flushers cut off at every step: the next one takes over with nothing lost, repeated or out of
// order, and those who wait for the disk go on.
#include <cerrno>
#include <csignal>

#include "every_step.h"

namespace loopline::crash {
namespace {

constexpr SceneOptions logged = {.lossy = true, .logged = true};
constexpr SceneOptions logged_files = {
    .capacity = 64u << 10, .lossy = true, .files = true, .logged = true};

// All that a flusher does, from taking over to leaving in peace.
std::string flush_all(Scene& scene) {
  std::string problem = scene.flush_from_now_on();
  if (problem.empty()) problem = scene.flush().everything();
  if (!problem.empty()) return problem;
  scene.flush().set_state(shm::LogState::disk_full, ENOSPC);
  scene.flush().set_state(shm::LogState::flushing, 0);
  scene.flush().close();
  return "";
}

// Two laps went to disk; what came since waits for a flusher.
std::string leave_some_to_flush(Scene& scene) {
  std::string problem = scene.flush_from_now_on();
  if (problem.empty()) scene.go_round(2);
  scene.stop_flushing();
  if (problem.empty()) problem = scene.publish(6);
  scene.retire();
  return problem;
}

std::string leave_some_over_a_seal(Scene& scene) {
  std::string problem = scene.publish(5);
  scene.retire();
  if (problem.empty()) problem = scene.seal(false);
  scene.renew();
  if (problem.empty()) problem = scene.publish(3);
  scene.retire();
  // Whoever wants room there tries this.
  const bool is_lifted = scene.attached()->lift_gate();
  if (is_lifted) problem = "a ring that is not on disk is given back";
  return problem;
}

// A dead flusher flushes no more; the next one does, and all went to disk.
std::string next_one_takes_over(Scene& scene) {
  if (scene.attached()->log_facts().state != shm::LogState::idle) {
    return "nobody flushes, and the ring does not say so";
  }
  std::string problem = scene.flush_from_now_on();
  if (problem.empty()) problem = scene.flush().everything();
  if (problem.empty() && scene.ring_file_count() > 1) problem = "a ring that ended is left";
  // A flusher leaves nothing in the data: over a large ring a lap is enough.
  if (problem.empty()) problem = scene.aftermath(scene.ring_file_count() != 0 ? 1 : 3);
  if (!problem.empty()) return problem;
  const bool flushes = scene.attached()->log_facts().state == shm::LogState::flushing;
  return flushes ? "" : "the next one flushes, and the ring does not say so";
}

Trial flushing() {
  return {.options = logged,
          .prepare = leave_some_to_flush,
          .role = flush_all,
          .check = next_one_takes_over};
}
Trial flushing_over_a_seal() {
  return {.options = logged_files,
          .prepare = leave_some_over_a_seal,
          .role = flush_all,
          .check = next_one_takes_over};
}

TEST(KilledFlusher, LosesNothingAtAnyStep) {
  EXPECT_GT(at_every_step(flushing(), Action::die), 60u);
}
TEST(KilledFlusher, OverASealIsFollowedByTheNext) {
  EXPECT_GT(at_every_step(flushing_over_a_seal(), Action::die), 60u);
}

TEST(KilledFlusher, OfARemovedStationIsFinishedByTheNext) {
  Trial trial = flushing_over_a_seal();
  trial.prepare = [](Scene& scene) {
    const std::string problem = scene.publish(3);
    scene.retire();
    const Status removed = scene.attached()->seal_for_good();
    return removed || !problem.empty() ? problem : scene.fail("remove", removed.fault());
  };
  trial.check = [](Scene& scene) {
    std::string problem;
    const Pair durable = shm::durable_of(scene.ring());
    if (durable.first != shm::no_cursor.first) {
      problem = scene.flush_from_now_on();
      if (problem.empty()) problem = scene.flush().everything();
      if (problem.empty() && !scene.flush().is_over()) problem = "it is not over";
    }
    const Platter& platter = scene.stage().platter;
    const Pair seal = scene.ring().control->seal.at.load(std::memory_order_relaxed);
    if (problem.empty() && end_of(platter, problem).first != seal.first + shm::unit_size) {
      problem = "the log does not end with the ring";
    }
    bool is_whole = false;
    return problem.empty() ? examine(platter, scene.stage().journals, is_whole) : problem;
  };
  EXPECT_GT(at_every_step(trial, Action::die), 25u);
}

TEST(StoppedFlusher, HoldsProducersUpButLosesNothing) {
  Trial trial = flushing();
  trial.stride = 2;
  at_every_step(trial, Action::stop);
}
TEST(StoppedFlusher, OverASealLosesNothing) {
  Trial trial = flushing_over_a_seal();
  trial.stride = 5;
  at_every_step(trial, Action::stop);
}

// ---- those in its way -------------------------------------------------------

Trial beside_a_flusher(const Scene::Role& role) {
  return {.options = logged,
          .prepare =
              [](Scene& scene) {
                const std::string problem = scene.flush_from_now_on();
                if (problem.empty()) scene.go_round(2);
                scene.retire();
                return problem;
              },
          .role = role};
}

// Nobody but the flusher comes by.
TEST(KilledProducer, InTheWayOfTheLogIsCleanedUpAhead) {
  Trial trial = beside_a_flusher([](Scene& scene) { return scene.publish(2); });
  trial.check = [](Scene& scene) {
    const std::string problem = scene.flush().everything();
    if (!problem.empty()) return problem;
    const shm::Ring& ring = scene.ring();
    const uint64_t end = scene.flush().cursor().at().first;
    const uint64_t side = ring.side(end).load(std::memory_order_relaxed);
    const bool is_claimed = ring.side_lap(side) == ring.lap(end);
    return is_claimed ? std::string("a frame of the dead is in the log's way") : scene.aftermath();
  };
  EXPECT_GT(at_every_step(trial, Action::die), 20u);
}

std::string flush_while_it_lives(Scene& scene, pid_t child) {
  std::string problem;
  scene.await(child, [&] {
    problem = scene.read_all();
    return !problem.empty();
  });
  return problem;
}

TEST(KilledProducer, WaitingForTheDiskIsInNobodysWay) {
  Trial trial = beside_a_flusher([](Scene& scene) { return scene.publish_durably(2); });
  trial.meanwhile = flush_while_it_lives;
  trial.stride = 2;
  EXPECT_GT(at_every_step(trial, Action::die), 20u);
}

// The flusher alone meets what is left of the seal.
TEST(KilledSealer, IsFinishedByTheFlusherAlone) {
  Trial trial = beside_a_flusher([](Scene& scene) { return scene.seal(false); });
  trial.options = logged_files;
  trial.prepare = [](Scene& scene) {
    std::string problem = scene.flush_from_now_on();
    if (problem.empty()) problem = scene.publish(5);
    scene.retire();
    return problem;
  };
  trial.stride = 2;
  trial.check = [](Scene& scene) {
    const uint64_t claimed = scene.ring().control->seal.at.load_first(std::memory_order_relaxed);
    std::string problem = scene.flush().everything();
    const uint32_t generation = scene.flush().cursor().attached()->header().generation;
    if (problem.empty() && claimed != 0 && generation != 2) problem = "the log did not go on";
    if (problem.empty()) problem = scene.seal(false);
    return problem.empty() ? scene.aftermath() : problem;
  };
  EXPECT_GT(at_every_step(trial, Action::die), 40u);
}

// ---- those who wait for it --------------------------------------------------

struct Sleeper {
  bool is_full = false;  // it waits for room first
  shm::BellLine shm::ControlBlock::*bell = &shm::ControlBlock::durable_bell;
};
constexpr Sleeper sleepers[] = {{}, {.is_full = true, .bell = &shm::ControlBlock::space_bell}};

void await_asleep(Scene& scene, const Sleeper& kind, pid_t child) {
  const shm::BellLine& bell = scene.ring().control->*kind.bell;
  EXPECT_TRUE(
      scene.await_asleep(child, [&] { return bell.parked.load(std::memory_order_relaxed) != 0; }));
}

pid_t start_sleeper(Scene& scene, const Sleeper& kind, const Scene::Role& role) {
  if (kind.is_full) {
    EXPECT_EQ(scene.fill(), "");
    scene.retire();
  }
  const pid_t child = scene.start({}, role);
  await_asleep(scene, kind, child);
  return child;
}

// Wakes the sleeper, who looks and lies down again: what wakes it then is what comes next.
void flush_beside(Scene& scene, const Sleeper& kind, pid_t child) {
  ASSERT_EQ(scene.flush_from_now_on(), "");
  await_asleep(scene, kind, child);
}

TEST(KilledFlusher, LeavesNobodyWaiting) {
  for (const Sleeper& kind : sleepers) {
    End end = End::died;
    for (uint64_t step = 1; end == End::died && step < steps_max; step += 3) {
      Scene scene(logged);
      const pid_t sleeper =
          start_sleeper(scene, kind, [](Scene& here) { return here.publish_durably(1); });
      end = scene.run({Action::die, step}, flush_all);
      ASSERT_EQ(scene.flush_from_now_on(), "") << "step " << step;
      ASSERT_EQ(flush_while_it_lives(scene, sleeper), "") << "step " << step;
      ASSERT_TRUE(scene.ends(sleeper)) << "step " << step;
      ASSERT_EQ(scene.aftermath(), "") << "step " << step;
    }
    EXPECT_EQ(end, End::finished);
  }
}

std::string publish_durably_without_a_clock(Scene& scene) {
  const std::string problem = scene.open_producer();
  time_stands_still = true;
  return problem.empty() ? scene.publish_durably(1) : problem;
}

TEST(Asleep, ProducersAreWokenByTheDisk) {
  for (const Sleeper& kind : sleepers) {
    Scene scene(logged);
    const pid_t sleeper = start_sleeper(scene, kind, publish_durably_without_a_clock);
    flush_beside(scene, kind, sleeper);
    ASSERT_EQ(flush_while_it_lives(scene, sleeper), "");
    EXPECT_TRUE(scene.ends(sleeper));
    EXPECT_EQ(scene.aftermath(), "");
  }
}

TEST(Asleep, ProducersAreWokenByADiskThatFails) {
  for (const Sleeper& kind : sleepers) {
    Scene scene(logged);
    const pid_t sleeper = start_sleeper(scene, kind, [](Scene& here) {
      const std::string problem = publish_durably_without_a_clock(here);
      const bool is_told = problem.find("Input/output error") != std::string::npos;
      return is_told ? std::string() : "it was not told: " + problem;
    });
    flush_beside(scene, kind, sleeper);
    scene.flush().set_state(shm::LogState::failed, EIO);
    EXPECT_TRUE(scene.ends(sleeper));
    scene.flush().close();
    EXPECT_EQ(scene.attached()->log_facts().state, shm::LogState::failed) << "it outlives us";
    EXPECT_EQ(scene.flush_from_now_on(), "");
    EXPECT_EQ(scene.aftermath(), "");
  }
}

}  // namespace
}  // namespace loopline::crash
