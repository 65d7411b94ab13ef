// Disk faults: full, failing, read-only and missing disks, as those meet them who type commands.
#include <fcntl.h>
#include <loopline/loopline.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include <filesystem>
#include <fstream>
#include <optional>
#include <set>
#include <thread>

#include "disk.h"
#include "io/log/paths.h"
#include "tests/support/must.h"
#include "tests/support/program.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::test {
namespace {

using namespace std::chrono_literals;

class DiskFaults : public ::testing::Test {
 protected:
  DiskFaults() : data_(io::data_folder_of(instance_.paths())) {
    ::setenv("LOOPLINE_DIR", instance_.folder().c_str(), 1);
    ::setenv("NO_COLOR", "1", 1);
    std::filesystem::create_directories(data_);
  }

  static std::vector<std::string> words(std::vector<std::string> words) {
    words.insert(words.begin(), LL_BUILD_BIN_DIR "/loopline");
    return words;
  }
  static Outcome loopline(std::vector<std::string> rest, const std::string& input = "") {
    return run(words(std::move(rest)), input);
  }
  static std::string refused(std::vector<std::string> rest) {
    const Outcome outcome = loopline(std::move(rest));
    EXPECT_EQ(outcome.status, 1) << outcome.err;
    return outcome.err;
  }
  static void expect_words(const std::string& text, const std::vector<std::string>& all) {
    for (const auto& part : all) EXPECT_NE(text.find(part), std::string::npos) << text;
  }
  static void add_station() {
    const Outcome added = loopline(
        {"station", "add", "orders", "--storage", "file", "--ring", "64KiB", "--segment", "64KiB"});
    ASSERT_EQ(added.status, 0) << added.err;
  }
  static void start_flusher(std::optional<Program>& flusher) {
    flusher.emplace(words({"flush", "--follow"}));
    ASSERT_TRUE(wait_until([&] { return flusher->says("flushing "); }));
  }
  // How it ended, and what it said.
  static Outcome end(std::optional<Program>& flusher) {
    flusher->send(SIGINT);
    return flusher->end();
  }

  static std::string body_of(uint64_t number) {
    return "message " + std::to_string(number) + std::string(7000, '.');
  }
  // A few at a time; done: all of them are durable.
  Status publish(Producer& producer, size_t count) {
    std::vector<std::pair<uint64_t, Ticket>> tickets;
    Status done = ok();
    while (done && tickets.size() < count) {
      const auto ticket = producer.publish_async(body_of(++published_), {.timeout = 20s});
      if (ticket) tickets.emplace_back(published_, *ticket);
      if (!ticket) done = ticket.fault();
    }
    for (const auto& [number, ticket] : tickets) {
      LL_TRY_STATUS(producer.wait(ticket, Ack::durable, 20s));
      acknowledged_.insert(number);
    }
    return done;
  }
  // Until somebody says why it cannot go on.
  Fault publish_until_told() {
    const Station station = must(Station::open("orders"));
    Producer producer = must(station.producer());
    for (;;) {
      const Status done = publish(producer, 6);
      if (!done) return done.fault();
    }
  }
  // In order and as they were; those that were refused may be there or not.
  void expect_all_acknowledged() const {
    const Station station = must(Station::open("orders"));
    Consumer consumer = must(station.consumer({.from = From::earliest}));
    uint64_t next = 1;
    const auto is_promised = [&](uint64_t from) {
      return acknowledged_.lower_bound(from) != acknowledged_.end();
    };
    while (const auto message = must(consumer.take(is_promised(next) ? 20s : 0s))) {
      ASSERT_EQ(consumer.gap().count, 0u);
      while (message->text() != body_of(next) && next < published_ &&
             acknowledged_.count(next) == 0) {
        ++next;
      }
      ASSERT_EQ(message->text(), body_of(next));
      ++next;
    }
    EXPECT_FALSE(is_promised(next)) << next;
  }
  void expect_service() {
    const Station station = must(Station::open("orders"));
    Producer producer = must(station.producer());
    const Status done = publish(producer, 1);
    ASSERT_TRUE(done) << done.fault().message();
    expect_all_acknowledged();
  }
  // As a reboot does it.
  void forget_memory() const { std::filesystem::remove_all(instance_.paths().shm); }

