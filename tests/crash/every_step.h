// EveryStep: a role tried again and again, each time cut off one step later, until it gets through.
#pragma once

#include <gtest/gtest.h>

#include <functional>
#include <string>

#include "scene.h"

namespace loopline::crash {

// More than any role here takes; reaching it means that the role never ends.
constexpr uint64_t steps_max = 3000;

inline std::string publish_two(Scene& scene) { return scene.publish(2); }

struct Trial {
  SceneOptions options;
  // In the parent, before the child.
  std::function<std::string(Scene&)> prepare = [](Scene&) { return std::string(); };
  // In the child.
  Scene::Role role;
  // In the parent, while the child runs.
  std::function<std::string(Scene&, pid_t)> meanwhile = [](Scene&, pid_t) { return std::string(); };
  // In the parent, each time the child stopped: others go round, then it goes on to its end.
  std::function<std::string(Scene&, pid_t)> when_stopped = [](Scene& scene, pid_t child) {
    scene.go_round(3);
    scene.carry_on(child);
    return std::string();
  };
  // In the parent, at the end.
  std::function<std::string(Scene&)> check = [](Scene& scene) { return scene.aftermath(); };
  uint64_t stride = 1;
};

// How the trial at one step went; `got_through`: the role ended by itself.
inline std::string attempt(const Trial& trial, const Plan& plan, bool& got_through) {
  Scene scene(trial.options);
  std::string problem = trial.prepare(scene);
  if (!problem.empty()) return "prepare: " + problem;
  const pid_t child = scene.start(plan, trial.role);
  problem = trial.meanwhile(scene, child);
  if (!problem.empty()) return "meanwhile: " + problem;
  const End end = scene.wait(child);
  got_through = end == End::finished;
  if (end == End::stopped) problem = trial.when_stopped(scene, child);
  if (!problem.empty()) return "while it was stopped: " + problem;
  return trial.check(scene);
}

// Returns how many steps the role has.
inline uint64_t at_every_step(const Trial& trial, Action action) {
  for (uint64_t step = 1; step < steps_max; step += trial.stride) {
    bool got_through = false;
    const std::string problem = attempt(trial, {action, step}, got_through);
    if (!problem.empty()) {
      ADD_FAILURE() << "step " << step << ": " << problem;
      return step;
    }
    if (got_through) return step - 1;
  }
  ADD_FAILURE() << "the role never got through";
  return steps_max;
}

}  // namespace loopline::crash
