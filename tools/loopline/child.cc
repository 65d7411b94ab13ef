// Child: fork, and the manners of a process that belongs to another.
#include "child.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include "shm/base/clock.h"
#include "signals.h"

namespace loopline::cli {
namespace {

constexpr useconds_t look_us = 500;

}  // namespace

Result<Child> Child::start(const std::function<int()>& role) {
  const pid_t parent = ::getpid();
  Child child;
  child.pid_ = ::fork();
  if (child.pid_ < 0) {
    child.pid_ = 0;
    return fault_from_errno(errno, "cannot start another process");
  }
  if (child.pid_ != 0) return child;
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) ::_exit(1);  // it died before we asked to be told
  leave_signals_to_parent();
  ::_exit(role());
}

Child& Child::operator=(Child&& other) noexcept {
  if (this == &other) return *this;
  kill_now();
  pid_ = std::exchange(other.pid_, 0);
  return *this;
}

void Child::send_kill() const {
  if (pid_ != 0) ::kill(pid_, SIGKILL);
}

void Child::kill_now() {
  if (pid_ == 0) return;
  send_kill();
  ::waitpid(pid_, nullptr, 0);
  pid_ = 0;
}

bool Child::has_ended(int& status) {
  int raw = 0;
  if (pid_ == 0 || ::waitpid(pid_, &raw, WNOHANG) != pid_) return false;
  pid_ = 0;
  status = WIFEXITED(raw) ? WEXITSTATUS(raw) : 128 + WTERMSIG(raw);
  return true;
}

Result<int> Child::wait_until(uint64_t deadline_ns) {
  int status = 0;
  while (!has_ended(status)) {
    if (pid_ == 0) return Fault(FaultCode::not_found, "the process has ended already");
    if (monotonic_ns() >= deadline_ns) {
      return Fault(FaultCode::timed_out,
                   "process " + std::to_string(pid_) + " does not come to its end");
    }
    ::usleep(look_us);
  }
  return status;
}

}  // namespace loopline::cli
