// The torture for some seconds, as part of every test run; tools/test --minutes goes on for longer.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

namespace {

void expect_nothing_found(const std::string& options) {
  const std::string program = std::string(LL_BUILD_BIN_DIR) + "/crash_torture";
  const int status = std::system((program + options).c_str());
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Torture, FindsNothingInSomeSeconds) { expect_nothing_found(" --seconds 6 --round-seconds 2"); }

TEST(Torture, OfGroupsFindsNothingInSomeSeconds) {
  expect_nothing_found(" --only group --seconds 3 --round-seconds 1");
}

}  // namespace
