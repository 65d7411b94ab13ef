// TempFolder: a folder in shared memory for the inputs of one program, gone when it ends.
#pragma once

#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>

#include "shm/base/check.h"

namespace loopline::fuzz {

class TempFolder {
 public:
  TempFolder() { LL_CHECK(::mkdtemp(path_.data()) != nullptr); }
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder() {
    std::error_code error;
    std::filesystem::remove_all(path_, error);
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/dev/shm/loopline-fuzz-XXXXXX";
};

}  // namespace loopline::fuzz
