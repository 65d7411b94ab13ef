// Person: who holds a place in a ring, and what the kernel says of that process right now.
#pragma once

#include <string>

#include "output.h"
#include "shm/inspect.h"

namespace loopline::cli {

// unknown: nobody can be asked, or the process lives in another pid namespace.
enum class Doing { running, asleep, stopped, dead, unknown };
Doing doing_of(const shm::Occupant& who);
// "alive", "stopped" or "dead"; "unknown" without a roster.
const char* state_text(const shm::Occupant& who);
Cell state_cell(const shm::Occupant& who);

// "4711 consume", for tables; "-" when nothing is known.
std::string person_text(const shm::Occupant& who);
// "process 4711 (consume)", for sentences.
std::string person_words(const shm::Occupant& who);
// What it does, behind the words above: "which is alive and asleep".
const char* doing_words(const shm::Occupant& who);
// Both: "process 4711 (consume), which is stopped (by a signal or a debugger)".
std::string doing_text(const shm::Occupant& who);
// What to do about somebody who holds others up, by what it does.
std::string remedy_for(const shm::Occupant& who, const std::string& of_the_living);
// "alice", or the number of a user without a name.
std::string user_text(uint32_t uid);
// Foreign text: nothing of it reaches the terminal but what can be read.
std::string printable(std::string_view text);
// What a small file of /proc or /sys says, without its last newline; empty when it is not there.
std::string read_small_file(const std::string& path);

}  // namespace loopline::cli
