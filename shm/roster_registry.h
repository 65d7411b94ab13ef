// RosterRegistry: the rosters this process has mapped to sit in, one mapping a file, kept for ever.
//
// A thread's seats are robust locks inside these mappings, and the kernel walks them when the
// thread dies: unmapping one, even of a removed instance, would cut the walk short. They are small.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "roster.h"

namespace loopline::shm {

struct RosterRegistry {
  // Device and inode. A mapped file keeps its inode, so a pair never comes to mean another file.
  std::map<std::pair<uint64_t, uint64_t>, std::shared_ptr<Roster>> by_file;
  std::vector<std::shared_ptr<Roster>> anonymous;

  // Guards everything here; also held across a fork, so that the child finds it whole.
  static std::mutex& mutex();
  static RosterRegistry& instance();
};

}  // namespace loopline::shm
