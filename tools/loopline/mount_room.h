// Mount room: how much room a file system has, for checks that need the figures.
#pragma once

#include <cstdint>
#include <string>

#include "check.h"
#include "shm/base/result.h"

namespace loopline::cli {

struct MountRoom {
  std::string folder;      // that was asked: the one wanted, or the nearest above it
  bool is_there = false;   // the one wanted
  bool is_memory = false;  // a tmpfs
  bool is_read_only = false;
  uint64_t bytes = 0;       // 0: without a bound
  uint64_t free_bytes = 0;  // for this user
  uint64_t inodes = 0;      // 0: the file system does not count them
  uint64_t free_inodes = 0;
};
// Faults: those of asking.
Result<MountRoom> look_at_mount(const std::string& folder);

// The measures free, free-percent and inodes-percent, and their values.
std::vector<Measure> room_measures();
void set_room(CheckReport& report, const MountRoom& room);

}  // namespace loopline::cli
