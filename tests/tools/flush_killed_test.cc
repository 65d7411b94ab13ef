// Flushers killed again and again, beside producers that wait for the disk, readers, edits and
// retention: nothing is lost, repeated or out of order, nobody hangs, nothing is left behind.
//
//   LL_FLUSH_KILLS=2000 build/dev/bin/tools_test --gtest_filter='KilledFlush.*'    the long form
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <loopline/loopline.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <thread>

#include "io/log/examine.h"
#include "io/log/paths.h"
#include "io/log/posix_disk.h"
#include "tests/support/must.h"
#include "tests/support/program.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::test {
namespace {

using testing::IsEmpty;

using namespace std::chrono_literals;
using namespace loopline::literals;

constexpr int idle_max = 20;  // seconds
constexpr int kills_by_default = 20;
constexpr useconds_t youth_us_max = 60'000;  // starting and recovery, when the machine is idle
constexpr useconds_t work_us_max = 60'000;
constexpr auto patience = 60s;
constexpr size_t writers_each = 3;  // of a station
constexpr int in_flight_max = 64;
constexpr const char* stations[] = {"kept", "dropped"};  // one of them keeps everything

int kill_count() {
  const char* const wanted = std::getenv("LL_FLUSH_KILLS");
  return wanted == nullptr ? kills_by_default : std::atoi(wanted);
}

// "WRITER NUMBER ", filled up to some hundreds of bytes.
std::string body(size_t writer, uint64_t number) {
  std::string text = std::to_string(writer) + " " + std::to_string(number) + " ";
  text.resize(32 + number * 37 % 900, 'x');
  return text;
}

// Holds what one reader gets to what the writers wrote.
class Audit {
 public:
  void take(const Message& message) {
    size_t writer = 0;
    uint64_t number = 0;
    const std::string_view text = message.text();
    const char* const end = text.data() + text.size();
    const auto first = std::from_chars(text.data(), end, writer);
    if (first.ptr != end) std::from_chars(first.ptr + 1, end, number);
    if (writer >= writers_each || text != body(writer, number)) return wrong(message, "is torn");
    if (message.sequence() <= sequence_) return wrong(message, "comes late");
    seen_.resize(std::max<size_t>(seen_.size(), message.sequence() + 1));
    seen_[message.sequence()] = {writer, number};
    const uint64_t due = last_[writer] + 1;
    if (number < due) return wrong(message, "comes again");
    const bool may_jump = number - due <= missed_ || (is_suffix_ && last_[writer] == 0);
    if (!may_jump) return wrong(message, "comes before its predecessors");
    if (last_[writer] != 0) missed_ -= number - due;
    sequence_ = message.sequence();
    last_[writer] = number;
  }
  void note(const Gap& gap) {
    missed_ += gap.count;
    if (gap.count != 0) gaps_.push_back(gap);
  }
  // It begins wherever retention left it.
  void begin_anywhere() { is_suffix_ = true; }

  uint64_t missed() const { return missed_; }
  uint64_t last(size_t writer) const { return last_[writer]; }
  uint64_t sequence() const { return sequence_; }
  const std::string& wrong() const { return wrong_; }

  // What this one saw otherwise than the disk gives it, or never, without being told.
  std::string differences_to(const Audit& disk) const {
    std::string text;
    const size_t end = std::min<size_t>(sequence_ + 1, disk.seen_.size());
    uint64_t hole_begin = 0;
    for (uint64_t sequence = 1; sequence < end; ++sequence) {
      const Seen here = sequence < seen_.size() ? seen_[sequence] : Seen{};
      const Seen there = disk.seen_[sequence];
      const bool is_hole = here.number == 0 && there.number != 0 && !was_told(sequence);
      if (is_hole && hole_begin == 0) hole_begin = sequence;
      const bool is_over = here.number != 0 || sequence + 1 == end;
      if (hole_begin != 0 && is_over) {
        text +=
            "never saw " + std::to_string(hole_begin) + " to " + std::to_string(sequence) + "; ";
        hole_begin = 0;
      }
      const bool is_other = here.number != 0 && there.number != 0 && here != there;
      if (is_other) {
        text += std::to_string(sequence) + " is " + here.text() + ", not " + there.text() + "; ";
      }
    }
    return text;
  }

 private:
  struct Seen {
    size_t writer = 0;
    uint64_t number = 0;  // 0: not a message
    bool operator==(const Seen&) const = default;
    std::string text() const { return std::to_string(writer) + " " + std::to_string(number); }
  };
  bool was_told(uint64_t sequence) const {
    return std::any_of(gaps_.begin(), gaps_.end(), [&](const Gap& gap) {
      return sequence >= gap.first && sequence - gap.first < gap.count;
    });
  }
  void wrong(const Message& message, const char* what) {
    if (!wrong_.empty()) return;
    wrong_ = "message " + std::to_string(message.sequence()) + " (" +
             std::string(message.text().substr(0, 16)) + ") " + what + ", behind " +
             std::to_string(sequence_);
  }

