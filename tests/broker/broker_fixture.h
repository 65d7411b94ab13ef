// BrokerFixture: an instance with brokers in this process, what they say, and stations on disk.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <loopline/loopline.h>

#include <filesystem>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "runtime/broker/broker.h"
#include "shm/base/clock.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::broker {

using test::code_of;
using test::fault_of;
using test::must;
using test::wait_until;

// A log that tests read.
class NotedLog final : public Log {
 public:
  void write(LogLevel level, const std::string& line) override {
    const std::lock_guard guard(mutex_);
    lines_.emplace_back(level, line);
  }
  size_t count(const std::string& words) const {
    const std::lock_guard guard(mutex_);
    size_t found = 0;
    for (const auto& [level, line] : lines_) found += line.find(words) != std::string::npos;
    return found;
  }
  std::string all() const {
    const std::lock_guard guard(mutex_);
    std::string text;
    for (const auto& [level, line] : lines_) text += line + "\n";
    return text;
  }

 private:
  mutable std::mutex mutex_;
  std::vector<std::pair<LogLevel, std::string>> lines_;
};

class BrokerFixture : public testing::Test {
 protected:
  const std::string& folder() const { return instance_.folder(); }
  std::string data() const { return io::data_folder_of(instance_.paths()); }

  Settings settings() const {
    Settings settings;
    settings.dir = folder();
    settings.look_ns = 20'000'000;
    return settings;
  }
  Result<std::unique_ptr<Broker>> try_start() {
    return Broker::start(settings(), log_, [this] { is_stop_wanted_ = true; });
  }
  void start() { broker_ = must(try_start()); }
  void stop() {
    must(broker_->stop());
    broker_.reset();
  }

  static StationOptions on_disk(uint32_t partitions = 1) {
    StationOptions options;
    options.storage = Storage::file;
    options.ring = 64 << 10;
    options.segment = 64 << 10;
    options.partitions = partitions;
    return options;
  }
  Station add(const std::string& name, uint32_t partitions = 1) const {
    return must(Station::create(name, on_disk(partitions), folder()));
  }
  Station open(const std::string& name) const { return must(Station::open(name, folder())); }
  // Returns when it is durable.
  static uint64_t publish(const Station& station, const std::string& text) {
    auto producer = must(station.producer());
    return must(producer.publish(text));
  }
  void remove(const std::string& name) const {
    must(io::remove_station_everywhere(must(shm::Directory::open(instance_.paths())), data(),
                                       {"main", name}));
  }
  std::string conf_of(const std::string& name) const {
    return io::station_file(data(), {"main", name});
  }

  // The one log of that name; what is not there is not open, and says so.
  KeptLog look(const std::string& name, uint32_t partition = 0) const {
    for (const KeptLog& log : broker_->status().logs) {
      if (log.facts.name.station == name && log.facts.partition == partition) return log;
    }
    KeptLog none;
    none.state = KeptLog::State::not_open;
    none.trouble = "it is not known";
    return none;
  }
  bool comes_to(const std::string& name, KeptLog::State state) const {
    return wait_until([&] { return look(name).state == state; });
  }

  test::TempInstance instance_;
  NotedLog log_;
  std::atomic<bool> is_stop_wanted_{false};
  std::unique_ptr<Broker> broker_;
};

}  // namespace loopline::broker
