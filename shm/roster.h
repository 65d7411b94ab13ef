// Roster: who is alive, told by the kernel within microseconds of a kill -9.
//
// A roster file holds one robust mutex per attached thread. The thread keeps it locked for as long
// as it lives; its death, exit or exec shows in the mutex's word, which anyone may read for free,
// across pid namespaces. A slot in a ring names its holder by SeatId {entry, generation}.
//
// Invariants
//   A1  An entry's generation grows with each owner; {entry, generation} names one thread for ever.
//   A2  A seat that was seen dead never looks alive again: the dead bit is set, or the state names
//       another generation or the word another tid.
//   A3  A seat looks alive only while its thread holds the entry's mutex.
#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "layout.h"

namespace loopline::shm {

class Roster {
 public:
  struct State;

  // Opens the roster file at `path`, or makes it (O_TMPFILE and link: whoever is first wins,
  // nothing is left behind by a death). One mapping per file (device and inode) and process, never
  // unmapped: the kernel walks our locks at exit. Thread-safe.
  static Result<std::shared_ptr<Roster>> open_or_create(const std::string& path, uint32_t mode);
  // Only to look: read-only mapping, takes no seat.
  static Result<std::shared_ptr<Roster>> open_to_look(const std::string& path);
  // The same without a mapping, an entry read at each question: a file that is cut short meanwhile
  // is no SIGBUS. What tools use on foreign instances; one thread at a time. No futex words.
  static Result<std::shared_ptr<Roster>> open_to_inspect(const std::string& path);
  // Anonymous memory, for tests that need no file.
  static Result<std::shared_ptr<Roster>> create_anonymous();

  // The seat of the calling thread, taken at first use and given back when the thread ends.
  // Faults: too_many when all entries are held by living threads.
  Result<SeatId> my_seat();

  // Whether the thread behind `seat` lives. Any bits are safe to ask about; nonsense is dead.
  bool alive(SeatId seat) const;
  // Remembers for ever that `seat` is dead (A2). Call after alive() said no, before acting on it.
  void mark_dead(SeatId seat);
  // The futex word of the seat's mutex while it looks alive, else nullptr.
  uint32_t* futex_word(SeatId seat);

  struct Person {
    uint32_t entry = 0;
    uint64_t generation = 0;
    uint32_t pid = 0, tid = 0, uid = 0;
    bool alive = false;
    bool is_known = true;  // false: the entry cannot be read any more
    std::string command;
  };
  Person describe(SeatId seat) const;
  // The newest seat of an entry, alive or dead; nobody when it was never taken. For tools.
  SeatId seat_of(uint32_t entry) const;
  const uint64_t* uuid() const;
  uint32_t entry_count() const;
  ~Roster();

 private:
  explicit Roster(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// A number that names the calling thread in this process and changes in a forked child: what a
// handle compares, in one thread-local load, to know that it is still on the thread it was bound
// to.
extern constinit thread_local uint64_t thread_key_word __attribute__((tls_model("initial-exec")));
uint64_t make_thread_key();
inline uint64_t thread_key() {
  return __builtin_expect(thread_key_word != 0, 1) ? thread_key_word : make_thread_key();
}
// How often this process (or its ancestors since the library was loaded) forked into us: a handle
// made under another count is the parent's.
uint64_t fork_generation();

}  // namespace loopline::shm
