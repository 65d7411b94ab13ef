// Doctor: what the kernel and the processors can do, each thing tried rather than looked up.
#include <cpuid.h>
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "doctor.h"
#include "person.h"
#include "shm/lock.h"

namespace loopline::cli {
namespace {

// Numbers of the kernel's interface, for C libraries that do not know them yet.
constexpr long number_of_io_uring_setup = 425;
constexpr long number_of_futex_waitv = 449;
constexpr unsigned ring_entries = 4;

Finding check_release() {
  utsname name{};
  unsigned major = 0, minor = 0;
  const bool is_told =
      ::uname(&name) == 0 && std::sscanf(name.release, "%u.%u", &major, &minor) == 2;
  if (!is_told)
    return {"kernel", Level::warning, "the kernel does not tell its version", "", "", {}};
  const std::string text = fmt::format("{} {}", name.sysname, printable(name.release));
  if (major > 6 || (major == 6 && minor >= 1)) return {"kernel", Level::ok, text, "", "", {}};
  return {"kernel",
          Level::warning,
          text + " is older than what Loopline is tried on",
          "Linux 6.1 or newer, which Debian 12 has",
          "",
          {}};
}

// Without a ring of our own library: only whether one could be had.
Finding check_io_uring() {
  uint64_t parameters[15] = {};  // struct io_uring_params, all zero: no wishes
  const long fd = ::syscall(number_of_io_uring_setup, ring_entries, parameters);
  const int error = errno;
  if (fd >= 0) {
    ::close(static_cast<int>(fd));
    return {"io_uring", Level::ok, "io_uring can be had", "", "", {}};
  }
  Finding finding{"io_uring", Level::warning, "io_uring cannot be had: ", "", "", {}};
  const std::string disabled = read_small_file("/proc/sys/kernel/io_uring_disabled");
  finding.text += std::strerror(error);
  if (error == ENOSYS) {
    finding.remedy = "a kernel with io_uring, or a seccomp profile that allows it";
  } else if (!disabled.empty() && disabled != "0") {
    finding.text += " (kernel.io_uring_disabled is " + disabled + ")";
    finding.remedy = "sysctl kernel.io_uring_disabled=0";
  } else {
    finding.remedy =
        "a seccomp profile that allows it; in a container: --security-opt "
        "seccomp=unconfined, or one of your own";
  }
  finding.text += "; rings do not need it, keeping them on disk will";
  return finding;
}

// An empty list is refused as such by a kernel that knows the call.
Finding check_futex_waitv() {
  const long answer = ::syscall(number_of_futex_waitv, nullptr, 0u, 0u, nullptr, 0);
  if (answer == 0 || errno != ENOSYS) {
    return {"futex_waitv", Level::ok, "a sleeper is woken by a death at once", "", "", {}};
  }
  return {"futex_waitv",
          Level::warning,
          "futex_waitv is missing: a sleeper notices a death only when it looks again",
          "Linux 5.16 or newer, or a seccomp profile that allows it",
          "",
          {}};
}

Finding check_processors() {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (::sched_getaffinity(0, sizeof allowed, &allowed) != 0) {
    return {"processors", Level::ok, "more than can be counted here", "", "", {}};
  }
  const int count = CPU_COUNT(&allowed);
  std::string text = fmt::format("{} to run on", count);
  const std::string quota = read_small_file("/sys/fs/cgroup/cpu.max");
  if (!quota.empty() && !quota.starts_with("max")) text += "; the container's cpu.max is " + quota;
  if (count >= 2) return {"processors", Level::ok, text, "", "", {}};
  return {"processors",
          Level::warning,
          text + ": a producer and a consumer take turns, each message waits for a switch",
          "let it run on two or more: taskset, --cpuset-cpus",
          "",
          {}};
}

Finding check_instructions() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  const bool is_told = __get_cpuid(1, &a, &b, &c, &d) != 0;
  if (is_told && (c & bit_CMPXCHG16B) != 0 && (c & bit_AVX) != 0) {
    return {"instructions", Level::ok, "cmpxchg16b and AVX are there", "", "", {}};
  }
  return {"instructions",
          Level::critical,
          "the processor lacks cmpxchg16b or AVX, which every ring needs",
          "another machine; for a virtual one: its host's processor model passed through",
          "",
          {}};
}

// A child takes a robust lock and dies with it: what tells the living from the dead, tried.
bool robust_locks_work() {
  void* memory = ::mmap(nullptr, sizeof(pthread_mutex_t), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return false;
  auto& mutex = *static_cast<pthread_mutex_t*>(memory);
  shm::init_robust(mutex);
  const pid_t child = ::fork();
  if (child == 0) {
    static_cast<void>(shm::try_lock(mutex));
    ::_exit(0);
  }
  bool works = false;
  if (child > 0) {
    while (::waitpid(child, nullptr, 0) < 0 && errno == EINTR) continue;
    works = shm::try_lock(mutex) == shm::LockOutcome::inherited;
    if (works) shm::unlock(mutex);
  }
  ::munmap(memory, sizeof(pthread_mutex_t));
  return works;
}

Finding check_robust_locks() {
  if (robust_locks_work()) {
    return {"robust-locks", Level::ok, "a lock whose holder dies is handed over", "", "", {}};
  }
  return {"robust-locks",
          Level::critical,
          "a lock whose holder dies is not handed over: nobody could tell who is dead",
          "a kernel with robust futexes, or a seccomp profile that allows set_robust_list",
          "",
          {}};
}

}  // namespace

void check_kernel(std::vector<Finding>& findings) {
  findings.push_back(check_release());
  findings.push_back(check_processors());
  findings.push_back(check_instructions());
  findings.push_back(check_robust_locks());
  findings.push_back(check_futex_waitv());
  findings.push_back(check_io_uring());
}

}  // namespace loopline::cli
