// Step: counts a thread's accesses to shared memory and, at a chosen one, dies, stops or dawdles.
//
// Every atomic operation, fence, futex call (alias.h) and every system call that changes files
// (system.cc) calls step() first, so each gap between two of them is a place to be killed in,
// without a line of test code in the product. Unarmed, a step is one decrement of a thread-local
// word.
#pragma once

#include <atomic>
#include <cstdint>

namespace loopline::crash {

enum class Action : uint32_t {
  none,
  die,     // SIGKILL, by its own hand
  stop,    // SIGSTOP: somebody else continues it, perhaps many laps later
  dawdle,  // gives the core away for a while, again and again
};

struct Plan {
  Action action = Action::none;
  uint64_t steps = 1;    // from now to the step that is not done any more
  uint32_t yields = 64;  // of one dawdle
};

constexpr uint64_t unarmed = 1ull << 63;
inline constinit thread_local uint64_t steps_left __attribute__((tls_model("initial-exec"))) =
    unarmed;

// The chosen step has come.
void act();

inline void step() {
  if (--steps_left == 0) [[unlikely]]
    act();
}

// Counts from the calling thread's next step.
void arm(const Plan& plan);
// Counts from the first step after the calling thread takes a robust lock while it holds another
// one (its seat): a death inside repair, reaping or sealing. Chosen once; taking the lock again is
// free.
void arm_in_lock(const Plan& plan);
void disarm();
// Steps since the last arm().
uint64_t steps_taken();

// From here on no sleep of this process in a futex ends by a time-out: what is not woken stays
// asleep, and the test sees it.
inline std::atomic<bool> time_stands_still{false};

// What others know about a child, also after its death.
struct Vitals {
  std::atomic<uint32_t> locks;          // robust locks held: the seat, and perhaps the ring's
  std::atomic<uint64_t> open_sequence;  // of the frame it has open; 0: none
  std::atomic<uint64_t> died_open;      // the same when it was killed, by whomever
  std::atomic<uint64_t> died_ns;        // written last, just before
  void note_death(uint64_t now_ns) {
    died_open = open_sequence.load();
    died_ns = now_ns;
  }
};
// Where this process keeps its own.
void keep_vitals(Vitals* vitals);

}  // namespace loopline::crash
