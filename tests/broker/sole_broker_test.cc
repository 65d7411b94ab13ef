// SoleBroker: one a folder, whoever it is and however it ended.
#include "runtime/broker/sole_broker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <optional>
#include <thread>

#include "tests/support/must.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::broker {
namespace {

using test::code_of;
using test::must;
using testing::HasSubstr;

TEST(SoleBroker, TheSecondIsToldWhoAndWhatToDo) {
  const test::TempFolder folder;
  EXPECT_FALSE(must(SoleBroker::look(folder.path())));
  const SoleBroker first = must(SoleBroker::take(folder.path()));
  const Fault fault = test::fault_of(SoleBroker::take(folder.path()));
  EXPECT_EQ(fault.code(), FaultCode::already_exists);
  EXPECT_THAT(fault.message(), HasSubstr("process " + std::to_string(::getpid())));
  EXPECT_THAT(fault.message(), HasSubstr("loopline down"));
  const auto seen = must(SoleBroker::look(folder.path()));
  ASSERT_TRUE(seen);
  EXPECT_EQ(seen->pid, static_cast<uint32_t>(::getpid()));
  EXPECT_EQ(seen->version, broker_version);
}

TEST(SoleBroker, IsFreeOnceItEnded) {
  const test::TempFolder folder;
  SoleBroker first = must(SoleBroker::take(folder.path()));
  first.release();
  EXPECT_FALSE(must(SoleBroker::look(folder.path())));
  must(SoleBroker::take(folder.path()));
}

TEST(SoleBroker, NoticesThatItsFileWasTakenAway) {
  const test::TempFolder folder;
  const SoleBroker first = must(SoleBroker::take(folder.path()));
  EXPECT_TRUE(first.is_still_there());
  std::filesystem::remove(folder.path() + "/broker.lock");
  EXPECT_FALSE(first.is_still_there());
  const SoleBroker second = must(SoleBroker::take(folder.path()));
  EXPECT_FALSE(first.is_still_there());
  EXPECT_TRUE(second.is_still_there());
}

TEST(SoleBroker, WhoWaitedForAFileThatIsGoneBeginsAnew) {
  const test::TempFolder folder;
  const std::string path = folder.path() + "/broker.lock";
  const auto times_open = [&] {
    int count = 0;
    std::error_code gone;
    for (const auto& fd : std::filesystem::directory_iterator("/proc/self/fd")) {
      count += std::filesystem::read_symlink(fd.path(), gone) == path;
    }
    return count;
  };
  // Who waits does so for a moment only, which a busy machine may take away.
  constexpr int tries_max = 100;
  std::optional<Result<SoleBroker>> second;
  for (int count = 0; count < tries_max && (!second || !*second); ++count) {
    SoleBroker first = must(SoleBroker::take(folder.path()));
    std::atomic<bool> has_ended{false};
    std::thread waiting([&] {
      second = SoleBroker::take(folder.path());
      has_ended = true;
    });
    EXPECT_TRUE(test::wait_until([&] { return times_open() == 2 || has_ended; }));
    std::filesystem::remove(path);
    first.release();
    waiting.join();
  }
  EXPECT_TRUE(must(std::move(*second)).is_still_there());
}

TEST(SoleBroker, BelievesNothingThatStandsInTheFile) {
  const test::TempFolder folder;
  const SoleBroker first = must(SoleBroker::take(folder.path()));
  for (const std::string& words : {std::string(), std::string("x"), std::string(200, '9'),
                                   std::string("12"), std::string("12 \x1b[31m\n")}) {
    std::ofstream(folder.path() + "/broker.lock", std::ios::trunc) << words;
    const auto seen = must(SoleBroker::look(folder.path()));
    ASSERT_TRUE(seen) << words;
    EXPECT_EQ(seen->pid, 0u) << words;
    EXPECT_THAT(text_of(*seen), HasSubstr("does not name")) << words;
  }
}

TEST(SoleBroker, FollowsNoLink) {
  const test::TempFolder folder;
  std::filesystem::create_symlink("/dev/null", folder.path() + "/broker.lock");
  EXPECT_FALSE(SoleBroker::take(folder.path()));
}

}  // namespace
}  // namespace loopline::broker
