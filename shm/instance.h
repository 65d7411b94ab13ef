// Instance: the two folders of an instance, how they are made and guarded, and their lock.
#pragma once

#include <string>

#include "base/result.h"
#include "directory.h"
#include "file.h"

namespace loopline::shm {

constexpr const char* roster_file_name = "roster";

// Makes what is missing, and puts right what a death in the middle left with the wrong mode.
Status make_folders(const InstancePaths& paths);
// not_found when one of them is missing; no_permission when the one in shared memory is somebody's
// who has no business there (anyone may make folders under /dev/shm).
Status check_folders(const InstancePaths& paths);

// The mode of files in the instance: its folder's, without the bits to search.
Result<uint32_t> file_mode_of(const InstancePaths& paths);

// Orders those who give names (shared) against those who take them away by name (exclusive), so
// that nobody removes a file that took the place of the one it meant. Never held while a ring is
// filled, and never needed to attach. A flock: the kernel drops it with its holder.
class FolderLock {
 public:
  enum class Kind { shared, exclusive };
  // Waits at most a few seconds: timed_out. not_found when the folder was removed.
  static Result<FolderLock> take(const InstancePaths& paths, Kind kind);
  // The same without waiting: timed_out at once.
  static Result<FolderLock> try_take(const InstancePaths& paths, Kind kind);
  FolderLock(FolderLock&&) noexcept = default;
  FolderLock& operator=(FolderLock&&) = delete;
  ~FolderLock();

 private:
  explicit FolderLock(File folder) : folder_(std::move(folder)) {}
  static Result<FolderLock> take_within(const InstancePaths& paths, Kind kind, uint64_t wait_ns);
  File folder_;
};

}  // namespace loopline::shm
