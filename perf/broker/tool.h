// Tool: the `loopline` beside this program, run as people run it, and a broker that lives as long
// as an object does.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "shm/base/result.h"

namespace loopline::perf {

// Its stdout. Faults: io_error, with what it said, when it ended badly.
Result<std::string> run_tool(const std::vector<std::string>& words, const std::string& dir);

// One broker of the instance in `dir`.
class BrokerProcess {
 public:
  // It is ready when this returns.
  static Result<BrokerProcess> start(const std::string& dir);
  BrokerProcess(BrokerProcess&& other) noexcept;
  BrokerProcess& operator=(BrokerProcess&&) = delete;
  ~BrokerProcess();

  pid_t pid() const { return pid_; }
  // Until it was ready.
  uint64_t started_ns() const { return started_ns_; }
  Status stop();
  // SIGKILL, until it is gone.
  void kill();

 private:
  BrokerProcess(std::string dir, pid_t pid, uint64_t started_ns)
      : dir_(std::move(dir)), pid_(pid), started_ns_(started_ns) {}

  std::string dir_;
  pid_t pid_;  // 0: not ours any more
  uint64_t started_ns_;
};

// What a process costs, all its threads together.
struct ProcessCost {
  uint64_t cpu_ns = 0;
  uint64_t anonymous_bytes = 0;  // its own memory
  uint64_t shared_bytes = 0;     // rings that it has touched
  uint32_t threads = 0;
};
Result<ProcessCost> cost_of(pid_t pid);

// All that an instance has in shared memory; nobody is attached any more.
void forget_rings(const std::string& dir);

// What the files below `folder` take on the disk.
uint64_t disk_bytes_below(const std::string& folder);

}  // namespace loopline::perf
