// Person: asks /proc, and believes it only where it speaks of the same program.
#include "person.h"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <string_view>

#include "shm/file.h"

namespace loopline::cli {
namespace {

// The letter behind "(name) " in a stat file: R, S, D, T, t, Z, X, I.
char letter_of(const shm::Occupant& who) {
  const std::string process = "/proc/" + std::to_string(who.pid);
  const uint32_t thread = who.tid == 0 ? who.pid : who.tid;
  const std::string stat = read_small_file(process + "/task/" + std::to_string(thread) + "/stat");
  const size_t name_end = stat.rfind(") ");
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '\0' : stat[name_end + 2];
}

}  // namespace

std::string read_small_file(const std::string& path) {
  const shm::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) return "";
  char text[4096];
  const ssize_t size = ::read(file.fd(), text, sizeof text);
  std::string all(text, size > 0 ? static_cast<size_t>(size) : 0);
  if (all.ends_with('\n')) all.pop_back();
  return all;
}

Doing doing_of(const shm::Occupant& who) {
  if (who.life == shm::Life::dead) return Doing::dead;
  if (who.life == shm::Life::unknown || who.pid == 0) return Doing::unknown;
  // A number of another pid namespace means somebody else here: the name has to fit.
  const std::string name = read_small_file("/proc/" + std::to_string(who.pid) + "/comm");
  if (printable(name) != who.command) return Doing::unknown;
  switch (letter_of(who)) {
    case 'T':
    case 't':
      return Doing::stopped;
    case 'R':
      return Doing::running;
    case 'S':
    case 'D':
    case 'I':
      return Doing::asleep;
    default:
      return Doing::unknown;
  }
}

const char* state_text(const shm::Occupant& who) {
  if (who.is_repaired_now) return "dead, being repaired";
  switch (who.life) {
    case shm::Life::dead:
      return "dead";
    case shm::Life::unknown:
      return "unknown";
    case shm::Life::alive:
      break;
  }
  return doing_of(who) == Doing::stopped ? "stopped" : "alive";
}

Cell state_cell(const shm::Occupant& who) {
  const std::string text = state_text(who);
  if (text == "alive") return {text, Color::green};
  return {text, who.life == shm::Life::dead ? Color::red : Color::yellow};
}

std::string printable(std::string_view text) {
  std::string all;
  for (const char letter : text) all += letter >= ' ' && letter < 0x7f ? letter : '?';
  return all;
}

std::string person_text(const shm::Occupant& who) {
  return who.pid == 0 ? "-" : std::to_string(who.pid) + " " + printable(who.command);
}

std::string person_words(const shm::Occupant& who) {
  if (who.pid == 0) return "a process nobody knows";
  return "process " + std::to_string(who.pid) + " (" + printable(who.command) + ")";
}

std::string user_text(uint32_t uid) {
  const passwd* entry = ::getpwuid(uid);
  return entry == nullptr ? std::to_string(uid) : printable(entry->pw_name);
}

const char* doing_words(const shm::Occupant& who) {
  switch (doing_of(who)) {
    case Doing::running:
      return "which is alive and running";
    case Doing::asleep:
      return "which is alive and asleep";
    case Doing::stopped:
      return "which is stopped (by a signal or a debugger)";
    case Doing::dead:
      return "which is dead";
    case Doing::unknown:
      break;
  }
  return who.life == shm::Life::alive ? "which is alive" : "and nobody knows whether it lives";
}

std::string doing_text(const shm::Occupant& who) {
  return person_words(who) + ", " + doing_words(who);
}

std::string remedy_for(const shm::Occupant& who, const std::string& of_the_living) {
  const std::string pid = std::to_string(who.pid);
  switch (doing_of(who)) {
    case Doing::stopped:
      return "let it go on: kill -CONT " + pid + "; or end it, which lets the others go on: kill " +
             "-KILL " + pid;
    case Doing::dead:
      return "whoever is held up cleans up after it by itself; to do it now: loopline doctor --fix";
    default:
      return of_the_living;
  }
}

}  // namespace loopline::cli
