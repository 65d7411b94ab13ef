// StationLock: fcntl with F_OFD_SETLK, tried until it is ours.
#include "station_lock.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>

#include "base/clock.h"
#include "base/hash.h"
#include "instance.h"

namespace loopline::shm {
namespace {

constexpr uint64_t station_wait_ns_max = 5'000'000'000;
constexpr useconds_t look_us = 500;
constexpr uint64_t lock_places = 1ull << 40;  // behind the end of the file, where no byte need be

int set_lock(int fd, int64_t byte, short type) {
  struct flock range {};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = byte;
  range.l_len = 1;
  return ::fcntl(fd, F_OFD_SETLK, &range);
}

}  // namespace

Result<StationLock> StationLock::take(const Directory& directory, const StationName& name) {
  const std::string text = name.text();
  const std::string path = directory.paths().shm + "/" + roster_file_name;
  const auto byte = static_cast<int64_t>(hash64(text.data(), text.size()) % lock_places);
  auto roster = open_file("roster", path, true);
  if (!roster && roster.fault().code() == FaultCode::not_found) return StationLock(File(), byte);
  if (!roster) return roster.fault();
  const uint64_t end_ns = monotonic_ns() + station_wait_ns_max;
  while (set_lock(roster->fd(), byte, F_WRLCK) != 0) {
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      return fault_from_errno(errno, "cannot lock station \"" + text + "\" in " + path);
    }
    if (monotonic_ns() >= end_ns) {
      return Fault(FaultCode::timed_out, "station \"" + text +
                                             "\" is being edited, purged or removed by another "
                                             "process, which does not finish; is it stopped? See: "
                                             "lslocks");
    }
    ::usleep(look_us);
  }
  return StationLock(std::move(*roster), byte);
}

StationLock::~StationLock() {
  // Said aloud, since a child forked meanwhile shares the open file and would keep the lock.
  if (roster_.fd() >= 0) set_lock(roster_.fd(), byte_, F_UNLCK);
}

}  // namespace loopline::shm