  std::array<uint64_t, writers_each> last_{};
  uint64_t sequence_ = 0;
  uint64_t missed_ = 0;
  bool is_suffix_ = false;
  std::vector<Seen> seen_;  // by sequence
  std::vector<Gap> gaps_;
  std::string wrong_;
};

// A station with writers that wait for the disk and a reader that follows them.
class Traffic {
 public:
  Traffic(const std::string& name, const std::string& dir, bool drops)
      : name_(name), dir_(dir), drops_(drops) {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64_KiB;
    options.segment = 64_KiB;
    if (drops) options.retention_bytes = 512_KiB;
    station_.emplace(must(Station::open_or_create(name, options, dir)));
    for (size_t writer = 0; writer < writers_each; ++writer) {
      threads_.emplace_back([this, writer] { write(writer); });
    }
    threads_.emplace_back([this] { read(); });
  }
  Traffic(const Traffic&) = delete;
  Traffic& operator=(const Traffic&) = delete;
  ~Traffic() { join(); }

  void edit() {
    StationOptions options;
    options.ring = is_large_ ? 64_KiB : 128_KiB;
    is_large_ = !is_large_;
    const auto edited = Station::edit(name_, options, dir_);
    if (!edited) ADD_FAILURE() << name_ << ": " << edited.fault().message();
  }
  void stop_writing() { is_over_ = true; }
  // All threads end by themselves, the reader when it has everything that is durable.
  void join() {
    stop_writing();
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  const std::string& name() const { return name_; }
  const Audit& live() const { return live_; }
  uint64_t durable(size_t writer) const { return durable_[writer]; }
  uint64_t durable_count() const { return durable_[0] + durable_[1] + durable_[2]; }
  void close() { station_.reset(); }

 private:
  // The first waits for each message, the others for many at once.
  void write(size_t writer) {
    auto producer = must(station_->producer());
    const int at_once = writer == 0 ? 1 : in_flight_max;
    uint64_t number = 0;
    while (!is_over_) {
      std::optional<Ticket> ticket;
      for (int count = 0; count < at_once; ++count) {
        auto published = producer.publish_async(body(writer, number + 1), {.timeout = patience});
        if (!published) return fail(published.fault());
        ++number;
        ticket = *published;
      }
      const Status durable = producer.wait(*ticket, Ack::durable, patience);
      if (!durable) return fail(durable.fault());
      durable_[writer] = number;
    }
    --writers_left_;
  }
  void fail(const Fault& fault) {
    ADD_FAILURE() << name_ << ": a writer: " << fault.message();
    --writers_left_;
  }

  bool has_all() const {
    if (writers_left_ != 0) return false;
    for (size_t writer = 0; writer < writers_each; ++writer) {
      if (live_.last(writer) < durable_[writer]) return false;
    }
    return true;
  }
  void read() {
    auto consumer = must(station_->consumer({.from = From::earliest}));
    if (drops_) live_.begin_anywhere();
    const auto take = [&](const Message& message) {
      note(consumer.gap());  // it stands before the run
      live_.take(message);
    };
    int idle_count = 0;
    const auto is_over = [&] {
      // What retention dropped may be the last that a writer sent.
      return has_all() || idle_count == idle_max || (live_.missed() != 0 && idle_count == 2);
    };
    while (!is_over()) {
      const auto more = consumer.wait(1s);
      const auto polled = more ? consumer.poll(take) : Result<size_t>(more.fault());
      if (!polled) {
        ADD_FAILURE() << name_ << ": the reader: " << polled.fault().message();
        return;
      }
      note(consumer.gap());
      idle_count = *polled == 0 && writers_left_ == 0 ? idle_count + 1 : 0;
    }
  }

  void note(const Gap& gap) {
    live_.note(gap);
    if (gap.count != 0 && !drops_) {
      ADD_FAILURE() << name_ << " keeps everything, and a reader behind " << live_.sequence()
                    << " was told that " << gap.count << " are missing from " << gap.first;
    }
  }

  std::string name_, dir_;
  bool drops_;
  std::optional<Station> station_;
  bool is_large_ = false;
  std::atomic<bool> is_over_{false};
  std::atomic<size_t> writers_left_{writers_each};
  std::array<std::atomic<uint64_t>, writers_each> durable_{};
  Audit live_;  // the reader's, until it ended
  std::vector<std::thread> threads_;
};

class KilledFlush : public ::testing::Test {
 protected:
  KilledFlush() : data_(io::data_folder_of(instance_.paths())) {}

