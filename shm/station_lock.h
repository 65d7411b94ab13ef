// StationLock: one at a time edits, purges or removes a station.
//
// A byte of the roster's file, chosen by the station's name, under an open-file lock: nothing to
// make, nothing to leave behind, and the kernel drops it with its holder. Two names on one byte
// wait for each other now and then. Nobody holds two, and none is needed to attach or to follow.
#pragma once

#include "base/result.h"
#include "directory.h"
#include "file.h"

namespace loopline::shm {

class StationLock {
 public:
  // Waits some seconds. Faults: timed_out, no_permission.
  static Result<StationLock> take(const Directory& directory, const StationName& name);
  StationLock(StationLock&&) noexcept = default;
  StationLock& operator=(StationLock&&) = delete;
  ~StationLock();

 private:
  StationLock(File roster, int64_t byte) : roster_(std::move(roster)), byte_(byte) {}
  File roster_;  // none: there is no roster, so nobody is at work on any station
  int64_t byte_;
};

}  // namespace loopline::shm
