// Finding: one thing that was looked at, how bad it is, and what to do about it; what `why` and
// `doctor` print.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "output.h"
#include "shm/inspect.h"

namespace loopline::cli {

enum class Level { ok, warning, critical };
const char* text_of(Level level);

struct Finding {
  std::string code;  // a word for programs: "full", "clock"
  Level level = Level::ok;
  std::string text;
  std::string remedy;                      // what to do next; empty where nothing is to be done
  std::string done;                        // what --fix did
  std::optional<shm::Occupant> who;        // who causes it
  std::optional<uint32_t> partition = {};  // where, if the station has several
};

Level worst_of(const std::vector<Finding>& findings);
void print(Output& out, const std::vector<Finding>& findings);

}  // namespace loopline::cli
