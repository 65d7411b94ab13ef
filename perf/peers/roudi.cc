// RouDi: forked from the bench with a configuration of its own, told to end by signal.
#include "roudi.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/iceoryx_posh_config.hpp>
#include <iceoryx_posh/internal/roudi/roudi.hpp>
#include <iceoryx_posh/roudi/iceoryx_roudi_components.hpp>

#include <csignal>
#include <filesystem>

#include "perf/harness/cases.h"

namespace loopline::perf {
namespace {

constexpr int start_ms_max = 5'000;
constexpr int end_ms_max = 5'000;
// Of each size: two directions, each with a full queue (256), as many in a receiver's hands and
// some in the sender's.
constexpr uint32_t chunk_count = 1024;
// iceoryx 2.0 keeps the sockets of RouDi and its clients here, whatever the configuration says.
constexpr const char* socket_folder = "/tmp";

std::string client_prefix(pid_t bench) { return "loopline-bench-" + std::to_string(bench) + "-"; }

iox::RouDiConfig_t configuration() {
  iox::mepoo::MePooConfig pools;
  for (const uint64_t size : message_sizes) {
    pools.addMemPool({static_cast<uint32_t>(size), chunk_count});
  }
  iox::RouDiConfig_t config;
  const auto group = iox::posix::PosixGroup::getGroupOfCurrentProcess().getName();
  config.m_sharedMemorySegments.push_back({group, group, pools});
  return config;
}

// A client that was killed leaves its socket and the socket's lock.
void remove_sockets(const std::string& prefix) {
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(socket_folder, ignored)) {
    if (!entry.path().filename().string().starts_with(prefix)) continue;
    std::filesystem::remove(entry.path(), ignored);
  }
}

// It talks much; what matters we say ourselves.
void be_quiet() {
  const int nowhere = ::open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (nowhere < 0) return;
  ::dup2(nowhere, STDOUT_FILENO);
  ::dup2(nowhere, STDERR_FILENO);
  iox::log::LogManager::GetLogManager().SetDefaultLogLevel(iox::log::LogLevel::kOff,
                                                           iox::log::LogLevelOutput::kHideLogLevel);
}

// Runs until SIGTERM or SIGINT; says through `ready` that clients may come. It aborts when another
// RouDi holds the lock, and `ready` is closed unwritten.
[[noreturn]] void be_roudi(int ready, pid_t bench) {
  sigset_t ends;
  ::sigemptyset(&ends);
  ::sigaddset(&ends, SIGTERM);
  ::sigaddset(&ends, SIGINT);
  ::sigprocmask(SIG_BLOCK, &ends, nullptr);
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != bench) ::_exit(1);
  be_quiet();
  {
    using iox::roudi::RouDi;
    iox::roudi::IceOryxRouDiComponents components(configuration());
    // Watching for dead clients, and killing none of the living.
    const RouDi roudi(components.rouDiMemoryManager, components.portManager,
                      RouDi::RoudiStartupParameters(iox::roudi::MonitoringMode::ON, false));
    const bool told = ::write(ready, "+", 1) == 1;
    int signal = 0;
    if (told) ::sigwait(&ends, &signal);
  }
  remove_sockets(client_prefix(bench));
  ::_exit(0);
}

// Whether `fd` becomes readable in time.
bool is_readable(int fd, int timeout_ms) {
  pollfd watched{fd, POLLIN, 0};
  return ::poll(&watched, 1, timeout_ms) == 1;
}

// The one RouDi of this process.
class Daemon {
 public:
  Daemon() { start(); }
  ~Daemon() {
    if (::getpid() == maker_) end();
  }
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  bool is_running() const { return pid_ > 0; }

 private:
  void start() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return;
    pid_ = ::fork();
    if (pid_ == 0) be_roudi(ends[1], maker_);
    ::close(ends[1]);
    char byte = 0;
    const bool is_ready = is_readable(ends[0], start_ms_max) && ::read(ends[0], &byte, 1) == 1;
    ::close(ends[0]);
    if (!is_ready) end();
  }

  void end() {
    if (pid_ <= 0) return;
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid_, 0));
    ::kill(pid_, SIGTERM);
    if (fd < 0 || !is_readable(fd, end_ms_max)) ::kill(pid_, SIGKILL);
    if (fd >= 0) ::close(fd);
    ::waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

  pid_t maker_ = ::getpid();
  pid_t pid_ = 0;
};

}  // namespace

Status start_roudi() {
  static const Daemon daemon;
  if (daemon.is_running()) return ok();
  return Fault(FaultCode::io_error,
               "iceoryx's daemon RouDi did not start; another one may be running on this host: end "
               "it, or leave iceoryx out with --subject");
}

std::string roudi_client_name(pid_t process) {
  return client_prefix(::getppid()) + std::to_string(process);
}

}  // namespace loopline::perf
