// The README's five minutes to a station that survives a power cut: its lines are run, and at the
// one that says so the power goes.
#include <gmock/gmock.h>
#include <signal.h>

#include <filesystem>
#include <fstream>

#include "disk.h"
#include "io/log/paths.h"
#include "tests/shm/child.h"
#include "tests/support/program.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::test {
namespace {

using ::testing::HasSubstr;

constexpr const char* heading = "## Five minutes";
constexpr const char* plug = "# pull the plug";  // how such a line begins
constexpr uint64_t readme_disk_bytes = 512 << 20;
constexpr uintmax_t safe_bytes_min = 20'000;  // some thousands of lines, before the power goes

// The commands below the heading, without what is said beside them.
std::vector<std::string> readme_commands() {
  std::ifstream readme(LL_SOURCE_DIR "/README.md");
  std::vector<std::string> commands;
  bool is_there = false;
  for (std::string line; std::getline(readme, line);) {
    if (line.starts_with("## ")) is_there = line.starts_with(heading);
    if (!is_there || !line.starts_with("    ")) continue;
    const std::string text = line.substr(4);
    commands.push_back(text.substr(0, text.find("  #")));
  }
  return commands;
}

class Readme : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_loop_disks(); !why.empty()) GTEST_SKIP() << why;
    const std::string data = io::data_folder_of(instance_.paths());
    std::filesystem::create_directories(data);
    disk_.emplace(folder_.path() + "/image", data);
    disk_->format(readme_disk_bytes);
    disk_->mount();
  }
  void TearDown() override {
    if (disk_) (void)run(shell("loopline down"));
  }

  // A group of its own, so that all of a pipe can be ended.
  std::vector<std::string> shell(const std::string& command) const {
    const std::string setting = "set -o pipefail; cd " + folder_.path() +
                                "; export NO_COLOR=1 LOOPLINE_DIR=" + instance_.folder() +
                                " PATH=" LL_BUILD_BIN_DIR ":$PATH; ";
    return {"/usr/bin/setsid", "/bin/bash", "-c", setting + command};
  }
  void expect_works(const std::string& command) const {
    const Outcome outcome = run(shell(command));
    EXPECT_EQ(outcome.status, 0) << command << "\n" << outcome.out << outcome.err;
  }
  pid_t broker() const {
    const std::string said = run(shell("loopline status --json")).out;
    const size_t at = said.find("\"pid\":");
    return at == std::string::npos ? 0 : std::atoi(said.c_str() + at + 6);
  }
  bool has_safe_lines() const {
    std::error_code error;
    const auto bytes = std::filesystem::file_size(folder_.path() + "/safe", error);
    return !error && bytes >= safe_bytes_min;
  }

  // The power goes while the command runs; then the machine is back.
  void cut_power_during(const std::string& command) {
    const pid_t broker_pid = broker();
    ASSERT_GT(broker_pid, 0);
    {
      const Program working(shell(command));
      EXPECT_TRUE(wait_until([&] { return has_safe_lines(); }));
      disk_->cut_power();
      ::kill(broker_pid, SIGKILL);
      ::kill(-working.pid(), SIGKILL);
    }
    disk_->unmount();
    disk_->mount();
    std::filesystem::remove_all(instance_.paths().shm);
  }

  TempFolder folder_;
  TempInstance instance_;
  std::optional<LoopDisk> disk_;
};

TEST_F(Readme, FiveMinutesLeadToAStationThatSurvivesAPowerCut) {
  const std::vector<std::string> commands = readme_commands();
  ASSERT_GE(commands.size(), 6u);
  EXPECT_THAT(commands[0], HasSubstr("./tools/build"));  // this build is there already
  const auto cut = std::find_if(commands.begin(), commands.end(),
                                [](const auto& command) { return command.starts_with(plug); });
  ASSERT_NE(cut, commands.end());
  for (auto command = commands.begin() + 1; command + 1 < cut; ++command) expect_works(*command);
  ASSERT_NO_FATAL_FAILURE(cut_power_during(*(cut - 1)));
  for (auto command = cut + 1; command < commands.end(); ++command) expect_works(*command);
}

}  // namespace
}  // namespace loopline::test
