// KilledAt: a program that is killed before a system call of one's choice, in whichever thread.
//
//   KilledAt trial({"/path/looplined", "--dir", folder}, 40);
//   trial.run([] { ... });     what happens beside it; ends when it was killed, or has ended
//   trial.was_killed()         false: it made fewer calls
//
// By ptrace: every thread of it stops before each system call; at the nth of all it gets SIGKILL.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace loopline::test {

class KilledAt {
 public:
  // Starts it, stopped before its first call.
  KilledAt(std::vector<std::string> words, uint64_t nth);
  KilledAt(const KilledAt&) = delete;
  KilledAt& operator=(const KilledAt&) = delete;
  ~KilledAt();

  // Whether the kernel lets us do this at all; where it does not, tests are skipped.
  static bool is_possible();

  pid_t pid() const { return pid_; }
  // Lets it go on until it was killed, has ended, or `is_enough` says so (asked at each stop, and
  // now and then).
  template <class Enough>
  void run(Enough&& is_enough) {
    while (is_alive_ && !is_enough()) step();
  }
  // From now on counting begins; before, calls pass freely.
  void count_from_here(uint64_t nth) {
    calls_ = 0;
    nth_ = nth;
  }
  uint64_t calls() const { return calls_; }
  bool is_alive() const { return is_alive_; }
  bool was_killed() const { return was_killed_; }
  // Its exit status, once it has ended by itself.
  int status() const { return status_; }
  void send(int signal) const;
  // Kills it if it lives, and waits for it.
  void end();

 private:
  void step();
  void go_on(pid_t thread, int signal);

  pid_t pid_ = -1;
  uint64_t nth_;
  uint64_t calls_ = 0;
  bool is_alive_ = true;
  bool was_killed_ = false;
  int status_ = -1;
};

}  // namespace loopline::test
