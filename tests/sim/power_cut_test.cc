// Power cuts of a log under its real writer: some schedules; log_torture goes on for longer.
#include <gtest/gtest.h>

#include "log_trial.h"

namespace loopline::sim {
namespace {

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t schedules = 3;
#else
constexpr uint64_t schedules = 14;  // some 30,000 cuts
#endif

TEST(PowerCut, LosesNothingAcknowledgedAndMakesNothingUp) {
  LogTrial trial(1);
  for (uint64_t schedule = 0; schedule < schedules; ++schedule) {
    ASSERT_TRUE(trial.run(schedule)) << trial.wrong();
  }
  EXPECT_GT(trial.cuts().in_opening, 0u);
  EXPECT_GT(trial.cuts().in_dropping, 0u);
  EXPECT_GT(trial.cuts().second, 0u);
  if (schedules < 2 * mishap_count) return;
  EXPECT_EQ(trial.mishap_kinds(), mishap_count - 1);
}

}  // namespace
}  // namespace loopline::sim
