// StationsWatch: which station's files changed, told by the kernel (inotify) as it happens.
//
// It is a hint: where the kernel has no room for a watch, or drops events, it says "all", and who
// uses it looks at everything now and then anyway. One thread uses it.
#pragma once

#include <map>
#include <set>
#include <string>

#include "shm/base/result.h"
#include "shm/file.h"

namespace loopline::broker {

class StationsWatch {
 public:
  // `stations`: the folder of all station folders, which need not be there yet.
  static Result<StationsWatch> start(const std::string& stations);

  // Readable when there is something to take.
  int fd() const { return inotify_.fd(); }
  struct Changes {
    bool all = false;
    std::set<std::string> folders;  // names of station folders
  };
  Changes take();
  // Watches what there is by now, before it is looked at.
  void catch_up();
  // Some folder is not watched; in words, empty otherwise.
  const std::string& trouble() const { return trouble_; }

 private:
  StationsWatch(shm::File inotify, std::string stations)
      : inotify_(std::move(inotify)), stations_(std::move(stations)) {}
  void watch_folder(const std::string& name);

  shm::File inotify_;
  std::string stations_;
  int root_ = -1;                       // its watch
  std::map<int, std::string> folders_;  // watch to name
  std::string trouble_;
};

}  // namespace loopline::broker