  void put_ballast(size_t bytes) const {
    std::ofstream(data_ + "/ballast") << std::string(bytes, 'x') << std::flush;
  }

  // Fills the disk, makes room, goes on.
  void fill_up_and_go_on(size_t ballast) {
    put_ballast(ballast);
    add_station();
    std::optional<Program> flusher;
    start_flusher(flusher);
    const Fault fault = publish_until_told();
    EXPECT_EQ(fault.code(), FaultCode::no_space);
    expect_words(fault.message(), {"the disk of its log is full"});
    EXPECT_GT(acknowledged_.size(), 50u);
    EXPECT_TRUE(wait_until([&] { return flusher->says("goes on by itself"); }));
    std::filesystem::remove(data_ + "/ballast");
    EXPECT_TRUE(wait_until([&] { return flusher->says("has room again"); }));
    expect_service();
    const Outcome ended = end(flusher);
    EXPECT_EQ(ended.status, 0) << ended.err;
    expect_words(ended.err, {"main/orders has to wait: cannot make room for", data_,
                             "No space left on device; make room there"});
    forget_memory();
    expect_all_acknowledged();
  }

  TempFolder folder_;
  TempInstance instance_;
  std::string data_;
  uint64_t published_ = 0;
  std::set<uint64_t> acknowledged_;
};

TEST_F(DiskFaults, AFullTmpfsIsToldAndServiceResumes) {
  if (const auto why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
  const TmpfsDisk disk(data_, 2 << 20);
  fill_up_and_go_on(1 << 20);
}

TEST_F(DiskFaults, AFullDiskIsToldAndServiceResumes) {
  if (const auto why = why_no_loop_disks(); !why.empty()) GTEST_SKIP() << why;
  LoopDisk disk(folder_.path() + "/image", data_);
  disk.format(16 << 20);
  disk.mount();
  fill_up_and_go_on(10 << 20);
}

TEST_F(DiskFaults, AFileThatMayNotGrowIsAFault) {
  add_station();
  const std::string shell = "ulimit -f 16; exec " LL_BUILD_BIN_DIR "/loopline flush --follow";
  Program flusher({"/bin/sh", "-c", shell});
  const Fault fault = publish_until_told();
  EXPECT_EQ(fault.code(), FaultCode::io_error);
  expect_words(fault.message(), {"the disk of its log failed (File too large)"});
  EXPECT_TRUE(wait_until([&] { return flusher.says("see ulimit -f"); }));
  flusher.send(SIGINT);
  EXPECT_EQ(flusher.end().status, 1);
  std::optional<Program> unbound;
  start_flusher(unbound);
  expect_service();
}

// The image of the disk lies on a tmpfs that fills up: what the disk cannot keep is an I/O error.
TEST_F(DiskFaults, AnInputOutputErrorStopsTheLogAndNothingAcknowledgedIsLost) {
  if (const auto why = why_no_loop_disks(); !why.empty()) GTEST_SKIP() << why;
  const std::string small = folder_.path() + "/small";
  std::filesystem::create_directory(small);
  const TmpfsDisk below(small, 3 << 20);
  LoopDisk disk(small + "/image", data_);
  disk.format(64 << 20);
  disk.mount();
  add_station();
  std::optional<Program> flusher;
  start_flusher(flusher);
  const Fault fault = publish_until_told();
  EXPECT_EQ(fault.code(), FaultCode::io_error);
  // Which of the two comes first is the kernel's affair: ext4 ends its journal at once.
  const bool is_error = fault.message().find("failed (Input/output error)") != std::string::npos;
  if (!is_error) expect_words(fault.message(), {"failed (Read-only file system)"});
  EXPECT_GT(acknowledged_.size(), 100u);
  // It stays so, for whoever comes later too; what is in the ring can be read.
  EXPECT_EQ(publish_until_told().code(), FaultCode::io_error);
  EXPECT_EQ(loopline({"consume", "orders", "--from", "last:10"}).status, 0);
  EXPECT_TRUE(wait_until([&] { return flusher->says("is not written to any more"); }));
  const Outcome ended = end(flusher);
  EXPECT_EQ(ended.status, 1);
  expect_words(ended.err, {"main/orders is not written to any more: ", data_,
                           "see to the disk, then start this again"});

  below.resize(64 << 20);
  disk.unmount();
  disk.mount();
  // The ring outlived the disk's trouble: what is in it becomes durable now.
  start_flusher(flusher);
  expect_service();
  EXPECT_EQ(end(flusher).status, 0);
  forget_memory();
  expect_all_acknowledged();
}

TEST_F(DiskFaults, AReadOnlyDiskIsNamed) {
  if (const auto why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
  const TmpfsDisk disk(data_, 4 << 20);
  add_station();
  ASSERT_EQ(loopline({"flush", "--once"}).status, 0);
  disk.set_read_only(true);
  for (const char* how : {"--once", "--follow"}) {
    expect_words(refused({"flush", how}), {data_ + "/stations/main@orders/0/lock: Read-only"});
  }
  expect_words(refused({"station", "add", "other", "--storage", "file"}),
               {data_ + "/stations/main@other: Read-only"});
  disk.set_read_only(false);
  std::optional<Program> flusher;
  start_flusher(flusher);
  expect_service();
}

TEST_F(DiskFaults, ADiskThatIsNotMountedIsNamed) {
  if (const auto why = why_no_mounts(); !why.empty()) GTEST_SKIP() << why;
  {
    const TmpfsDisk disk(data_, 4 << 20);
    add_station();
    ASSERT_EQ(loopline({"flush", "--once"}).status, 0);
  }
  expect_words(refused({"flush", "orders", "--once"}), {"station \"main/orders\" is"});
  std::filesystem::remove(data_);
  expect_words(refused({"flush", "orders", "--once"}), {"station \"main/orders\" is"});
  std::ofstream(data_) << "a file";
  expect_words(refused({"flush", "--once"}), {data_, "Not a directory"});
}

// In a thread of its own, which the filter ends with.
template <class Work>
std::string without_io_uring(int error, Work&& work) {
  std::string why;
  std::thread([&] {
    why = forbid_io_uring(error);
    if (why.empty()) work();
  }).join();
  return why;
}

TEST_F(DiskFaults, WithoutIoUringThreadsWriteAndItSaysSo) {
  add_station();
  for (const int error : {EPERM, ENOSYS}) {
    std::optional<Program> flusher;
    const std::string why = without_io_uring(error, [&] {
      ASSERT_EQ(loopline({"flush", "--once", "--storage", "io_uring"}).status, 1);
      flusher.emplace(words({"flush", "--follow"}));
      ASSERT_TRUE(wait_until([&] { return flusher->says("flushing a log by posix"); }));
      expect_service();
      expect_words(end(flusher).err,
                   {"io_uring is not to be had here", ::strerror(error), "threads write instead"});
    });
    if (!why.empty()) GTEST_SKIP() << why;
  }
}

TEST_F(DiskFaults, WithoutIoUringFileStationsKeepTheirPromises) {
  Outcome tests;
  const std::string why = without_io_uring(EPERM, [&] {
    tests = run({LL_BUILD_BIN_DIR "/runtime_test", "--gtest_filter=FileStationTest.*"});
  });
  if (!why.empty()) GTEST_SKIP() << why;
  EXPECT_EQ(tests.status, 0) << tests.out;
}

}  // namespace
}  // namespace loopline::test
