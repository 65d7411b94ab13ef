// BusGuard: reading and writing a mapped file that somebody cuts short costs a fault, not the life.
//
//   const BusGuard guard;
//   ... walk, copy, store ...
//   if (guard.was_hit()) return "it was cut short";     nothing of what was read counts
//
// An access behind a file's end is SIGBUS. While the thread that meets it holds a guard, the page
// is replaced by an empty one of our own, and the thread goes on with zeros (what is foreign is
// validated anyway); it asks the guard before it believes any of it. Without a guard the signal
// goes to whoever had it before us: as a rule the process ends. Guards nest; the handler is
// installed by the first one in the process, so that nobody who holds none gets one.
//
// A thread of ours that works on foreign files all its life is guarded to its very end: what it
// holds there (its seat among the living) is given back after its function has returned.
//
// The road not taken: leaving by siglongjmp leaves locks taken and destructors out.
//
// Limit: a page with a robust lock that this thread holds at that very moment is not to be saved.
#pragma once

#include <cstdint>

namespace loopline::shm {

class BusGuard {
 public:
  BusGuard();
  BusGuard(const BusGuard&) = delete;
  BusGuard& operator=(const BusGuard&) = delete;
  ~BusGuard();

  // Whether this thread met the end of a file since.
  bool was_hit() const;

 private:
  uint64_t hits_before_;
};

// The calling thread, until it has ended.
void guard_this_thread();

}  // namespace loopline::shm