  std::vector<std::string> flush_words() const {
    return {LL_BUILD_BIN_DIR "/loopline", "flush", "--follow", "--dir", instance_.folder()};
  }
  std::vector<std::filesystem::path> rings() const {
    std::vector<std::filesystem::path> paths;
    for (const auto& file : std::filesystem::directory_iterator(instance_.paths().shm)) {
      if (file.path().extension() == ".ring") paths.push_back(file.path());
    }
    return paths;
  }
  io::LogFacts log_of(const std::string& station) const {
    const std::string folder = io::log_folder(data_, {"main", station}, 0);
    return must(io::examine(io::posix_disk(), folder, {.everything = true}));
  }
  // All that a station's disk gives to one who comes after a reboot.
  Audit read_from_disk(const std::string& name, uint64_t upto, bool drops) const {
    Audit audit;
    if (drops) audit.begin_anywhere();
    const auto station = must(Station::open(name, instance_.folder()));
    auto consumer = must(station.consumer({.from = From::earliest}));
    while (audit.sequence() < upto) {
      const auto polled = must(consumer.poll([&](const Message& message) { audit.take(message); }));
      if (polled == 0 && !must(consumer.wait(5s))) break;
      const Gap gap = consumer.gap();
      EXPECT_EQ(gap.count, 0u) << name << " from " << gap.first;
    }
    return audit;
  }

  TempInstance instance_;
  std::string data_;
};

TEST_F(KilledFlush, LosesNothingRepeatsNothingAndLeavesNothingBehind) {
  const int kills = kill_count();
  std::mt19937_64 random(static_cast<uint64_t>(::getpid()));
  Traffic kept(stations[0], instance_.folder(), false);
  Traffic dropped(stations[1], instance_.folder(), true);
  for (int count = 0; count < kills; ++count) {
    const Program flusher(flush_words());
    // Every other one dies young, perhaps while it recovers; the others at work.
    const uint64_t before = kept.durable_count() + dropped.durable_count();
    const auto works = [&] { return kept.durable_count() + dropped.durable_count() != before; };
    if (count % 2 == 1) {
      EXPECT_TRUE(wait_until(works)) << "its life " << count;
    }
    ::usleep(static_cast<useconds_t>(random() % (count % 2 == 0 ? youth_us_max : work_us_max)));
    if (count % 3 == 0) (count % 2 == 0 ? kept : dropped).edit();
    flusher.send(SIGKILL);
  }
  Program last(flush_words());
  for (Traffic* traffic : {&kept, &dropped}) {
    traffic->join();
    EXPECT_EQ(traffic->live().wrong(), "") << traffic->name();
    for (size_t writer = 0; writer < writers_each; ++writer) {
      EXPECT_GT(traffic->durable(writer), 0u) << traffic->name();
      const bool may_miss = traffic == &dropped && traffic->live().missed() != 0;
      EXPECT_TRUE(may_miss || traffic->live().last(writer) == traffic->durable(writer))
          << traffic->name() << " has " << traffic->live().last(writer) << " of "
          << traffic->durable(writer);
    }
    traffic->close();
  }
  EXPECT_TRUE(wait_until([&] { return rings().size() == 2; })) << "rings that ended are left";
  last.send(SIGINT);
  const Outcome outcome = last.end();
  EXPECT_EQ(outcome.status, 0) << outcome.err;

  for (const auto& path : rings()) std::filesystem::remove(path);  // as a reboot does
  for (Traffic* traffic : {&kept, &dropped}) {
    const std::string& name = traffic->name();
    const io::LogFacts log = log_of(name);
    EXPECT_TRUE(log.is_closed) << name;
    EXPECT_THAT(log.notes, IsEmpty()) << name;
    for (const auto& gap : log.gaps) {
      ADD_FAILURE() << name << " has a gap from " << gap.from.sequence << " to " << gap.to.sequence
                    << ": " << gap.why;
    }
    EXPECT_THAT(log.strangers, IsEmpty()) << name << ": files are left";
    EXPECT_THAT(log.dropped, IsEmpty()) << name << ": files are left";
    EXPECT_LE(log.unbegun.size(), 1u) << name << ": files are left";
    EXPECT_EQ(log.begin.sequence > 1, traffic == &dropped) << name;
    const Audit audit = read_from_disk(name, traffic->live().sequence(), traffic == &dropped);
    EXPECT_EQ(audit.wrong(), "") << name;
    EXPECT_EQ(traffic->live().differences_to(audit), "") << name;
    for (size_t writer = 0; writer < writers_each; ++writer) {
      // Retention may have dropped all of one that was slow at the end.
      const bool is_dropped = traffic == &dropped && audit.last(writer) == 0;
      EXPECT_TRUE(is_dropped || audit.last(writer) == traffic->durable(writer)) << name;
    }
  }
}

}  // namespace
}  // namespace loopline::test
