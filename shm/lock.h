// RobustLock: a lock in shared memory that survives the death of its holder.
//
// A process-shared robust pthread mutex: when the holder dies the kernel hands it over, and the
// next holder is told (`inherited`), so that it finishes or undoes what the dead one left
// half-made. Never held across a call into user code. A holder that is only stopped keeps it:
// callers bound their wait. The bytes of the mutex are foreign: its kind is compared with a private
// template before each use.
#pragma once

#include <pthread.h>

#include <cstdint>

#include "base/result.h"

namespace loopline::shm {

enum class LockOutcome { taken, inherited, busy, broken };

// Puts a fresh mutex into zeroed shared memory.
void init_robust(pthread_mutex_t& mutex);

// `taken`, or `inherited` when the last holder died with it (already made consistent); `busy` when
// somebody alive holds it; `broken` when the bytes are no such mutex. Never blocks.
LockOutcome try_lock(pthread_mutex_t& mutex);
// The same, waiting at most `timeout_ns`.
LockOutcome lock_for(pthread_mutex_t& mutex, uint64_t timeout_ns);
void unlock(pthread_mutex_t& mutex);

// Whether glibc may be asked about it at all: the bytes are such a mutex, and not one given up for
// good. Reading is free.
bool is_sound(const pthread_mutex_t& mutex);

// The tid in the mutex's futex word (0: free), and whether that holder died. Reading is free.
struct Holder {
  uint32_t tid = 0;
  bool died = false;
};
Holder holder_of(const pthread_mutex_t& mutex);
// The futex word itself, for waiting on a death (see wait.h).
uint32_t* futex_word_of(pthread_mutex_t& mutex);

// Holds a lock for a scope.
class LockGuard {
 public:
  LockGuard() = default;
  LockGuard(pthread_mutex_t& mutex, LockOutcome outcome)
      : mutex_(outcome == LockOutcome::taken || outcome == LockOutcome::inherited ? &mutex
                                                                                  : nullptr),
        outcome_(outcome) {}
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;
  ~LockGuard() {
    if (mutex_ != nullptr) unlock(*mutex_);
  }
  explicit operator bool() const { return mutex_ != nullptr; }
  bool inherited() const { return outcome_ == LockOutcome::inherited; }
  LockOutcome outcome() const { return outcome_; }

 private:
  pthread_mutex_t* mutex_ = nullptr;
  LockOutcome outcome_ = LockOutcome::busy;
};

}  // namespace loopline::shm
