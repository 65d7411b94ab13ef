// TempDiskFolder: a folder on disk that goes with the process, also when that is killed.
#pragma once

#include <sys/types.h>

#include <string>

#include "shm/base/result.h"

namespace loopline::perf {

class TempDiskFolder {
 public:
  // A new one in `parent`, which is there. Call it before there are threads: it forks.
  static Result<TempDiskFolder> make(const std::string& parent);
  TempDiskFolder(TempDiskFolder&& other) noexcept;
  TempDiskFolder& operator=(TempDiskFolder&&) = delete;
  ~TempDiskFolder();

  const std::string& path() const { return path_; }

 private:
  TempDiskFolder(std::string path, pid_t janitor, int life)
      : path_(std::move(path)), janitor_(janitor), life_(life) {}

  std::string path_;
  pid_t janitor_;  // removes the folder when `life_` is closed, by us or by the kernel
  int life_;
};

}  // namespace loopline::perf
