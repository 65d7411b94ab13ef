// Disk: O_DIRECT by hand; a file system in memory, which may refuse it, is used without.
#include "disk.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "perf/peers/peer_names.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/file.h"

namespace loopline::perf {
namespace {

constexpr size_t block_bytes = 4 << 10;
constexpr size_t chunk_bytes = 1 << 20;

struct Free {
  void operator()(std::byte* memory) const { std::free(memory); }
};
using Buffer = std::unique_ptr<std::byte, Free>;

// Aligned for O_DIRECT, and filled, so that no page of it is the kernel's zero page.
Buffer make_buffer(size_t bytes) {
  Buffer buffer(static_cast<std::byte*>(std::aligned_alloc(block_bytes, bytes)));
  LL_CHECK(buffer != nullptr);
  std::memset(buffer.get(), 0x5a, bytes);
  return buffer;
}

Result<shm::File> open_direct(const std::string& path, int flags) {
  shm::File file(::open(path.c_str(), flags | O_DIRECT | O_CLOEXEC, 0600));
  if (file.fd() < 0 && errno == EINVAL)
    file = shm::File(::open(path.c_str(), flags | O_CLOEXEC, 0600));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot open " + path);
  return file;
}

Fault short_step(const char* what, ssize_t count) {
  if (count < 0) return fault_from_errno(errno, std::string("cannot ") + what + " the big file");
  return {FaultCode::io_error, std::string("the disk did not ") + what + " a whole block"};
}

class RawWrite final : public Keeper {
 public:
  RawWrite(shm::File file, uint64_t bytes)
      : file_(std::move(file)), bytes_(bytes), buffer_(make_buffer(block_bytes)) {}

  Status submit(std::span<const std::byte> message) override {
    LL_CHECK(message.size() <= block_bytes);
    std::memcpy(buffer_.get(), message.data(), message.size());
    ++submitted_;
    return ok();
  }

  Result<uint64_t> wait(uint64_t /*known*/) override {
    const ssize_t count =
        ::pwrite(file_.fd(), buffer_.get(), block_bytes, static_cast<off_t>(offset_));
    if (count != static_cast<ssize_t>(block_bytes)) return short_step("write", count);
    if (::fdatasync(file_.fd()) != 0) return short_step("sync", -1);
    offset_ = (offset_ + block_bytes) % bytes_;
    return submitted_;
  }

  std::string version() override { return kernel_version(); }
  Result<std::string> settings() override {
    const bool is_direct = (::fcntl(file_.fd(), F_GETFL) & O_DIRECT) != 0;
    return "pwrite of 4KiB" + std::string(is_direct ? ", O_DIRECT" : "") +
           ", fdatasync, into written extents";
  }

 private:
  shm::File file_;
  uint64_t bytes_;
  Buffer buffer_;
  uint64_t offset_ = 0;
  uint64_t submitted_ = 0;
};

}  // namespace

Result<std::unique_ptr<Keeper>> start_raw_write(const std::string& big_file,
                                                uint64_t big_file_bytes) {
  LL_TRY(file, open_direct(big_file, O_RDWR));
  return std::unique_ptr<Keeper>(std::make_unique<RawWrite>(std::move(file), big_file_bytes));
}

Result<Figures> read_raw(const Site& site) {
  LL_TRY(file, open_direct(site.big_file, O_RDONLY));
  const Buffer buffer = make_buffer(chunk_bytes);
  const uint64_t cpu_begin_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  const uint64_t begin_ns = monotonic_ns();
  uint64_t bytes = 0;
  while (monotonic_ns() - begin_ns < site.measure_ns) {
    const auto offset = static_cast<off_t>(bytes % site.big_file_bytes);
    const ssize_t count = ::pread(file.fd(), buffer.get(), chunk_bytes, offset);
    if (count != static_cast<ssize_t>(chunk_bytes)) return short_step("read", count);
    bytes += chunk_bytes;
  }
  const auto wall_ns = static_cast<double>(monotonic_ns() - begin_ns);
  Figures figures;
  figures.bytes_per_s = static_cast<double>(bytes) * 1e9 / wall_ns;
  figures.cores = static_cast<double>(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_begin_ns) / wall_ns;
  figures.version = kernel_version();
  figures.settings = "pread of 1MiB, O_DIRECT, one in flight";
  return figures;
}

Result<uint64_t> read_file_raw(const std::string& path) {
  LL_TRY(file, open_direct(path, O_RDONLY));
  const Buffer buffer = make_buffer(chunk_bytes);
  uint64_t bytes = 0;
  for (;;) {
    const ssize_t count = ::pread(file.fd(), buffer.get(), chunk_bytes, static_cast<off_t>(bytes));
    if (count < 0) return short_step("read", count);
    bytes += static_cast<uint64_t>(count);
    if (count < static_cast<ssize_t>(chunk_bytes)) return bytes;
  }
}

Status write_big_file(const std::string& path, uint64_t bytes) {
  LL_CHECK(bytes % chunk_bytes == 0);
  LL_TRY(file, open_direct(path, O_CREAT | O_EXCL | O_RDWR));
  const Buffer buffer = make_buffer(chunk_bytes);
  for (uint64_t offset = 0; offset < bytes; offset += chunk_bytes) {
    const ssize_t count =
        ::pwrite(file.fd(), buffer.get(), chunk_bytes, static_cast<off_t>(offset));
    if (count != static_cast<ssize_t>(chunk_bytes)) return short_step("write", count);
  }
  if (::fsync(file.fd()) != 0) return short_step("sync", -1);
  return ok();
}

Result<bool> is_in_memory(const std::string& folder) {
  struct statfs status {};
  if (::statfs(folder.c_str(), &status) != 0) {
    return fault_from_errno(errno, "cannot look at the folder " + folder);
  }
  return status.f_type == TMPFS_MAGIC || status.f_type == RAMFS_MAGIC;
}

std::string disk_name(const std::string& folder) {
  struct stat status {};
  if (::stat(folder.c_str(), &status) != 0) return "unknown";
  const std::string device =
      std::to_string(major(status.st_dev)) + ":" + std::to_string(minor(status.st_dev));
  // ID PARENT DEVICE ROOT PLACE OPTIONS [TAG...] - TYPE SOURCE ...
  std::ifstream mounts("/proc/self/mountinfo");
  std::string type = "a file system";
  for (std::string line; std::getline(mounts, line);) {
    std::istringstream words(line);
    std::string id, parent, found;
    words >> id >> parent >> found;
    const size_t dash = line.find(" - ");
    if (found != device || dash == std::string::npos) continue;
    type = line.substr(dash + 3, line.find(' ', dash + 3) - dash - 3);
  }
  std::error_code error;
  const auto block = std::filesystem::read_symlink("/sys/dev/block/" + device, error);
  return error ? type : type + " on " + block.filename().string();
}

}  // namespace loopline::perf
