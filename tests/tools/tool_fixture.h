// ToolFixture: the loopline of this build, in an instance of the test's own.
//
//   EXPECT_EQ(loopline({"station", "add", "orders"}).status, 0);
//   loopline({"produce", "orders"}, "one\ntwo\n");
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "runtime/broker/sole_broker.h"
#include "tests/support/program.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::test {

using Words = std::vector<std::string>;

inline Words tool_words(Words words) {
  words.insert(words.begin(), LL_BUILD_BIN_DIR "/loopline");
  return words;
}

class ToolFixture : public ::testing::Test {
 protected:
  ToolFixture() {
    ::setenv("LOOPLINE_DIR", instance_.folder().c_str(), 1);
    ::setenv("NO_COLOR", "1", 1);
  }

  // A broker that a test leaves would outlive it.
  ~ToolFixture() override {
    const auto holder = broker::SoleBroker::look(instance_.folder());
    if (holder && *holder && (*holder)->pid != 0) {
      ::kill(static_cast<pid_t>((*holder)->pid), SIGKILL);
      wait_until([&] {
        const auto left = broker::SoleBroker::look(instance_.folder());
        return !left || !*left;
      });
    }
  }

  static Outcome loopline(Words words, const std::string& input = "") {
    return run(tool_words(std::move(words)), input);
  }
  // Its stdout, after it ended well.
  static std::string told(Words words, const std::string& input = "") {
    const Outcome outcome = loopline(std::move(words), input);
    EXPECT_EQ(outcome.status, 0) << outcome.err;
    return outcome.out;
  }
  static nlohmann::json json_told(Words words, const std::string& input = "") {
    return nlohmann::json::parse(told(std::move(words), input));
  }
  // What a refused command says; its status must be this one.
  static std::string refused(int status, Words words, const std::string& input = "") {
    const Outcome outcome = loopline(std::move(words), input);
    EXPECT_EQ(outcome.status, status) << outcome.out << outcome.err;
    EXPECT_EQ(outcome.out, "");
    return outcome.err;
  }

  std::string ring_path(const std::string& station) const {
    return instance_.paths().shm + "/main@" + station + "@0@1.ring";
  }

  TempInstance instance_;
};

}  // namespace loopline::test
