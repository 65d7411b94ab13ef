// Log text: the state of a log and its flusher as one sentence.
#include "log_text.h"

#include <fmt/format.h>

#include <cstring>

#include "person.h"
#include "viewer.h"

namespace loopline::cli {

std::string flush_text(const shm::RingSnapshot& snapshot) {
  const shm::FlushFacts& log = *snapshot.log;
  const std::string who =
      log.flusher ? "by " + person_words(*log.flusher) : "by a process nobody knows";
  switch (log.state) {
    case shm::LogState::idle:
      break;
    case shm::LogState::flushing:
      return "flushed " + who;
    case shm::LogState::disk_full:
      return "the disk of its log is full; make room there; flushed " + who;
    case shm::LogState::failed:
      return fmt::format(
          "the disk of its log failed ({}): nothing more is written to it until it is opened "
          "anew; flushed {}",
          std::strerror(log.error), who);
  }
  if (log.is_done) return "this ring needs no flusher any more";
  if (snapshot.gate.first != shm::no_cursor.first) {
    return fmt::format("nobody flushes it yet: generation {} goes to disk first",
                       snapshot.header.generation - 1);
  }
  return (log.flusher ? "its flusher died, process " + std::to_string(log.flusher->pid) + "; "
                      : std::string("nobody flushes it to disk; ")) +
         "start the broker: loopline up";
}

Color flush_color(const shm::RingSnapshot& snapshot) {
  const shm::FlushFacts& log = *snapshot.log;
  if (log.state == shm::LogState::failed) return Color::red;
  const bool is_well = log.state == shm::LogState::flushing || log.is_done;
  return is_well ? Color::dim : Color::yellow;
}

}  // namespace loopline::cli
