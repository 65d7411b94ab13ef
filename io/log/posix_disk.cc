// PosixDisk: O_DIRECT with the page cache as fallback, and a lock that ends with its process.
#include "posix_disk.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <utility>

#include "format.h"
#include "shm/file.h"

namespace loopline::io {

namespace {
constexpr uint64_t huge_page_bytes = 2u << 20;
}  // namespace

AlignedBytes::AlignedBytes(size_t size) : size_(round_up(size, block_size)) {
  // Huge pages where there are some: the kernel pins one instead of 512 for each request, and the
  // disk gets it in one piece (a tenth of what a saturated flusher costs).
  const bool is_large = size_ >= huge_page_bytes;
  const uint64_t alignment = is_large ? huge_page_bytes : block_size;
  data_ = static_cast<std::byte*>(std::aligned_alloc(alignment, round_up(size_, alignment)));
  LL_CHECK(data_ != nullptr);
  if (is_large) ::madvise(data_, round_up(size_, alignment), MADV_HUGEPAGE);
  std::memset(data_, 0, size_);
}

AlignedBytes::AlignedBytes(AlignedBytes&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

AlignedBytes& AlignedBytes::operator=(AlignedBytes&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

AlignedBytes::~AlignedBytes() { std::free(data_); }

namespace {

class PosixFile final : public DiskFile {
 public:
  PosixFile(shm::File file, std::string path) : file_(std::move(file)), path_(std::move(path)) {}

  Result<size_t> read(uint64_t offset, std::span<std::byte> into) override {
    size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = ::pread(file_.fd(), into.data() + done, into.size() - done,
                                  static_cast<off_t>(offset + done));
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return fault_from_errno(errno, "cannot read " + path_);
      if (got == 0) break;
      done += static_cast<size_t>(got);
      // The end of a file whose length is odd: direct reads cannot go on from there.
      if (done % block_size != 0) break;
    }
    return done;
  }

  Status write(uint64_t offset, std::span<const std::byte> bytes) override {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t put = ::pwrite(file_.fd(), bytes.data() + done, bytes.size() - done,
                                   static_cast<off_t>(offset + done));
      if (put < 0 && errno == EINTR) continue;
      if (put < 0) return fault_from_errno(errno, "cannot write " + path_);
      done += static_cast<size_t>(put);
    }
    return ok();
  }

  Status sync() override {
    // Once: after an error the kernel calls the lost pages clean, and the next call would lie.
    if (::fdatasync(file_.fd()) == 0) return ok();
    return fault_from_errno(errno, "cannot sync " + path_);
  }

  Result<uint64_t> size() override {
    LL_TRY(status, file_.status(path_));
    return static_cast<uint64_t>(status.st_size);
  }

  Status allocate(uint64_t size) override {
    const int error = shm::allocate_file(file_.fd(), 0, size);
    if (error == 0) return ok();
    const Fault fault = fault_from_errno(error, "cannot make room for " + path_);
    if (error != EFBIG) return fault;
    return Fault(fault.code(), fault.message() + "; this process may not: see ulimit -f");
  }

  void punch(uint64_t offset, uint64_t size) override {
    (void)::fallocate(file_.fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(offset), static_cast<off_t>(size));
  }

  int fd() const override { return file_.fd(); }
  const std::string& path() const override { return path_; }

 private:
  shm::File file_;
  std::string path_;
};

// A lock of the open file, which ends with its last descriptor: with the process, however it ends.
class PosixLock final : public Disk::Lock {
 public:
  explicit PosixLock(shm::File file) : file_(std::move(file)) {}

 private:
  shm::File file_;
};

int flags_of(DiskAccess access) {
  // A FIFO that others put there must not hold us up; opened for both it does not.
  if (access == DiskAccess::read) return O_RDONLY | O_CLOEXEC | O_NONBLOCK;
  if (access == DiskAccess::write) return O_RDWR | O_CLOEXEC;
  return O_RDWR | O_CLOEXEC | O_CREAT | O_EXCL;
}

Status done_or(int result, const std::string& what) {
  return result == 0 ? ok() : Status(fault_from_errno(errno, what));
}

class PosixDisk final : public Disk {
 public:
  Result<std::unique_ptr<DiskFile>> open(const std::string& path, DiskAccess access) override {
    const int flags = flags_of(access);
    int fd = ::open(path.c_str(), flags | O_DIRECT | O_NOFOLLOW, 0660);
    // A file system without direct access (an older tmpfs) says so only after it made the file.
    const int retry = flags & ~(errno == EINVAL ? O_EXCL : 0);
    if (fd < 0 && errno == EINVAL) fd = ::open(path.c_str(), retry | O_NOFOLLOW, 0660);
    if (fd < 0) return fault_from_errno(errno, "cannot open " + path);
    shm::File file(fd);
    LL_TRY(status, file.status(path));
    if (!S_ISREG(status.st_mode)) return Fault(FaultCode::corrupted, path + " is no regular file");
    return std::unique_ptr<DiskFile>(new PosixFile(std::move(file), path));
  }

  Result<std::vector<std::string>> list(const std::string& folder) override {
    std::vector<std::string> names;
    std::error_code error;
    for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
         at.increment(error)) {
      names.push_back(at->path().filename().string());
    }
    if (error) return fault_from_errno(error.value(), "cannot list folder " + folder);
    std::sort(names.begin(), names.end());
    return names;
  }

  Status make_folder(const std::string& path) override {
    if (::mkdir(path.c_str(), 0770) == 0) return sync_parent(path);
    if (errno == EEXIST) return ok();
    const size_t parent = path.rfind('/');
    if (errno != ENOENT || parent == 0 || parent == std::string::npos) {
      return fault_from_errno(errno, "cannot make folder " + path);
    }
    LL_TRY_STATUS(make_folder(path.substr(0, parent)));
    if (::mkdir(path.c_str(), 0770) == 0) return sync_parent(path);
    return errno == EEXIST ? ok() : Status(fault_from_errno(errno, "cannot make folder " + path));
  }

  Status rename(const std::string& from, const std::string& to) override {
    return done_or(::rename(from.c_str(), to.c_str()), "cannot rename " + from + " to " + to);
  }
  Status remove(const std::string& path) override {
    return done_or(::unlink(path.c_str()), "cannot remove " + path);
  }
  Status remove_folder(const std::string& path) override {
    return done_or(::rmdir(path.c_str()), "cannot remove folder " + path);
  }

  Status sync_folder(const std::string& path) override {
    const shm::File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (folder.fd() < 0) return fault_from_errno(errno, "cannot open folder " + path);
    return done_or(::fsync(folder.fd()), "cannot sync folder " + path);
  }

  Result<uint64_t> free_bytes(const std::string& folder) override {
    struct statvfs status;
    if (::statvfs(folder.c_str(), &status) != 0) {
      return fault_from_errno(errno, "cannot examine the disk of " + folder);
    }
    return static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
  }

  Result<std::unique_ptr<Lock>> lock(const std::string& path) override {
    shm::File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660));
    if (file.fd() < 0) return fault_from_errno(errno, "cannot open " + path);
    struct flock whole {};
    whole.l_type = F_WRLCK;
    whole.l_whence = SEEK_SET;
    if (::fcntl(file.fd(), F_OFD_SETLK, &whole) == 0) {
      return std::unique_ptr<Lock>(new PosixLock(std::move(file)));
    }
    if (errno != EAGAIN && errno != EACCES) return fault_from_errno(errno, "cannot lock " + path);
    return Fault(FaultCode::already_exists, path + " is locked by another process");
  }

 private:
  // A folder whose name a power cut takes away takes along all that was safe in it.
  Status sync_parent(const std::string& path) {
    const size_t parent = path.rfind('/');
    if (parent == std::string::npos) return sync_folder(".");
    return sync_folder(parent == 0 ? "/" : path.substr(0, parent));
  }
};

}  // namespace

void block_file_size_signal() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGXFSZ);
  (void)::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

Disk& posix_disk() {
  static PosixDisk disk;
  return disk;
}

}  // namespace loopline::io
