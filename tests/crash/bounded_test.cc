// The torture for some seconds, as part of every test run; tools/test --minutes goes on for longer.
#include <gtest/gtest.h>
#include <sys/wait.h>

#include <cstdlib>
#include <string>

namespace {

TEST(Torture, FindsNothingInSomeSeconds) {
  const std::string program = std::string(LL_BUILD_BIN_DIR) + "/crash_torture";
  const int status = std::system((program + " --seconds 6 --round-seconds 2").c_str());
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
