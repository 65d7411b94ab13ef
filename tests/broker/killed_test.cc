// looplined killed before and after its system calls: while it starts, stops, meets new stations,
// loses some, drops old segments, and stations are edited and purged. The next broker goes on;
// nothing is left to clean up by hand.
//
//   LL_BROKER_KILLS=1 build/dev/bin/broker_test --gtest_filter='BrokerKilled.*'     at every call
#include <fcntl.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>

#include "broker_fixture.h"
#include "shm/inspect.h"
#include "tests/support/killed_at.h"

namespace loopline::broker {
namespace {

using test::KilledAt;

constexpr uint64_t never = ~0ull;
constexpr uint64_t sample = 10;  // kills of each step in a run of all tests
constexpr int idle_asks = 10;    // so many looks (2 ms) without a call: it has done what it had to

// One life of a broker, from an instance that nobody used to the next broker's end.
class Life {
 public:
  explicit Life(uint64_t nth) : nth_(nth), is_even_(nth % 2 == 0) {
    ::setenv("LOOPLINE_DIR", folder().c_str(), 1);
    settings_.dir = folder();
  }
  const std::string& folder() const { return instance_.folder(); }

  void add(const std::string& name, uint64_t retention_messages = 0) {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64 << 10;
    options.segment = 64 << 10;
    options.retention_messages = retention_messages;
    must(Station::create(name, options, folder()));
    names_.push_back(name);
  }
  void remove(const std::string& name) {
    must(io::remove_station_everywhere(must(shm::Directory::open(instance_.paths())),
                                       io::data_folder_of(instance_.paths()), {"main", name}));
    std::erase(names_, name);
  }
  // Visible; durable when somebody flushes.
  void publish(const std::string& name, uint64_t count, size_t bytes = 20) {
    if (victim_ != nullptr && !victim_->is_alive()) return;  // nobody would make room
    auto producer = must(must(Station::open(name, folder())).producer());
    for (uint64_t index = 0; index < count; ++index) {
      const std::string number = std::to_string(++published_[name]);
      must(producer.publish_async(number + std::string(bytes, ' ')));
    }
  }
  // Its messages go on in a ring twice as large, from a segment twice as large on.
  void edit(const std::string& name) {
    StationOptions options;
    options.ring = 128 << 10;
    options.segment = 128 << 10;
    EXPECT_TRUE(must(Station::edit(name, options, folder())).is_changed);
    note_seal(name);
  }
  void purge(const std::string& name) {
    must(Station::purge(name, folder()));
    note_seal(name);
    purged_[name] = published_[name];
  }
  // A broker's whole life, in this process, undisturbed.
  void keep_for_a_while() {
    NotedLog log;
    must(must(Broker::start(settings_, log))->stop());
  }

  // The victim, until it says that it is ready.
  void start_victim(bool counts) {
    int ends[2];
    ASSERT_EQ(::pipe(ends), 0);
    ::fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    ready_ = shm::File(ends[0]);
    victim_ = std::make_unique<KilledAt>(
        std::vector<std::string>{LL_BUILD_BIN_DIR "/looplined", "--set", "look=1h", "--set",
                                 is_even_ ? "storage=auto" : "storage=posix", "--ready-fd",
                                 std::to_string(ends[1])},
        counts ? nth_ : never);
    ::close(ends[1]);
    victim_->run([this] {
      pollfd ready{ready_.fd(), POLLIN, 0};
      return ::poll(&ready, 1, 0) == 1 && (ready.revents & POLLIN) != 0;
    });
  }
  void count_from_here() { victim_->count_from_here(nth_); }
  void tell_to_end() {
    victim_->send(SIGTERM);
    victim_->run([] { return false; });
  }
  // Until it does nothing any more.
  void run_until_idle() {
    uint64_t calls = victim_->calls();
    int idle = 0;
    victim_->run([&] {
      idle = calls == victim_->calls() ? idle + 1 : 0;
      calls = victim_->calls();
      return idle > idle_asks;
    });
  }
  void run_until_durable(const std::string& name) {
    victim_->run([&] { return durable(name) >= published_[name]; });
  }
  uint64_t calls() const { return victim_->calls(); }
  bool was_killed() const { return victim_->was_killed(); }

  // Kills what lives, and holds the instance against what was promised.
  void reckon() {
    victim_->end();
    std::map<std::string, uint64_t> least;
    for (const std::string& name : names_)
      least[name] = is_even_ ? durable(name) : published_[name];
    if (is_even_) lose_memory();
    NotedLog log;
    {
      const auto broker = must(Broker::start(settings_, log));
      for (const KeptLog& kept : broker->status().logs) {
        EXPECT_EQ(kept.trouble, "") << kept.facts.name.text();
        EXPECT_EQ(kept.facts.gaps.size(), 0u) << kept.facts.name.text();
      }
      EXPECT_EQ(broker->status().logs.size(), names_.size()) << log.all();
      for (const std::string& name : names_) hold(name, least[name]);
      must(broker->stop());
    }
    EXPECT_NE(::access(control_path(folder()).c_str(), F_OK), 0);
    EXPECT_FALSE(must(SoleBroker::look(folder())));
  }

