// Brokers and producers killed again and again while records go to disk: each record that was ever
// acknowledged is there once and in order, and a retry appends nothing twice.
//
//   LL_KILLS=50 LL_RECORDS=1000000 build/dev/bin/tools_test --gtest_filter='Kills.*'
#include <loopline/loopline.h>
#include <signal.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>

#include "tests/support/must.h"
#include "tests/support/wait_until.h"
#include "tool_fixture.h"

namespace loopline::test {
namespace {

constexpr uint64_t deaths_by_default = 10;
constexpr uint64_t records_by_default = 20'000;
constexpr size_t feeds = 2;
constexpr const char* text_of_the_world = "/var/lib/dpkg/status";

uint64_t asked_for(const char* name, uint64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

// "FEED NUMBER TEXT": lines of a file that every Debian has, over and over.
std::vector<std::string> records_of(size_t feed, uint64_t count) {
  std::vector<std::string> lines;
  std::ifstream file(text_of_the_world);
  for (std::string line; lines.size() < 50'000 && std::getline(file, line);) lines.push_back(line);
  if (lines.empty()) lines.emplace_back("no such machine");
  std::vector<std::string> records;
  for (uint64_t number = 1; number <= count; ++number) {
    records.push_back(std::to_string(feed) + " " + std::to_string(number) + " " +
                      lines[number % lines.size()].substr(0, 400));
  }
  return records;
}

std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  std::vector<std::string> lines;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // the one that was being written when it was killed
    lines.push_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return lines;
}

// One input, and one producer after another that publishes all of it: what is there already is not
// published again, and acknowledged once more.
class Feed {
 public:
  Feed(size_t number, uint64_t count, const std::string& folder)
      : number_(number), folder_(folder), records_(records_of(number, count)) {
    std::ofstream file(input(), std::ios::binary);
    for (const std::string& record : records_) file << record << "\n";
  }

  // What it prints goes to a file of its own, as a shell does it.
  void begin() {
    ++life_;
    const std::string produce = LL_BUILD_BIN_DIR "/loopline produce ledger --quiet --print-acked" +
                                std::string(" --producer feed-") + std::to_string(number_) + " " +
                                input();
    const Words words{"/bin/bash", "-c", "exec " + produce + " > " + output(life_)};
    program_ = std::make_unique<Program>(words);
  }
  void kill() {
    program_->send(SIGKILL);
    (void)program_->end();
    program_.reset();
  }
  void finish() {
    const Outcome outcome = program_->end();
    EXPECT_EQ(outcome.status, 0) << outcome.err;
  }
  uint64_t acknowledged_bytes() const {
    std::error_code error;
    uint64_t bytes = 0;
    for (int life = 1; life <= life_; ++life) {
      const auto size = std::filesystem::file_size(output(life), error);
      if (!error) bytes = std::max<uint64_t>(bytes, size);
    }
    return bytes;
  }
  uint64_t bytes() const { return std::filesystem::file_size(input()); }

  // Every life was told of the first so many records, in order, and the last one of all.
  void check_acknowledged() const {
    size_t told = 0;
    for (int life = 1; life <= life_; ++life) {
      const auto lines = lines_of(output(life));
      told = lines.size();
      ASSERT_LE(told, records_.size());
      for (size_t index = 0; index < told; ++index) {
        ASSERT_EQ(lines[index], records_[index]) << "life " << life << ", record " << index + 1;
      }
    }
    EXPECT_EQ(told, records_.size());
  }
  // What a station holds of it: every record once, in order.
  void take(std::string_view line) {
    if (taken_ < records_.size() && line == records_[taken_]) {
      ++taken_;
    } else if (wrong_.empty()) {
      wrong_ = "behind " + std::to_string(taken_) + " comes: " + std::string(line.substr(0, 60));
    }
  }
  void check_taken() {
    EXPECT_EQ(wrong_, "");
    EXPECT_EQ(taken_, records_.size());
    taken_ = 0;
  }

 private:
  std::string input() const { return folder_ + "/input-" + std::to_string(number_); }
  std::string output(int life) const {
    return folder_ + "/acked-" + std::to_string(number_) + "-" + std::to_string(life);
  }

  size_t number_;
  std::string folder_;
  std::vector<std::string> records_;
  std::unique_ptr<Program> program_;
  int life_ = 0;
  uint64_t taken_ = 0;
  std::string wrong_;
};

class Kills : public ToolFixture {
 protected:
  Kills() {
    told({"station", "add", "ledger", "--storage=file", "--ring=256KiB", "--segment=1MiB"});
  }
  void TearDown() override { (void)loopline({"down"}); }

  static void kill_broker() {
    const pid_t pid = json_told({"status", "--json"})["broker"]["pid"];
    ::kill(pid, SIGKILL);
    EXPECT_TRUE(wait_until([] { return loopline({"status"}).status == 3; }));
  }
  void forget_memory() const {
    for (const auto& file : std::filesystem::directory_iterator(instance_.paths().shm)) {
      if (file.path().extension() == ".ring") std::filesystem::remove(file.path());
    }
  }
  void check_station(std::vector<Feed>& all) const {
    told({"station", "verify", "ledger"});
    const auto station = must(Station::open("ledger", instance_.folder()));
    auto consumer = must(station.consumer({.from = From::earliest}));
    const auto take = [&](const Message& message) {
      const std::string_view line = message.text();
      const auto feed = static_cast<size_t>(line.empty() ? feeds : line[0] - '0');
      ASSERT_LT(feed, feeds) << line;
      all[feed].take(line);
    };
    while (must(consumer.poll(take)) != 0 || must(consumer.wait(std::chrono::seconds(0)))) {
    }
    EXPECT_EQ(consumer.gap().count, 0u);
    for (Feed& feed : all) feed.check_taken();
  }
};

TEST_F(Kills, EveryRecordThatWasAcknowledgedIsThereOnceAndInOrder) {
  const uint64_t deaths = asked_for("LL_KILLS", deaths_by_default);
  const uint64_t records = asked_for("LL_RECORDS", records_by_default);
  std::mt19937_64 random(static_cast<uint64_t>(::getpid()));
  uint64_t brokers = 0, producers = 0;
  told({"up"});
  std::vector<Feed> all;
  uint64_t whole_bytes = 0;
  for (size_t number = 0; number < feeds; ++number) {
    all.emplace_back(number, records / feeds, instance_.folder());
    whole_bytes += all.back().bytes();
    all.back().begin();
  }
  const auto acknowledged = [&] {
    uint64_t bytes = 0;
    for (const Feed& feed : all) bytes += feed.acknowledged_bytes();
    return bytes;
  };
  for (uint64_t death = 1; death <= deaths; ++death) {
    const uint64_t due = whole_bytes * death / (deaths + 2);
    ASSERT_TRUE(wait_until([&] { return acknowledged() >= due; })) << "before death " << death;
    ::usleep(static_cast<useconds_t>(random() % 5'000));
    if (random() % 2 == 0) {
      kill_broker();
      ++brokers;
      ::usleep(static_cast<useconds_t>(random() % 20'000));  // traffic goes on meanwhile
      told({"up"});
    } else {
      Feed& feed = all[random() % feeds];
      feed.kill();
      ++producers;
      feed.begin();
    }
  }
  for (Feed& feed : all) feed.finish();
  for (const Feed& feed : all) ASSERT_NO_FATAL_FAILURE(feed.check_acknowledged());
  check_station(all);
  told({"down"});
  forget_memory();
  check_station(all);  // as a reboot leaves it
  std::printf("%llu records, %llu kills of brokers, %llu of producers\n",
              static_cast<unsigned long long>(records), static_cast<unsigned long long>(brokers),
              static_cast<unsigned long long>(producers));
}

}  // namespace
}  // namespace loopline::test
