// Processes: fork, pin, meet, wait without burning a processor, and never leave a child behind.
#include "processes.h"

#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "shm/base/clock.h"

namespace loopline::perf {
namespace {

// Spins this long, then yields: two roles may have to share one processor.
constexpr int meet_spins = 1000;

uint64_t delayed_ns() {
  std::FILE* file = std::fopen("/proc/self/schedstat", "re");
  if (file == nullptr) return 0;
  unsigned long long running = 0;
  unsigned long long waiting = 0;
  const int found = std::fscanf(file, "%llu %llu", &running, &waiting);
  std::fclose(file);
  return found == 2 ? waiting : 0;
}

Status pin(const std::vector<int>& cpus) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(static_cast<size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) {
    return fault_from_errno(errno, "cannot run on processor " + std::to_string(cpus.front()));
  }
  return ok();
}

[[noreturn]] void play(const Role& role, const SharedBlock& block, Outcome& outcome, pid_t parent) {
  // A parent that is killed takes us along; one that died before the call is noticed behind it.
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);
  Status status = pin(role.cpus);
  block.prefault();
  if (status) status = role.body(block.as<Stage>(), outcome);
  if (status) ::_exit(0);
  std::snprintf(outcome.fault, sizeof outcome.fault, "%s", status.fault().message().c_str());
  ::_exit(1);
}

// The children of one run; kills and collects whoever is left.
class Children {
 public:
  ~Children() {
    for (Child& child : children_) {
      if (child.pid > 0) {
        ::kill(child.pid, SIGKILL);
        ::waitpid(child.pid, nullptr, 0);
      }
      if (child.fd >= 0) ::close(child.fd);
    }
  }

  Status start(const Role& role, const SharedBlock& block, Outcome& outcome) {
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) return fault_from_errno(errno, std::string("cannot start ") + role.name);
    if (pid == 0) play(role, block, outcome, parent);
    const int fd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
    children_.push_back({pid, fd, role.name, &outcome});
    if (fd < 0) return fault_from_errno(errno, std::string("cannot watch ") + role.name);
    return ok();
  }

  // Sleeps until all have ended well, one has not, or the time is up.
  Status wait(uint64_t timeout_ns) {
    const uint64_t deadline_ns = monotonic_ns() + timeout_ns;
    for (size_t left = children_.size(); left > 0;) {
      std::vector<pollfd> watched;
      for (const Child& child : children_) watched.push_back({child.fd, POLLIN, 0});
      const uint64_t now_ns = monotonic_ns();
      if (now_ns >= deadline_ns) return late();
      const auto rest_ms = static_cast<int>((deadline_ns - now_ns) / 1'000'000 + 1);
      if (::poll(watched.data(), watched.size(), rest_ms) < 0 && errno != EINTR) {
        return fault_from_errno(errno, "cannot wait for the measuring processes");
      }
      for (size_t index = 0; index < children_.size(); ++index) {
        if ((watched[index].revents & POLLIN) == 0) continue;
        LL_TRY_STATUS(collect(children_[index]));
        --left;
      }
    }
    return ok();
  }

 private:
  struct Child {
    pid_t pid;
    int fd;
    const char* name;
    const Outcome* outcome;
  };

  static Status collect(Child& child) {
    int status = 0;
    ::waitpid(child.pid, &status, 0);
    child.pid = 0;
    ::close(child.fd);
    child.fd = -1;  // poll ignores it from now on
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return ok();
    const std::string name = child.name;
    if (WIFSIGNALED(status)) {
      return Fault(FaultCode::io_error, "the " + name + " process was killed by signal " +
                                            std::to_string(WTERMSIG(status)));
    }
    return Fault(FaultCode::io_error, "the " + name + " process failed: " + child.outcome->fault);
  }

  Status late() const {
    std::string names;
    for (const Child& child : children_) {
      if (child.pid > 0) names += (names.empty() ? "" : ", ") + std::string(child.name);
    }
    return Fault(FaultCode::timed_out, "still running after the deadline, so killed: " + names);
  }

  std::vector<Child> children_;
};

}  // namespace

void Stage::meet() {
  // Roles that are already on their way to the next meeting only raise the count further.
  const uint32_t before = arrived_.fetch_add(1, std::memory_order_acq_rel);  // release [meet]
  const uint32_t full = (before / role_count_ + 1) * role_count_;
  int spins = 0;
  while (arrived_.load(std::memory_order_acquire) < full) {  // acquire [meet]
    if (++spins % meet_spins == 0) ::sched_yield();
    spin_pause();
  }
}

void Usage::begin() {
  delayed_ns_ = delayed_ns();
  cpu_ns_ = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
  wall_ns_ = monotonic_ns();
}

void Usage::end(Outcome& outcome) const {
  outcome.wall_ns = monotonic_ns() - wall_ns_;
  outcome.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns_;
  outcome.delayed_ns = delayed_ns() - delayed_ns_;
}

Result<Outcomes> run_roles(std::span<const Role> roles, uint64_t timeout_ns) {
  LL_CHECK(!roles.empty());
  LL_CHECK(roles.size() <= roles_max);
  LL_TRY(block, SharedBlock::make(sizeof(Stage)));
  auto& stage = block.as<Stage>();
  stage.expect(static_cast<uint32_t>(roles.size()));
  std::fflush(nullptr);  // what is buffered would otherwise be every child's, too
  Children children;
  for (uint32_t index = 0; index < roles.size(); ++index) {
    LL_TRY_STATUS(children.start(roles[index], block, stage.outcome(index)));
  }
  LL_TRY_STATUS(children.wait(timeout_ns));
  return Outcomes(std::move(block));
}

Status set_realtime(bool wanted) {
  sched_param parameters{};
  parameters.sched_priority = wanted ? 1 : 0;
  if (::sched_setscheduler(0, wanted ? SCHED_RR : SCHED_OTHER, &parameters) == 0) return ok();
  return fault_from_errno(errno, "cannot take real-time priority (--realtime)");
}

Result<std::array<int, 2>> first_two_cpus() {
  cpu_set_t set;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return fault_from_errno(errno, "cannot ask which processors may be used");
  }
  std::array<int, 2> found{};
  size_t count = 0;
  for (int cpu = 0; cpu < CPU_SETSIZE && count < found.size(); ++cpu) {
    if (CPU_ISSET(static_cast<size_t>(cpu), &set)) found[count++] = cpu;
  }
  if (count < found.size()) {
    return Fault(FaultCode::unsupported,
                 "measuring between processes needs two processors, and one is all we may use");
  }
  return found;
}

}  // namespace loopline::perf
