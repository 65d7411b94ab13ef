// FileStation: a station on disk for a measurement, and its flusher in this process.
#pragma once

#include <loopline/loopline.h>

#include <memory>
#include <string>

#include "io/flusher.h"

namespace loopline::perf {

class FileStation {
 public:
  // In an instance of its own, in `folder`, which is there. The first message is durable, so that
  // the first segment is in place, as it is while a broker runs.
  static Result<std::unique_ptr<FileStation>> start(const std::string& folder,
                                                    StationOptions options, shm::WaitKind wait);
  // One that another process made there, which is gone: opens its log, no producer.
  static Result<std::unique_ptr<FileStation>> adopt(const std::string& folder, shm::WaitKind wait);
  FileStation(const FileStation&) = delete;
  // The station, its log and its instance are gone.
  ~FileStation();

  Station& station() { return *station_; }
  Producer& producer() { return *producer_; }
  io::FlushStatus status();
  const std::string& storage_name() const { return flusher_->storage_name(); }
  // Where its only partition's segments are.
  const std::string& log_folder() const { return log_folder_; }
  // How long opening the log took.
  uint64_t opened_ns() const { return opened_ns_; }

 private:
  FileStation(std::string dir, shm::WaitKind wait) : dir_(std::move(dir)), wait_(wait) {}
  Status begin(StationOptions options);
  Status start_flusher();

  std::string dir_;
  shm::WaitKind wait_;
  std::string log_folder_;
  uint64_t opened_ns_ = 0;
  std::unique_ptr<io::Flusher> flusher_;
  std::unique_ptr<Station> station_;
  std::unique_ptr<Producer> producer_;
};

}  // namespace loopline::perf
