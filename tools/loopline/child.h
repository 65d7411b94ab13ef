// Child: a role of the demo or the bench as a process of its own.
//
// It ends with its parent, whatever happens to that, and leaves Ctrl-C to it. The parent has one
// thread and no handles of a station when it forks.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <utility>

#include "shm/base/result.h"

namespace loopline::cli {

class Child {
 public:
  Child() = default;
  // Forks; the child does `role` and ends with what it returns.
  static Result<Child> start(const std::function<int()>& role);
  Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, 0)) {}
  Child& operator=(Child&& other) noexcept;
  ~Child() { kill_now(); }

  pid_t pid() const { return pid_; }
  bool is_running() const { return pid_ != 0; }
  // SIGKILL, and nothing else; wait_until() reaps it.
  void send_kill() const;
  // SIGKILL, and reaped.
  void kill_now();
  // How it ended: its exit status, or 128 + the signal. Faults: timed_out.
  Result<int> wait_until(uint64_t deadline_ns);
  // True when it has ended by itself; `status` as above.
  bool has_ended(int& status);

 private:
  pid_t pid_ = 0;
};

}  // namespace loopline::cli
