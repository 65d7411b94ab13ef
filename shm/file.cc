// File: opening with refusals in words, and the make, allocate, link sequence of a new file.
#include "file.h"

#include <fcntl.h>
#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <utility>

#include "base/units.h"

namespace loopline::shm {
namespace {

// tmpfs gives up an allocation when a signal arrives and undoes what it did in this call: a program
// with a fast timer would never finish a large one, so it is done in pieces.
constexpr uint64_t allocate_piece = 16_MiB;
constexpr int allocate_tries_max = 1000;

// Why a file that is there may not be opened, with what decides it.
Fault refused(const std::string& what, const std::string& path, bool writable) {
  const std::string doing = writable ? " for writing" : " for reading";
  std::string message = "not allowed to open " + what + " " + path + doing;
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) {
    message += ": its mode is " + mode_text(status.st_mode) + ", its owner user " +
               std::to_string(status.st_uid) + ", its group " + std::to_string(status.st_gid);
  } else {
    message += ": its folder cannot be searched";
  }
  return {FaultCode::no_permission, message + "; ask its owner for another mode"};
}

int allocate_piece_of(int fd, uint64_t offset, uint64_t size) {
  for (int count = 0; count < allocate_tries_max; ++count) {
    if (::fallocate(fd, 0, static_cast<off_t>(offset), static_cast<off_t>(size)) == 0) return 0;
    if (errno != EINTR) return errno;
  }
  return EINTR;
}

}  // namespace

File& File::operator=(File&& other) noexcept {
  if (this == &other) return *this;
  if (fd_ >= 0) ::close(fd_);
  fd_ = other.release();
  return *this;
}

File::~File() {
  if (fd_ >= 0) ::close(fd_);
}

int File::release() { return std::exchange(fd_, -1); }

Result<struct stat> File::status(const std::string& name) const {
  struct stat status;
  if (::fstat(fd_, &status) != 0) return fault_from_errno(errno, "cannot examine " + name);
  return status;
}

Result<File> open_file(const std::string& what, const std::string& path, bool writable) {
  // O_NONBLOCK: a FIFO put in the place of a file must not make us wait for its other end.
  const int flags = (writable ? O_RDWR : O_RDONLY) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
  File file(::open(path.c_str(), flags));
  if (file.fd() < 0) {
    if (errno == EACCES || errno == EPERM) return refused(what, path, writable);
    return fault_from_errno(errno, "cannot open " + what + " " + path);
  }
  LL_TRY(status, file.status(path));
  if (!S_ISREG(status.st_mode)) {
    return Fault(FaultCode::corrupted, path + " is not a " + what + ": it is no regular file");
  }
  return file;
}

Status set_file_owner(const std::string& what, int fd, const std::string& path, FileOwner owner) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return fault_from_errno(errno, "cannot examine " + path);
  if (owner.user == status.st_uid) owner.user = FileOwner::unchanged;
  if (owner.group == status.st_gid) owner.group = FileOwner::unchanged;
  const bool nothing = owner.user == FileOwner::unchanged && owner.group == FileOwner::unchanged;
  if (nothing || ::fchown(fd, owner.user, owner.group) == 0) return ok();
  if (errno != EPERM) return fault_from_errno(errno, "cannot set the owner of " + path);
  const bool gives_away = owner.user != FileOwner::unchanged;
  const std::string whom =
      gives_away ? "user " + std::to_string(owner.user) : "group " + std::to_string(owner.group);
  return Fault(FaultCode::no_permission,
               "user " + std::to_string(::geteuid()) + " may not give the " + what + " " + path +
                   " to " + whom +
                   (gives_away ? ": only root gives files away; let root do it, or leave its owner"
                               : ": its owner has to be in that group; let root do it, or name "
                                 "another group"));
}

Status set_file_mode(const std::string& what, int fd, const std::string& path, uint32_t mode) {
  struct stat status;
  if (::fstat(fd, &status) != 0) return fault_from_errno(errno, "cannot examine " + path);
  if ((status.st_mode & 07777) == mode || ::fchmod(fd, mode) == 0) return ok();
  if (errno != EPERM) return fault_from_errno(errno, "cannot set the mode of " + path);
  return Fault(FaultCode::no_permission, "the " + what + " " + path + " belongs to user " +
                                             std::to_string(status.st_uid) +
                                             ": only they, and root, may change its mode");
}

Result<File> make_file(const std::string& what, const std::string& folder, uint32_t mode,
                       FileOwner owner) {
  File file(::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0));
  if (file.fd() < 0) {
    if (errno == EOPNOTSUPP || errno == EISDIR) {
      return Fault(FaultCode::unsupported,
                   "cannot make a " + what + " in " + folder +
                       ": its file system has no unnamed files; use a tmpfs");
    }
    return fault_from_errno(errno, "cannot make a " + what + " in " + folder);
  }
  const std::string path = "to be made in " + folder;
  // The owner first: what was somebody else's file could not be given its mode any more.
  LL_TRY_STATUS(set_file_owner(what, file.fd(), path, owner));
  if (::fchmod(file.fd(), mode) != 0) {
    return fault_from_errno(errno, "cannot set the mode of a new " + what + " in " + folder);
  }
  return file;
}

Status link_file(const std::string& what, int fd, const std::string& path) {
  const std::string self = "/proc/self/fd/" + std::to_string(fd);
  int done = ::linkat(AT_FDCWD, self.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW);
  // Where /proc is not mounted; this form wants CAP_DAC_READ_SEARCH or a recent kernel.
  if (done != 0 && errno == ENOENT) done = ::linkat(fd, "", AT_FDCWD, path.c_str(), AT_EMPTY_PATH);
  if (done == 0) return ok();
  if (errno == EEXIST)
    return Fault(FaultCode::already_exists, what + " " + path + " exists already");
  return fault_from_errno(errno, "cannot give " + what + " its name " + path);
}

int allocate_file(int fd, uint64_t offset, uint64_t size) {
  for (uint64_t done = 0; done < size; done += allocate_piece) {
    const int error = allocate_piece_of(fd, offset + done, std::min(allocate_piece, size - done));
    if (error != 0) return error;
  }
  return 0;
}

int zero_file(int fd, uint64_t offset, uint64_t size) {
  static char zeros[64_KiB];  // never written: one shared page of the kernel's stands behind it
  uint64_t done = 0;
  while (done < size) {
    const uint64_t piece = std::min<uint64_t>(sizeof zeros, size - done);
    const ssize_t wrote = ::pwrite(fd, zeros, piece, static_cast<off_t>(offset + done));
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) return wrote < 0 ? errno : ENOSPC;
    done += static_cast<uint64_t>(wrote);
  }
  return 0;
}

Result<Uuid> make_uuid() {
  Uuid uuid;
  if (::getrandom(uuid.words, sizeof uuid.words, 0) != sizeof uuid.words) {
    return fault_from_errno(errno, "cannot get random bytes");
  }
  return uuid;
}

std::string mode_text(uint32_t mode) {
  char text[16];
  std::snprintf(text, sizeof text, "%04o", mode & 07777u);
  return text;
}

}  // namespace loopline::shm
