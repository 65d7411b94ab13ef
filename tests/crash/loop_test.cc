// Event loops under kill -9: who is owed a ring gets its message without one, and nobody who dies
// in a loop leaves a bell behind.
#include <sys/epoll.h>

#include <csignal>
#include <filesystem>

#include "every_step.h"
#include "shm/readiness.h"

namespace loopline::crash {
namespace {

constexpr SceneOptions with_files = {.capacity = shm::ring_capacity_min, .files = true};
constexpr int patience_ms = 10'000;

// The scene's reader, in an event loop.
struct Listening {
  explicit Listening(Scene& scene)
      : readiness(need(shm::Readiness::make(), "no descriptor")), reader(scene.reader()) {}
  std::string rest() {
    shm::Consumer* const all[] = {&reader};
    const Status status = readiness.rest(all);
    return status ? "" : "rest: " + status.fault().message();
  }
  bool is_told() const {
    epoll_event event;
    return ::epoll_wait(readiness.fd(), &event, 1, patience_ms) == 1;
  }

  shm::Readiness readiness;
  shm::Consumer& reader;
};

std::string open_listener(Scene& scene, std::optional<Listening>& listening) {
  const std::string problem = scene.open_reader({.from = From::earliest}, shm::Access::consume);
  if (!problem.empty()) return problem;
  listening.emplace(scene);
  return listening->rest();
}

// Reads when it is told to, and only then, until it stands at `sequence`.
std::string listen_until(Scene& scene, Listening& listening, uint64_t sequence) {
  while (scene.reader().at().second < sequence) {
    if (!listening.is_told()) return "nobody told the event loop";
    std::string problem = scene.read_the_rest();
    if (problem.empty()) problem = listening.rest();
    if (!problem.empty()) return problem;
  }
  return "";
}

// The first sequence that the reader cannot have yet.
uint64_t visible_end(Scene& scene) {
  shm::Reader ahead(scene.reader().attached()->ring(), scene.reader().at());
  shm::FrameView view;
  while (ahead.next(view) == shm::ReadOutcome::frame) {
  }
  return ahead.at().second;
}

std::string finish(Scene& scene, std::optional<Listening>& listening) {
  listening.reset();
  scene.close_reader();
  return scene.aftermath();
}

std::string publish_one(Scene& scene) {
  disarm();
  std::string problem = scene.open_producer();
  scene.rearm();
  return problem.empty() ? scene.publish(1) : problem;
}

// An armed reader, one message by the child, and nobody who comes after it.
Trial waking(std::optional<Listening>& listening) {
  return {.options = with_files,
          .prepare = [&](Scene& scene) { return open_listener(scene, listening); },
          .role = publish_one,
          .when_stopped =
              [&](Scene& scene, pid_t child) {
                const uint64_t end = visible_end(scene);
                const std::string problem = listen_until(scene, *listening, end);
                scene.carry_on(child);
                return problem;
              },
          .check =
              [&](Scene& scene) {
                const uint64_t end = visible_end(scene);
                const std::string problem = listen_until(scene, *listening, end);
                return problem.empty() ? finish(scene, listening) : problem;
              }};
}

TEST(KilledWaker, IsCoveredByTheTimer) {
  std::optional<Listening> listening;
  EXPECT_GT(at_every_step(waking(listening), Action::die), 20u);
}
TEST(StoppedWaker, IsCoveredByTheTimer) {
  std::optional<Listening> listening;
  EXPECT_GT(at_every_step(waking(listening), Action::stop), 20u);
}

// The message behind the dead one's is there, whatever it left open.
TEST(KilledProducer, HoldsNoEventLoopBack) {
  std::optional<Listening> listening;
  Trial trial = waking(listening);
  trial.prepare = [&](Scene& scene) {
    const std::string problem = scene.publish(1);  // a producer that comes later would sweep
    return problem.empty() ? open_listener(scene, listening) : problem;
  };
  trial.check = [&](Scene& scene) {
    std::string problem = scene.publish(1);
    const uint64_t end = scene.ring().control->hint.pair.load(std::memory_order_acquire).second;
    if (problem.empty()) problem = listen_until(scene, *listening, end);
    return problem.empty() ? finish(scene, listening) : problem;
  };
  EXPECT_GT(at_every_step(trial, Action::die), 20u);
}

// ---- what is left ----------------------------------------------------------

size_t bell_count(const Scene& scene) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(scene.instance().paths().shm)) {
    count += shm::is_bell_file(entry.path().string());
  }
  return count;
}

std::string expect_no_bells(Scene& scene) {
  const std::string problem = scene.aftermath();
  if (!problem.empty()) return problem;
  return bell_count(scene) == 0 ? "" : "a bell was left behind";
}

std::string listen_a_little(Scene& scene) {
  std::optional<Listening> listening;
  std::string problem = open_listener(scene, listening);
  if (problem.empty()) problem = scene.read_some();
  if (problem.empty()) problem = listening->rest();
  scene.close_reader();
  return problem;
}

TEST(KilledListener, LeavesNoBell) {
  const Trial trial{.options = with_files, .role = listen_a_little, .check = expect_no_bells};
  EXPECT_GT(at_every_step(trial, Action::die), 50u);
}

TEST(KilledListener, OnTheWayIntoTheNextRingLeavesNoBell) {
  const Trial trial{.options = with_files,
                    .role =
                        [](Scene& scene) {
                          disarm();
                          std::optional<Listening> listening;
                          std::string problem = open_listener(scene, listening);
                          if (problem.empty()) problem = scene.seal(false);
                          scene.rearm();
                          if (problem.empty()) problem = scene.read_some();
                          if (problem.empty()) problem = listening->rest();
                          scene.close_reader();
                          return problem;
                        },
                    .check = expect_no_bells};
  EXPECT_GT(at_every_step(trial, Action::die), 50u);
}

TEST(KilledReaper, OfAListenerIsFollowedByTheNext) {
  const Trial trial{.options = with_files,
                    .prepare =
                        [](Scene& scene) {
                          scene.run({}, [](Scene& here) {
                            std::optional<Listening> listening;
                            const std::string problem = open_listener(here, listening);
                            if (problem.empty()) ::kill(::getpid(), SIGKILL);
                            return problem;
                          });
                          return bell_count(scene) == 1 ? "" : "the dead one had no bell";
                        },
                    .role =
                        [](Scene& scene) {
                          scene.attach(shm::Access::produce)->janitor().sweep();
                          return std::string();
                        },
                    .check = expect_no_bells};
  EXPECT_GT(at_every_step(trial, Action::die), 10u);
}

}  // namespace
}  // namespace loopline::crash
