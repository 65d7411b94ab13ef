// File: the few steps by which files of shared memory come into the world, whole or not at all.
//
// A file is made without a name, filled, and linked to its name as the last step: whoever can see
// it sees it finished, and a death at any point before leaves nothing, since the kernel drops it.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace loopline::shm {

// A file descriptor that closes itself.
class File {
 public:
  File() = default;
  explicit File(int fd) : fd_(fd) {}
  File(File&& other) noexcept : fd_(other.release()) {}
  File& operator=(File&& other) noexcept;
  ~File();

  int fd() const { return fd_; }
  int release();
  // What the kernel knows about it; a fault names `name`.
  Result<struct stat> status(const std::string& name) const;

 private:
  int fd_ = -1;
};

// Opens a regular file that exists; not_found when there is none, no_permission with its mode and
// owner when that forbids it. `what` is "ring" or "roster".
Result<File> open_file(const std::string& what, const std::string& path, bool writable);

// Whom a file belongs to; `unchanged`: as it comes.
struct FileOwner {
  static constexpr uint32_t unchanged = ~0u;
  uint32_t user = unchanged;
  uint32_t group = unchanged;
};
// Sets what differs. `what` as above, `path` for messages. Faults: no_permission (only root gives
// files away, and others set only the mode of their own).
Status set_file_owner(const std::string& what, int fd, const std::string& path, FileOwner owner);
Status set_file_mode(const std::string& what, int fd, const std::string& path, uint32_t mode);

// An empty file without a name in `folder`; `link_file` gives it one. Its mode is what is asked,
// whatever the umask. `what` as above.
Result<File> make_file(const std::string& what, const std::string& folder, uint32_t mode,
                       FileOwner owner = {});
// already_exists when the name is taken.
Status link_file(const std::string& what, int fd, const std::string& path);

// Allocates the pages of [offset, offset + size), so that touching them can never be a SIGBUS.
// Returns 0 or errno.
int allocate_file(int fd, uint64_t offset, uint64_t size);
// The same by writing zeros: a fifth faster where all pages are then mapped, since the kernel need
// not clear them one fault at a time (9 MiB: 6.6 ms of processor time against 8.6). For new files.
int zero_file(int fd, uint64_t offset, uint64_t size);

// 128 random bits.
struct Uuid {
  uint64_t words[2];
};
Result<Uuid> make_uuid();

// "0640", as people write it.
std::string mode_text(uint32_t mode);

}  // namespace loopline::shm
