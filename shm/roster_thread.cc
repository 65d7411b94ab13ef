// Roster: what each thread of this process holds, and what a fork does to it.
//
// The kernel empties a forked child's list of robust locks, and glibc's fork does the same to its
// own: the parent's seats stay the parent's. All that is left to do in the child is to forget our
// records.
#include <pthread.h>

#include <atomic>
#include <cerrno>

#include "roster_registry.h"
#include "roster_state.h"

namespace loopline::shm {

constinit thread_local uint64_t thread_key_word = 0;

namespace {

// Freed by the key's destructor; the pointer also keeps it findable for leak checkers.
constinit thread_local ThreadSeats* thread_seats = nullptr;
std::atomic<uint64_t> last_thread_key{0};
std::atomic<uint64_t> forks{0};

// At the end of a thread. A key's destructor runs again when a later one takes a new seat.
void give_back(void* held) {
  auto* seats = static_cast<ThreadSeats*>(held);
  thread_seats = nullptr;
  for (const HeldSeat& seat : seats->held) seat.roster->leave(seat.seat);
  delete seats;
}

void before_fork() { RosterRegistry::mutex().lock(); }
void after_fork_in_parent() { RosterRegistry::mutex().unlock(); }
void after_fork_in_child() {
  RosterRegistry::mutex().unlock();
  // The mutexes are the parent's: not touched. Other threads' records are lost with those threads.
  if (thread_seats != nullptr) thread_seats->held.clear();
  thread_key_word = 0;
  forks.fetch_add(1, std::memory_order_relaxed);  // relaxed: the child has one thread
}

// Installed before the first thing a fork could spoil exists.
struct ForkHooks {
  ForkHooks() {
    LL_CHECK(::pthread_atfork(before_fork, after_fork_in_parent, after_fork_in_child) == 0);
  }
};
void watch_forks() { static const ForkHooks installed; }

struct SeatsKey {
  pthread_key_t key = 0;
  int error = 0;
  SeatsKey() { error = ::pthread_key_create(&key, give_back); }
};

}  // namespace

uint64_t make_thread_key() {
  watch_forks();
  thread_key_word =
      last_thread_key.fetch_add(1, std::memory_order_relaxed) + 1;  // relaxed: only uniqueness
  return thread_key_word;
}

uint64_t fork_generation() {
  watch_forks();
  return forks.load(std::memory_order_relaxed);  // relaxed: changes only where there is one thread
}

Result<ThreadSeats*> seats_of_this_thread() {
  if (thread_seats != nullptr) return thread_seats;
  watch_forks();
  static const SeatsKey seats_key;
  if (seats_key.error != 0) {
    return fault_from_errno(seats_key.error, "cannot watch for the end of this thread");
  }
  auto seats = std::make_unique<ThreadSeats>();
  const int error = ::pthread_setspecific(seats_key.key, seats.get());
  if (error != 0) return fault_from_errno(error, "cannot watch for the end of this thread");
  thread_seats = seats.release();
  return thread_seats;
}

bool this_thread_holds(const uint64_t uuid[2], SeatId seat) {
  if (thread_seats == nullptr) return false;
  for (const HeldSeat& held : thread_seats->held) {
    const uint64_t* theirs = held.roster->header.uuid;
    if (held.seat == seat && theirs[0] == uuid[0] && theirs[1] == uuid[1]) return true;
  }
  return false;
}

}  // namespace loopline::shm
