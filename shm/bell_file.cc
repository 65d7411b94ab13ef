// BellFile: making it, ringing it from another process, and taking it away.
#include "bell_file.h"

#include <fcntl.h>
#include <linux/limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cinttypes>
#include <cstdio>
#include <filesystem>

#include "armed.h"

namespace loopline::shm {
namespace {

constexpr int open_flags = O_RDWR | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
constexpr size_t drain_size = 4096;
constexpr long separators = 5;  // of the parts of a name

// The path of a slot's file, on the stack: wakers allocate nothing. Empty when it has none.
struct Path {
  char text[PATH_MAX] = "";
  Path(const Ring& ring, uint32_t slot) {
    if (ring.bell_files == nullptr) return;
    std::snprintf(text, sizeof text, "%s%" PRIu32 "%s", ring.bell_files, slot, bell_suffix.data());
  }
};

bool is_fifo(int fd) {
  struct stat status;
  return ::fstat(fd, &status) == 0 && S_ISFIFO(status.st_mode);
}

// A full FIFO is readable, which is all that is wanted.
void write_byte(int fd) { static_cast<void>(::write(fd, "!", 1) == 1); }

}  // namespace

// If we die in here: the slot is ours, and its reaper removes the file.
Result<BellFile> BellFile::make(const Ring& ring, uint32_t slot, uint32_t mode) {
  const Path path(ring, slot);
  if (path.text[0] == 0) {
    return Fault(FaultCode::unsupported,
                 "a ring without a file has no folder for the bell of an event loop; use wait()");
  }
  const std::string name = std::string("bell file ") + path.text;
  ::unlink(path.text);  // of one who died, when its reaper might not
  if (::mkfifo(path.text, 0600) != 0) return fault_from_errno(errno, "cannot make " + name);
  File file(::open(path.text, open_flags));
  const int error = file.fd() < 0 ? errno : 0;
  const bool is_made = error == 0 && is_fifo(file.fd()) && ::fchmod(file.fd(), mode) == 0;
  if (is_made) return BellFile(std::move(file));
  ::unlink(path.text);
  return fault_from_errno(error == 0 ? EACCES : error, "cannot open " + name);
}

void BellFile::ring() const { write_byte(file_.fd()); }

void BellFile::drain() const {
  char bytes[drain_size];
  while (::read(file_.fd(), bytes, sizeof bytes) == static_cast<ssize_t>(sizeof bytes)) {
  }
}

void ring_bell_file(const Ring& ring, uint32_t slot) {
  const Path path(ring, slot);
  if (path.text[0] == 0) return;
  const File file(::open(path.text, open_flags));
  if (file.fd() >= 0 && is_fifo(file.fd())) write_byte(file.fd());
}

void remove_bell_file(const Ring& ring, uint32_t slot) {
  const Path path(ring, slot);
  if (path.text[0] != 0) ::unlink(path.text);
}

void ring_readers(const Ring& ring) {
  shm::ring(ring.control->data_bell);
  ring_armed(ring, [&](uint32_t slot) { ring_bell_file(ring, slot); });
}

void ring_durable(const Ring& ring) {
  shm::ring(ring.control->durable_bell);
  ring_armed(ring, [&](uint32_t slot) { ring_bell_file(ring, slot); });
}

std::string bell_files_of(const std::string& folder, const RingHeader& header) {
  char uuid[20];
  std::snprintf(uuid, sizeof uuid, "%016" PRIx64, header.uuid[0]);
  return folder + "/" + header.factory + "@" + header.station + "@" +
         std::to_string(header.partition) + "@" + std::to_string(header.generation) + "@" + uuid +
         "@";
}

bool is_bell_file(const std::string& path) {
  const std::string name = std::filesystem::path(path).filename().string();
  if (!name.ends_with(bell_suffix)) return false;
  if (std::count(name.begin(), name.end(), '@') != separators) return false;
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISFIFO(status.st_mode);
}

void remove_bell_files(const std::string& folder, std::string_view start) {
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    if (!at->path().filename().string().starts_with(start)) continue;
    if (is_bell_file(at->path().string())) ::unlink(at->path().c_str());
  }
}

}  // namespace loopline::shm
