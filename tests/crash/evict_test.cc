// Eviction cut off at every step: of who evicts, and of who is evicted.
#include "every_step.h"

namespace loopline::crash {
namespace {

constexpr uint64_t never_in_a_test = 100'000'000'000;
constexpr uint64_t at_once = 1'000'000;

bool is_evicted(const std::string& problem) {
  return problem.find("evict-after") != std::string::npos;
}

// A reader that is told of its eviction has nothing to complain of.
std::string read_thrice(Scene& scene) {
  std::string problem = scene.open_reader({.from = From::earliest}, shm::Access::consume);
  for (int run = 0; run < 3 && problem.empty(); ++run) problem = scene.read_some();
  scene.close_reader();
  return is_evicted(problem) ? "" : problem;
}

std::string publish_nine(Scene& scene) {
  const std::string problem = scene.publish(9);
  scene.retire();
  return problem;
}

// The reader moves its cursor by CAS; nobody is evicted.
TEST(KilledConsumer, WhoMightBeEvictedHoldsNobody) {
  const Trial trial{
      .options = {.evict_after_ns = never_in_a_test}, .prepare = publish_nine, .role = read_thrice};
  EXPECT_GT(at_every_step(trial, Action::die), 20u);
}

// It stands still for laps, is evicted meanwhile, and goes on: it believes nothing that is not so.
TEST(StoppedConsumer, IsEvictedAndBelievesNothingWrong) {
  const Trial trial{.options = {.witnessed = false, .evict_after_ns = at_once},
                    .prepare = publish_nine,
                    .role = read_thrice};
  at_every_step(trial, Action::stop);
}

// A producer is killed on its way to room that it gets by eviction: the next one gets there.
TEST(KilledProducer, OnItsWayToEvictHoldsNobody) {
  const Trial trial{.options = {.witnessed = false, .evict_after_ns = at_once},
                    .prepare =
                        [](Scene& scene) {
                          std::string problem =
                              scene.open_reader({.from = From::earliest}, shm::Access::consume);
                          if (problem.empty()) problem = scene.fill();
                          scene.retire();
                          return problem;
                        },
                    .role =
                        [](Scene& scene) {
                          const std::string problem = scene.open_producer();
                          scene.producer().wait_kind = shm::WaitKind::park;
                          return problem.empty() ? scene.publish(8) : problem;
                        },
                    .check = [](Scene& scene) -> std::string {
                      const std::string problem = scene.publish(64);
                      if (!problem.empty()) return problem;
                      const std::string told = scene.read_some();
                      if (!is_evicted(told)) return "the reader was not told: " + told;
                      scene.close_reader();
                      return scene.aftermath();
                    }};
  EXPECT_GT(at_every_step(trial, Action::die), 20u);
}

}  // namespace
}  // namespace loopline::crash
