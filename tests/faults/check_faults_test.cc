// Check faults: what `check` and `why` say of disks that are full, read-only, small, or hang.
#include <loopline/loopline.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "disk.h"
#include "io/log/paths.h"
#include "tests/support/must.h"
#include "tests/support/program.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::test {
namespace {

class CheckFaults : public ::testing::Test {
 protected:
  CheckFaults() : data_(io::data_folder_of(instance_.paths())) {
    ::setenv("LOOPLINE_DIR", instance_.folder().c_str(), 1);
    ::setenv("NO_COLOR", "1", 1);
    std::filesystem::create_directories(data_);
  }
  ~CheckFaults() override { tool({"down", "--quiet"}); }

  static Outcome tool(std::vector<std::string> words, const std::string& input = "") {
    words.insert(words.begin(), LL_BUILD_BIN_DIR "/loopline");
    return run(std::move(words), input);
  }
  static void must_do(std::vector<std::string> words, const std::string& input = "") {
    const Outcome outcome = tool(std::move(words), input);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
  }
  static std::string said(int status, std::vector<std::string> words) {
    const Outcome outcome = tool(std::move(words));
    EXPECT_EQ(outcome.status, status) << outcome.out << outcome.err;
    return outcome.out;
  }
  static bool has_words(const std::string& text, const std::vector<std::string>& all) {
    return std::all_of(all.begin(), all.end(), [&](const std::string& part) {
      return text.find(part) != std::string::npos;
    });
  }
  static void expect_said(int status, std::vector<std::string> words,
                          const std::vector<std::string>& all) {
    const std::string text = said(status, std::move(words));
    EXPECT_TRUE(has_words(text, all)) << text;
  }
  static void add_station() {
    must_do({"station", "add", "orders", "--storage=file", "--ring=64KiB", "--segment=64KiB"});
  }

  TempFolder folder_;
  TempInstance instance_;
  std::string data_;
};

TEST_F(CheckFaults, AFullDiskIsCriticalBeforeAndWhenItIsFull) {
  if (const auto why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
  const TmpfsDisk disk(data_, 1 << 20);
  add_station();
  must_do({"up", "--quiet"});
  EXPECT_FALSE(has_words(said(1, {"check", "disk"}), {"next segment"}));
  std::ofstream(data_ + "/ballast") << std::string(980 << 10, 'x') << std::flush;
  expect_said(2, {"check", "disk", "--warning=free-percent=off", "--critical=free-percent=off"},
              {"DISK CRITICAL - ", "too little for the next segment of main/orders (64KiB)"});
  std::ofstream(data_ + "/more") << std::string(1 << 20, 'x') << std::flush;
  expect_said(2, {"check", "disk"}, {"there is no room for a write of 4KiB", "No space left"});
  Program producer({LL_BUILD_BIN_DIR "/loopline", "produce", "orders", "--ack=durable"});
  for (int count = 0; count < 150; ++count) producer.type(std::string(999, 'x') + "\n");
  producer.end_input();
  EXPECT_TRUE(wait_until([&] { return has_words(said(0, {"why", "orders"}), {"disk-full"}); }));
  expect_said(0, {"why", "orders"},
              {"critical  disk-full", "not on disk, the oldest for",
               "the broker says: it has to wait", "make room there"});
  expect_said(2, {"check", "broker"}, {"logs that wait for room on the disk: 1, above"});
  std::filesystem::remove(data_ + "/more");
  std::filesystem::remove(data_ + "/ballast");
  EXPECT_EQ(producer.end().status, 0);
  EXPECT_TRUE(wait_until([] { return tool({"check", "station", "orders"}).status == 0; }));
}

TEST_F(CheckFaults, AReadOnlyDiskIsCritical) {
  if (const auto why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
  const TmpfsDisk disk(data_, 4 << 20);
  disk.set_read_only(true);
  expect_said(2, {"check", "disk"}, {"its file system is mounted read-only", "remount,rw"});
  disk.set_read_only(false);
  expect_said(1, {"check", "disk"}, {"does not survive a reboot"});
}

// Frozen: every write waits, as on a disk whose controller is gone.
TEST_F(CheckFaults, ADiskThatHangsIsNamedAndCheckComesBack) {
  if (const auto why = why_no_loop_disks(); !why.empty()) GTEST_SKIP() << why;
  LoopDisk disk(folder_.path() + "/image", data_);
  disk.format(16 << 20);
  disk.mount();
  add_station();
  must_do({"up", "--quiet"});
  must_do({"produce", "orders", "--ack=durable"}, "one\n");
  expect_said(0, {"check", "disk"}, {"DISK OK - ", ", a write takes "});
  disk.freeze();
  must_do({"produce", "orders", "--ack=visible"}, "two\n");
  expect_said(2, {"check", "disk", "--timeout=0.05s"}, {"was not done within 50ms"});
  const std::vector<std::string> words = {"slow-disk", "a write has been under way for",
                                          "half took"};
  EXPECT_TRUE(wait_until([&] { return has_words(said(0, {"why", "orders"}), words); }));
  EXPECT_GE(tool({"check", "station", "orders"}).status, 1);
  expect_said(1, {"check", "broker"}, {"how long the oldest write under way has taken: "});
  disk.thaw();
  EXPECT_TRUE(wait_until([] { return tool({"check", "station", "orders"}).status == 0; }));
  must_do({"down", "--quiet"});
}

}  // namespace
}  // namespace loopline::test
