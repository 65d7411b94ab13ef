// Looplined: the broker as a daemon: its command line, its signals, and how it begins and ends.
#pragma once

#include <string>
#include <vector>

#include "shm/base/result.h"

namespace loopline::broker {

struct Command {
  std::string config;
  std::vector<std::string> sets;  // --dir, too: "dir=..."
  bool is_check = false;
  bool is_background = false;
  bool is_help = false;
  bool is_version = false;
  int ready_fd = -1;
};

// Faults: invalid_argument.
Result<Command> parse_command(const std::vector<std::string>& words);

// What main() does; the exit status: 0 done, 1 failed, 2 wrong usage or settings.
int looplined(const std::vector<std::string>& words);

}  // namespace loopline::broker
