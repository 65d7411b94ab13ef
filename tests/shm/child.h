// Child: a forked process that does some work, says how far it is, and is killed or ends.
//
//   Child child = Child::run([&](Child::Parent& parent) {
//     const OpenFrame frame = open(producer, "half");      // in the child
//     parent.say();                                        // the parent goes on
//     parent.wait_to_be_killed();
//   });
//   child.listen();  child.kill();
//
// Its work passes if it returns true (or nothing) and throws nothing. It dies with its parent.
#pragma once

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <stdexcept>
#include <type_traits>
#include <utility>

namespace loopline {

class Child {
 public:
  class Parent {
   public:
    explicit Parent(int fd) : fd_(fd) {}
    // One mark, which listen() receives.
    void say() const {
      if (::write(fd_, "!", 1) != 1) ::_exit(3);
    }
    [[noreturn]] static void wait_to_be_killed() {
      for (;;) ::pause();
    }

   private:
    int fd_;
  };

  template <class Work>
  static Child run(Work&& work) {
    int fds[2];
    if (::pipe(fds) != 0) throw std::runtime_error("no pipe");
    const pid_t parent = ::getpid();
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error("no fork");
    if (pid != 0) {
      ::close(fds[1]);
      return Child(pid, fds[0]);
    }
    ::close(fds[0]);
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(4);
    ::_exit(outcome_of(std::forward<Work>(work), Parent(fds[1])));
  }

  Child(Child&& other) noexcept
      : pid_(std::exchange(other.pid_, -1)), fd_(std::exchange(other.fd_, -1)) {}
  Child& operator=(Child&&) = delete;
  ~Child() {
    if (pid_ > 0) kill();
    if (fd_ >= 0) ::close(fd_);
  }

  pid_t pid() const { return pid_; }
  // Until it says something; false when it ended without.
  bool listen() const {
    char mark;
    return ::read(fd_, &mark, 1) == 1;
  }
  // kill -9, and until it is gone.
  void kill() {
    ::kill(pid_, SIGKILL);
    wait();
  }
  void send(int signal) const { ::kill(pid_, signal); }
  // Until it ends by itself: whether its work passed.
  bool passes() {
    const int status = wait();
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
  }
  // Until it ends: the signal that ended it, 0 if none.
  int ending_signal() {
    const int status = wait();
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
  }

 private:
  Child(pid_t pid, int fd) : pid_(pid), fd_(fd) {}

  template <class Work>
  static int outcome_of(Work&& work, Parent parent) {
    try {
      if constexpr (std::is_void_v<std::invoke_result_t<Work, Parent&>>) {
        work(parent);
        return 0;
      } else {
        return work(parent) ? 0 : 1;
      }
    } catch (const std::exception& exception) {
      std::fprintf(stderr, "child: %s\n", exception.what());
      return 2;
    }
  }

  int wait() {
    int status = 0;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return status;
  }

  pid_t pid_;
  int fd_;
};

}  // namespace loopline
