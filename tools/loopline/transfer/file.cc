// ExportFile: the partial file, locked by who writes it, and its name at the end.
#include "file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace loopline::cli {
namespace {

Fault is_there_already(const std::string& path) {
  return {FaultCode::already_exists,
          path + " is there already: name another file, or replace it with --overwrite"};
}

// One that another export holds is its own; one that a dead one left is ours.
Result<shm::File> open_partial(const std::string& partial) {
  shm::File file(::open(partial.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot write " + partial);
  if (::flock(file.fd(), LOCK_EX | LOCK_NB) != 0) {
    return Fault(FaultCode::already_exists,
                 "another export is writing " + partial + ": wait for it, or name another file");
  }
  struct stat held, named;
  const bool is_named = ::fstat(file.fd(), &held) == 0 && ::stat(partial.c_str(), &named) == 0 &&
                        held.st_ino == named.st_ino && held.st_dev == named.st_dev;
  if (!is_named || !S_ISREG(held.st_mode)) {
    return Fault(FaultCode::already_exists,
                 partial + " was taken away or is no file of its own: try again");
  }
  if (::ftruncate(file.fd(), 0) == 0) return file;
  return fault_from_errno(errno, "cannot write " + partial);
}

}  // namespace

Result<ExportFile> ExportFile::open(const std::string& path, bool overwrites) {
  if (path == "-") {
    if (::isatty(STDOUT_FILENO) == 1) {
      return Fault(FaultCode::invalid_argument,
                   "an export is binary and stdout is a terminal: name a file with --output FILE, "
                   "or send it through a pipe");
    }
    return ExportFile(shm::File(), STDOUT_FILENO, "stdout", "", false);
  }
  struct stat status;
  const bool is_there = ::stat(path.c_str(), &status) == 0;
  if (is_there && S_ISDIR(status.st_mode)) {
    return Fault(FaultCode::invalid_argument, path + " is a folder: name a file in it");
  }
  if (is_there && !S_ISREG(status.st_mode)) {  // a pipe, a device
    shm::File file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (file.fd() < 0) return fault_from_errno(errno, "cannot write to " + path);
    const int fd = file.fd();
    return ExportFile(std::move(file), fd, path, "", false);
  }
  if (is_there && !overwrites) return is_there_already(path);
  std::string partial = path + ".partial";
  LL_TRY(file, open_partial(partial));
  const int fd = file.fd();
  return ExportFile(std::move(file), fd, path, std::move(partial), overwrites);
}

ExportFile::~ExportFile() {
  if (file_.fd() >= 0 && !partial_.empty()) ::unlink(partial_.c_str());
}

Status ExportFile::put(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t put = ::write(fd_, bytes.data(), bytes.size());
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) {
      return fault_from_errno(
          errno, "cannot write all of the export to " + (partial_.empty() ? path_ : partial_));
    }
    bytes = bytes.subspan(static_cast<size_t>(put));
  }
  return ok();
}

Status ExportFile::name_it() {
  if (overwrites_) {
    if (::rename(partial_.c_str(), path_.c_str()) == 0) return ok();
  } else {
    if (::renameat2(AT_FDCWD, partial_.c_str(), AT_FDCWD, path_.c_str(), RENAME_NOREPLACE) == 0) {
      return ok();
    }
    if (errno == EEXIST) return is_there_already(path_);
    // A file system that cannot: two that export to one name at one moment are not told apart.
    if (errno == EINVAL && ::rename(partial_.c_str(), path_.c_str()) == 0) return ok();
  }
  return fault_from_errno(errno, "cannot give the export its name " + path_);
}

Status ExportFile::finish() {
  if (partial_.empty()) return ok();
  if (::fsync(fd_) != 0) return fault_from_errno(errno, "cannot sync " + partial_);
  LL_TRY_STATUS(name_it());
  partial_.clear();
  const std::string parent = std::filesystem::path(path_).parent_path().string();
  const std::string folder = parent.empty() ? "." : parent;
  const shm::File opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (opened.fd() >= 0 && ::fsync(opened.fd()) == 0) return ok();
  return fault_from_errno(errno, "cannot sync folder " + folder);
}

}  // namespace loopline::cli