 private:
  // A ring's last frame takes a number.
  void note_seal(const std::string& name) { seals_[name].insert(++published_[name]); }
  uint64_t durable(const std::string& name) const {
    const auto directory = must(shm::Directory::open(instance_.paths()));
    // The oldest ring that is not all on disk says it.
    for (const uint32_t generation : must(directory.generations({"main", name}, 0))) {
      const auto ring = shm::inspect(directory.ring_path({"main", name}, 0, generation), nullptr,
                                     {.walk = false});
      if (!ring || !ring->log || ring->log->is_done) continue;  // it may have gone since
      return ring->log->durable.second - 1;
    }
    return 0;
  }
  // As a power cut does it: what was only in the rings is gone.
  void lose_memory() const {
    for (const auto& file : std::filesystem::directory_iterator(instance_.paths().shm)) {
      if (file.path().extension() == ".ring") std::filesystem::remove(file.path());
    }
  }
  // At least the first `least` messages are there but for what retention dropped, none invented,
  // and what is published now comes behind them and gets durable.
  void hold(const std::string& name, uint64_t least) {
    const Station station = must(Station::open(name, folder()));
    auto producer = must(station.producer());
    const uint64_t last = must(producer.publish("last"));
    EXPECT_GT(last, least) << name;
    EXPECT_LE(last, published_[name] + 1) << name;
    ConsumerOptions options;
    options.from = From::earliest;
    auto consumer = must(station.consumer(options));
    uint64_t next = 0;
    const auto check = [&](const Message& message) {
      if (next == 0) next = message.sequence();
      EXPECT_GT(message.sequence(), purged_[name]) << name;
      // A seal that a power cut took away leaves its number to others.
      if (seals_[name].contains(next) && message.sequence() != next) ++next;
      EXPECT_EQ(message.sequence(), next) << name;
      const std::string text(message.text());
      const std::string number = next == last ? "last" : std::to_string(next);
      EXPECT_EQ(text.substr(0, text.find(' ')), number) << name;
      ++next;
    };
    while (must(consumer.poll(check)) != 0) {
    }
    EXPECT_EQ(next, last + 1) << name;
  }

  uint64_t nth_;
  bool is_even_;
  test::TempInstance instance_;
  Settings settings_;
  std::vector<std::string> names_;
  std::map<std::string, uint64_t> published_;        // the last number
  std::map<std::string, std::set<uint64_t>> seals_;  // these are no messages
  std::map<std::string, uint64_t> purged_;           // up to here
  shm::File ready_;
  std::unique_ptr<KilledAt> victim_;
};

// `live` is one life with a victim killed at its nth call of a step; tried spread over the step.
template <class Live>
void kill_at_calls_of(Live&& live) {
  if (!KilledAt::is_possible()) GTEST_SKIP() << "the kernel does not let us trace a process";
  const uint64_t total = live(never);
  ASSERT_GT(total, 0u);
  const bool all = std::getenv("LL_BROKER_KILLS") != nullptr;
  const uint64_t count = all ? total : std::min(sample, total);
  for (uint64_t index = 0; index < count; ++index) {
    const uint64_t nth = all ? index + 1 : 1 + (2 * index + 1) * total / (2 * count);
    SCOPED_TRACE("killed at call " + std::to_string(nth) + " of " + std::to_string(total));
    live(nth);
    if (testing::Test::HasFailure()) return;
  }
}

TEST(BrokerKilled, WhileItStarts) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders");
    life.publish("orders", 30);
    life.keep_for_a_while();
    life.publish("orders", 30);
    life.start_victim(true);
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

TEST(BrokerKilled, WhileItStops) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders");
    life.start_victim(false);
    life.publish("orders", 30);
    life.count_from_here();
    life.tell_to_end();
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

TEST(BrokerKilled, WhileAStationComes) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders");
    life.start_victim(false);
    life.add("billing");
    life.publish("billing", 30);
    life.count_from_here();
    life.run_until_durable("billing");
    life.run_until_idle();
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

TEST(BrokerKilled, WhileAStationGoes) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders");
    life.add("billing");
    life.publish("billing", 30);
    life.publish("orders", 30);
    life.start_victim(false);
    life.run_until_idle();
    life.remove("billing");
    life.count_from_here();
    life.run_until_idle();
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

TEST(BrokerKilled, WhileRetentionDropsSegments) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders", 20);
    life.start_victim(false);
    life.count_from_here();
    for (int round = 0; round < 6; ++round) {
      life.publish("orders", 30, 1000);
      life.run_until_durable("orders");
      life.run_until_idle();
    }
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

TEST(BrokerKilled, WhileAStationIsEdited) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders");
    life.start_victim(false);
    life.publish("orders", 30);
    life.count_from_here();
    life.run_until_idle();
    life.edit("orders");
    life.publish("orders", 30);
    life.run_until_durable("orders");
    life.run_until_idle();
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

TEST(BrokerKilled, WhileAStationIsPurged) {
  kill_at_calls_of([](uint64_t nth) {
    Life life(nth);
    life.add("orders");
    life.start_victim(false);
    life.publish("orders", 50, 1000);
    life.run_until_durable("orders");
    life.run_until_idle();
    life.count_from_here();
    life.purge("orders");
    life.publish("orders", 30);
    life.run_until_durable("orders");
    life.run_until_idle();
    const uint64_t calls = life.calls();
    life.reckon();
    return calls;
  });
}

}  // namespace
}  // namespace loopline::broker
