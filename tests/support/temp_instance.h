// TempInstance: an instance of a test's own, found like any other and gone without a trace
// afterwards.
//
//   TempInstance instance;
//   setenv("LOOPLINE_DIR", instance.folder().c_str(), 1);      // for programs
//   auto directory = Directory::open_or_create(instance.paths());
#pragma once

#include <string>

#include "shm/directory.h"

namespace loopline::test {

// A folder in memory, where there is a tmpfs; removed with all it holds.
class TempFolder {
 public:
  TempFolder();
  TempFolder(const TempFolder&) = delete;
  TempFolder& operator=(const TempFolder&) = delete;
  ~TempFolder();
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class TempInstance {
 public:
  TempInstance();
  TempInstance(const TempInstance&) = delete;
  TempInstance& operator=(const TempInstance&) = delete;
  ~TempInstance();

  // What --dir and LOOPLINE_DIR take; it exists.
  const std::string& folder() const { return paths_.folder; }
  // Its rings are below /dev/shm/loopline, or LOOPLINE_SHM.
  const shm::InstancePaths& paths() const { return paths_; }

 private:
  TempFolder temp_;
  shm::InstancePaths paths_;
};

}  // namespace loopline::test
