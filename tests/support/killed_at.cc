// KilledAt: PTRACE_SYSCALL over all threads of one process.
#include "killed_at.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <stdexcept>

namespace loopline::test {
namespace {

constexpr int syscall_stop = SIGTRAP | 0x80;
constexpr useconds_t pause_us = 50;
constexpr int idle_waits_max = 20;

}  // namespace

KilledAt::KilledAt(std::vector<std::string> words, uint64_t nth) : nth_(nth) {
  std::vector<char*> arguments;
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  pid_ = ::fork();
  if (pid_ < 0) throw std::runtime_error("no fork");
  if (pid_ == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = ::open("/dev/null", O_RDWR);
    for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) ::dup2(null, fd);
    ::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr);
    ::raise(SIGSTOP);
    ::execv(arguments[0], arguments.data());
    ::_exit(127);
  }
  int status = 0;
  if (::waitpid(pid_, &status, 0) != pid_ || !WIFSTOPPED(status)) {
    throw std::runtime_error("not traced");
  }
  ::ptrace(PTRACE_SETOPTIONS, pid_, nullptr,
           PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC | PTRACE_O_EXITKILL);
  go_on(pid_, 0);
}

KilledAt::~KilledAt() { end(); }

bool KilledAt::is_possible() {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(::ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) == 0 ? 0 : 1);
  int status = 1;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

void KilledAt::go_on(pid_t thread, int signal) {
  ::ptrace(PTRACE_SYSCALL, thread, nullptr, signal);
}

void KilledAt::send(int signal) const { ::kill(pid_, signal); }

void KilledAt::step() {
  int status = 0;
  pid_t thread = 0;
  for (int count = 0; count < idle_waits_max && thread == 0; ++count) {
    thread = ::waitpid(-1, &status, __WALL | WNOHANG);
    if (thread == 0) ::usleep(pause_us);
  }
  if (thread == 0) return;  // it waits for something
  if (thread < 0) {
    is_alive_ = errno == EINTR;
    return;
  }
  if (WIFEXITED(status) || WIFSIGNALED(status)) {
    if (thread != pid_) return;  // a thread of it
    is_alive_ = false;
    status_ = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return;
  }
  const int signal = WSTOPSIG(status);
  const bool is_event = status >> 16 != 0;
  if (signal == syscall_stop) {
    // Stops come in pairs, before a call and after it: one is as good a moment as the other.
    if (++calls_ == nth_) {
      was_killed_ = true;
      return end();
    }
    return go_on(thread, 0);
  }
  const bool is_ours = is_event || signal == SIGTRAP || signal == SIGSTOP;
  go_on(thread, is_ours ? 0 : signal);
}

void KilledAt::end() {
  if (!is_alive_) return;
  ::kill(pid_, SIGKILL);
  int status = 0;
  while (is_alive_) {
    const pid_t thread = ::waitpid(-1, &status, __WALL);
    if (thread < 0 && errno != EINTR) break;
    if (thread == pid_ && (WIFEXITED(status) || WIFSIGNALED(status))) break;
  }
  is_alive_ = false;
  status_ = 128 + SIGKILL;
}

}  // namespace loopline::test
