// TempDiskFolder: a child waits for the end of a pipe that only we hold open, and then cleans up.
#include "temp_disk_folder.h"

#include <fcntl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <utility>

namespace loopline::perf {
namespace {

// Servers that die with us may make a file more while we remove.
constexpr int tries_max = 100;

[[noreturn]] void be_janitor(int life, const std::string& path) {
  ::setsid();  // an interrupt from the terminal is not meant for us
  char byte;
  while (::read(life, &byte, 1) > 0) continue;
  for (int tries = 0; tries < tries_max; ++tries) {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    if (!error) break;
    ::usleep(10'000);
  }
  ::_exit(0);
}

}  // namespace

Result<TempDiskFolder> TempDiskFolder::make(const std::string& parent) {
  std::string path = parent + "/durable-XXXXXX";
  if (::mkdtemp(path.data()) == nullptr) {
    return fault_from_errno(errno, "cannot make a folder in " + parent);
  }
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return fault_from_errno(errno, "cannot make a pipe");
  const pid_t janitor = ::fork();
  if (janitor < 0) return fault_from_errno(errno, "cannot start the janitor of " + path);
  if (janitor == 0) {
    ::close(ends[1]);
    be_janitor(ends[0], path);
  }
  ::close(ends[0]);
  return TempDiskFolder(std::move(path), janitor, ends[1]);
}

TempDiskFolder::TempDiskFolder(TempDiskFolder&& other) noexcept
    : path_(std::move(other.path_)),
      janitor_(std::exchange(other.janitor_, 0)),
      life_(std::exchange(other.life_, -1)) {}

TempDiskFolder::~TempDiskFolder() {
  if (janitor_ == 0) return;
  ::close(life_);
  ::waitpid(janitor_, nullptr, 0);
}

}  // namespace loopline::perf
