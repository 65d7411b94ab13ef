// FlusherTest: an instance with file stations under a flusher in this process, and verbs for both.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "io/flush_sources.h"
#include "io/flusher.h"
#include "io/log/file_station.h"
#include "io/log/paths.h"
#include "shm/base/clock.h"
#include "shm/producer.h"
#include "tests/support/must.h"
#include "tests/support/temp_instance.h"
#include "tests/support/wait_until.h"

namespace loopline::io {

using test::must;
using test::wait_until;

class FlusherTest : public testing::Test {
 protected:
  FlusherTest()
      : data_(data_folder_of(instance_.paths())),
        directory_(must(shm::Directory::open_or_create(instance_.paths()))) {
    keep_on_disk(directory_, data_);
  }
  void start(const FlusherOptions& options = {}) { flusher_ = must(Flusher::start(options)); }

  static shm::StationName named(const std::string& name) { return {"main", name}; }
  // A station with a ring of 64 KiB; flushed from now on.
  void make(const std::string& name, uint64_t segment_bytes = segment_bytes_min) {
    StationConf conf;
    conf.ring.ring = shm::ring_capacity_min;
    conf.segment_bytes = segment_bytes;
    must(create_file_station(directory_, data_, named(name), conf));
    for (const auto& source : must(sources_of(directory_, data_, named(name)))) {
      must(flusher_->add(source));
    }
  }
  std::shared_ptr<shm::Attached> attach(const std::string& name) const {
    return shm::Attached::make(must(directory_.attach(named(name), 0, shm::Access::produce)),
                               must(directory_.roster()), directory_);
  }
  shm::Producer producer(const std::string& name) const {
    return must(shm::Producer::open(attach(name)));
  }
  // Where it ends.
  static uint64_t publish(shm::Producer& producer, uint64_t body_size = 20) {
    shm::OpenFrame frame;
    must(producer.claim(body_size, monotonic_ns() + patience_ns, frame));
    must(producer.commit(frame, 0));
    return frame.claim.position + frame.claim.bytes;
  }
  static bool publish_durably(shm::Producer& producer) {
    const uint64_t end = publish(producer);
    return must(producer.wait_durable(end, monotonic_ns() + patience_ns));
  }
  FlushStatus status(const std::string& name) const {
    for (FlushStatus& one : flusher_->status()) {
      if (one.name.station == name) return std::move(one);
    }
    return {};
  }
  bool comes_to_rest(const std::string& name) const {
    return wait_until([&] { return status(name).is_resting; });
  }
  std::string ring_file(const std::string& name) const {
    return directory_.ring_path(named(name), 0, 1);
  }
  std::string partition_folder(const std::string& name) const {
    return log_folder(data_, named(name), 0);
  }

  static constexpr uint64_t patience_ns = 30'000'000'000;  // only a failure takes as long

  test::TempInstance instance_;
  std::string data_;
  shm::Directory directory_;
  std::unique_ptr<Flusher> flusher_;
};

}  // namespace loopline::io
