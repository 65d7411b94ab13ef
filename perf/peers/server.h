// Server: another program that the bench starts for itself, and that ends with it.
//
// It is killed, not asked: what it kept goes with its folder. It dies with the thread that started
// it, however that ends.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "shm/base/result.h"

namespace loopline::perf {

class Server {
 public:
  // Runs words[0], found in PATH or among the system's servers, in `folder`; what it prints goes
  // to the file `output` there. unsupported: there is no such program.
  static Result<Server> start(const std::vector<std::string>& words, const std::string& folder);
  Server(Server&& other) noexcept;
  Server& operator=(Server&&) = delete;
  ~Server();

  pid_t pid() const { return pid_; }
  // Calls `step` every millisecond until it says true. Faults: the server ended, or took ten
  // seconds; with the last line it printed.
  template <class Step>
  Status wait_until(const std::string& what, Step&& step) {
    for (int tries = 0; tries < tries_max; ++tries) {
      if (step()) return ok();
      if (has_ended()) return trouble("ended before " + what);
      rest();
    }
    return trouble("took too long: " + what);
  }
  // Waits until it ends by itself. Faults: it says that it failed, or takes a minute.
  Status wait_to_end();
  // A fault about it, ending in the last line that it printed.
  Fault trouble(const std::string& what) const;

 private:
  Server(std::string name, std::string folder, pid_t pid)
      : name_(std::move(name)), folder_(std::move(folder)), pid_(pid) {}
  bool has_ended();
  static void rest();

  static constexpr int tries_max = 10'000;

  std::string name_;
  std::string folder_;
  pid_t pid_;
};

// Where `program` is, or empty.
std::string find_program(const std::string& program);

}  // namespace loopline::perf
