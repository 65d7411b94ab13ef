// Power cuts on a real file system: what was acknowledged as durable is there when power is back.
//
// A few in each run; as many as LOOPLINE_TEST_CUTS says, with a report, for whoever asks for more.
#include <loopline/loopline.h>

#include <cstdlib>
#include <filesystem>

#include "disk.h"
#include "io/log/paths.h"
#include "load.h"
#include "shm/base/clock.h"
#include "tests/shm/child.h"
#include "tests/sim/random.h"
#include "tests/support/must.h"
#include "tests/support/program.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::test {
namespace {

constexpr uint64_t cuts_default = 4;
constexpr uint64_t cuts_of_a_disk = 20;  // then it is made anew, with other sizes
constexpr uint64_t disk_bytes = 256 << 20;
constexpr uint64_t kept_messages = 500;

uint64_t cuts_wanted() {
  const char* const text = std::getenv("LOOPLINE_TEST_CUTS");
  return text == nullptr ? cuts_default : std::strtoull(text, nullptr, 10);
}

class PowerCut : public ::testing::Test {
 protected:
  void SetUp() override {
    if (const std::string why = why_no_loop_disks(); !why.empty()) GTEST_SKIP() << why;
    data_ = io::data_folder_of(instance_.paths());
    std::filesystem::create_directories(data_);
    disk_.emplace(folder_.path() + "/image", data_);
  }

  // Producers 0 and 1 publish into "all", which drops nothing; 2 into "newest", which does.
  void begin_disk(uint64_t count) {
    if (count != 0) disk_->unmount();
    disk_->format(disk_bytes);
    disk_->mount();
    forget_memory();
    constexpr uint64_t segments[] = {64 << 10, 256 << 10, 1 << 20};
    StationOptions options;
    options.storage = Storage::file;
    options.ring = count % 2 == 0 ? 64 << 10 : 256 << 10;
    options.segment = std::max(segments[count % 3], *options.ring);
    must(Station::create("all", options, instance_.folder()));
    options.retention_messages = kept_messages;
    must(Station::create("newest", options, instance_.folder()));
    stations_ = {{"all", {0, 1}, 0}, {"newest", {2}, kept_messages}};
  }

  // As a reboot does it.
  void forget_memory() const { std::filesystem::remove_all(instance_.paths().shm); }

  Child producer(uint32_t index, uint32_t round) {
    return Child::run([&, index, round](Child::Parent&) {
      const char* const station = index < 2 ? "all" : "newest";
      load_.run(index, instance_.folder(), station, round, index == 0 ? 1 : 60);
      Child::Parent::wait_to_be_killed();
    });
  }

  // Everybody works until the power goes; then nobody is left.
  void work_and_cut(uint32_t round) {
    load_.begin_round();
    const std::string storage = random_.once_in(3) ? "posix" : "auto";
    Program flusher({LL_BUILD_BIN_DIR "/loopline", "--dir", instance_.folder(), "flush", "--follow",
                     "--storage", storage});
    const bool is_telling = round % 5 == 1;  // whoever waits is told before it is killed
    const bool in_recovery = !is_telling && random_.once_in(5);
    Child first = producer(0, round), second = producer(1, round), third = producer(2, round);
    const uint64_t wanted = in_recovery ? 0 : random_.between(1, 1000);
    ASSERT_TRUE(wait_until([&] { return load_.acknowledged() >= wanted; }));
    ::usleep(static_cast<useconds_t>(random_.below(in_recovery ? 30'000 : 2'000)));
    disk_->cut_power();
    if (is_telling) {
      EXPECT_TRUE(wait_until([&] { return load_.is_anybody_told(); }));
      EXPECT_TRUE(wait_until([&] { return flusher.says("cannot "); }));
    }
    for (Child* child : {&first, &second, &third}) child->kill();
    flusher.send(SIGKILL);
    words_of_flusher_ = flusher.end().err;
    acknowledged_ += load_.acknowledged();
  }

  void check(uint32_t round) {
    disk_->unmount();
    disk_->mount();
    forget_memory();
    for (Reckoning& station : stations_) {
      const std::string wrong = station.check(instance_.folder(), data_, round, load_);
      ASSERT_EQ(wrong, "") << "station " << station.station() << ", cut " << round;
    }
  }

  void report(uint64_t cuts, uint64_t begin_ns) const {
    std::printf("%llu cuts, %llu messages acknowledged, none lost, none invented, in %.1f s\n",
                static_cast<unsigned long long>(cuts),
                static_cast<unsigned long long>(acknowledged_),
                static_cast<double>(monotonic_ns() - begin_ns) / 1e9);
    std::printf("told to a producer: %s\ntold by the flusher: %s\n", words_.c_str(),
                words_of_flusher_told_.c_str());
  }

  void note_words() {
    for (uint32_t index = 0; index < load_.producers(); ++index) {
      if (load_.tally(index).is_told) words_ = load_.tally(index).words;
    }
    if (words_of_flusher_.find("cannot") != std::string::npos) {
      words_of_flusher_told_ = words_of_flusher_;
    }
  }

  TempFolder folder_;
  TempInstance instance_;
  std::string data_;
  std::optional<LoopDisk> disk_;
  Load load_{3};
  sim::Random random_{1};
  std::vector<Reckoning> stations_;
  uint64_t acknowledged_ = 0;
  std::string words_, words_of_flusher_, words_of_flusher_told_;
};

TEST_F(PowerCut, LosesNothingThatWasAcknowledged) {
  const uint64_t cuts = cuts_wanted(), begin_ns = monotonic_ns();
  for (uint32_t round = 0; round < cuts && !HasFailure(); ++round) {
    if (round % cuts_of_a_disk == 0) begin_disk(round / cuts_of_a_disk);
    ASSERT_NO_FATAL_FAILURE(work_and_cut(round + 1));
    ASSERT_NO_FATAL_FAILURE(check(round + 1));
    note_words();
  }
  if (!HasFailure()) report(cuts, begin_ns);
  EXPECT_NE(words_, "");
}

}  // namespace
}  // namespace loopline::test
