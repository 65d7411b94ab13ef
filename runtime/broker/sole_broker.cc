// SoleBroker: the lock is the kernel's, the words in the file are only words.
#include "sole_broker.h"

#include <fcntl.h>
#include <unistd.h>

#include <cctype>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "shm/base/clock.h"

namespace loopline::broker {
namespace {

constexpr int tries_max = 100;
constexpr uint64_t leaving_ns_max = 300'000'000;   // of one that was just told to end
constexpr uint64_t dying_ns_max = 10'000'000'000;  // of a process that is dead, and not yet gone
constexpr useconds_t look_us = 1000;
constexpr size_t words_max = 64;

std::string path_in(const std::string& folder) { return folder + "/broker.lock"; }

struct flock whole_file() {
  struct flock lock {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  return lock;
}

bool is_same_file(int fd, const std::string& path) {
  struct stat ours, named;
  return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &named) == 0 &&
         ours.st_dev == named.st_dev && ours.st_ino == named.st_ino;
}

// Bytes of a file that anybody in the group may write.
BrokerIdentity read_identity(int fd) {
  char bytes[words_max];
  const ssize_t size = ::pread(fd, bytes, sizeof bytes, 0);
  BrokerIdentity identity;
  if (size <= 0) return identity;
  const char* const end = bytes + size;
  const auto [rest, error] = std::from_chars(bytes, end, identity.pid);
  if (error != std::errc() || rest == end || *rest != ' ') return {};
  for (const char* at = rest + 1; at < end && *at != '\n'; ++at) {
    const bool is_plain = std::isalnum(static_cast<unsigned char>(*at)) || *at == '.' || *at == '-';
    if (!is_plain) return {};
    identity.version += *at;
  }
  return identity;
}

// If we die here: the file says nothing, or names a process that is gone; the next broker says who
// it is.
void write_identity(int fd) {
  const std::string words = std::to_string(::getpid()) + " " + broker_version + "\n";
  if (::ftruncate(fd, 0) != 0) return;
  (void)!::pwrite(fd, words.data(), words.size(), 0);
}

}  // namespace

std::string text_of(const BrokerIdentity& identity) {
  if (identity.pid == 0) return "a process that it does not name";
  return "process " + std::to_string(identity.pid) +
         (identity.version.empty() ? "" : " (looplined " + identity.version + ")");
}

namespace {

// A killed process keeps its lock until the kernel has waited for what it has in flight.
bool is_dying(const BrokerIdentity& identity) {
  if (identity.pid == 0) return false;
  const std::string path = "/proc/" + std::to_string(identity.pid) + "/stat";
  const shm::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (file.fd() < 0) return errno == ENOENT;
  char bytes[256];
  const ssize_t size = ::read(file.fd(), bytes, sizeof bytes);
  const std::string_view text(bytes, size > 0 ? static_cast<size_t>(size) : 0);
  const size_t command_end = text.rfind(')');
  if (command_end == std::string_view::npos || command_end + 2 >= text.size()) return false;
  const char state = text[command_end + 2];
  return state == 'Z' || state == 'X';
}

// Until it is free, or somebody keeps it. True: locked.
Result<bool> lock_soon(int fd, const std::string& path) {
  const uint64_t begun_ns = monotonic_ns();
  for (;;) {
    struct flock lock = whole_file();
    if (::fcntl(fd, F_OFD_SETLK, &lock) == 0) return true;
    if (errno != EAGAIN && errno != EACCES) return fault_from_errno(errno, "cannot lock " + path);
    const uint64_t waited_ns = monotonic_ns() - begun_ns;
    const uint64_t patience_ns = is_dying(read_identity(fd)) ? dying_ns_max : leaving_ns_max;
    if (waited_ns >= patience_ns) return false;
    ::usleep(look_us);
  }
}

}  // namespace

Result<SoleBroker> SoleBroker::take(const std::string& folder) {
  const std::string path = path_in(folder);
  for (int count = 0; count < tries_max; ++count) {
    shm::File file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0660));
    if (file.fd() < 0) return fault_from_errno(errno, "cannot open " + path);
    LL_TRY(is_locked, lock_soon(file.fd(), path));
    if (!is_locked) {
      return Fault(FaultCode::already_exists,
                   "a broker keeps " + folder + " already: " + text_of(read_identity(file.fd())) +
                       "; look at it: loopline status, end it: loopline down, or give this one "
                       "another folder with --dir");
    }
    if (!is_same_file(file.fd(), path)) continue;  // removed between the two: another one is there
    write_identity(file.fd());
    return SoleBroker(std::move(file), path);
  }
  return Fault(FaultCode::timed_out,
               path + " comes and goes: another program removes it again and again");
}

Result<std::optional<BrokerIdentity>> SoleBroker::look(const std::string& folder) {
  const std::string path = path_in(folder);
  const shm::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.fd() < 0 && (errno == ENOENT || errno == ENOTDIR)) {
    return std::optional<BrokerIdentity>();
  }
  if (file.fd() < 0) return fault_from_errno(errno, "cannot look at " + path);
  struct flock lock = whole_file();
  if (::fcntl(file.fd(), F_OFD_GETLK, &lock) != 0) {
    return fault_from_errno(errno, "cannot look at the lock of " + path);
  }
  if (lock.l_type == F_UNLCK) return std::optional<BrokerIdentity>();
  return std::optional<BrokerIdentity>(read_identity(file.fd()));
}

bool SoleBroker::is_still_there() const { return is_same_file(file_.fd(), path_); }

}  // namespace loopline::broker
