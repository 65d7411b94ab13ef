// RobustLock: glibc's robust mutex, asked only questions whose answers cannot hang or hurt us.
//
// Happens-before edges
//   [holder]  the mutex's word, written by glibc, or by the kernel at a death -> holder_of()
//             the holder that is seen is one that was there
// What another process may scribble over the bytes is bounded by comparing the kind; the list
// pointers inside a mutex that we hold are used by glibc at unlock: who may write a ring is trusted
// that far.
#include "lock.h"

#include <linux/futex.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

#include "base/check.h"
#include "base/clock.h"

namespace loopline::shm {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;
// Longer than any deadline that means something, and far from overflowing a timespec.
constexpr uint64_t wait_ns_max = 1'000'000 * second_ns;

struct Template {
  pthread_mutex_t mutex;
  Template() { init_robust(mutex); }
};

// What glibc writes into the kind of a robust, process-shared mutex; it never changes afterwards.
int robust_kind() {
  static const Template made;
  return made.mutex.__data.__kind;
}

int kind_of(const pthread_mutex_t& mutex) {
  // The kind is written before the mutex is published, or by a vandal; glibc reads it plainly.
  return __atomic_load_n(&mutex.__data.__kind, __ATOMIC_RELAXED);  // relaxed: constant while sane
}

// glibc's mark in the owner field after somebody gave it back without making it consistent.
constexpr int owner_not_recoverable = INT_MAX - 1;

#if defined(__SANITIZE_THREAD__)
// GCC 12's TSan knows neither clocklock nor that timedlock may inherit, and would take the unlock
// for one of a free mutex; it does know trylock.
int lock_until(pthread_mutex_t& mutex, uint64_t wait_ns) {
  constexpr useconds_t look_us = 100;
  const uint64_t end_ns = monotonic_ns() + wait_ns;
  int answer = ::pthread_mutex_trylock(&mutex);
  while (answer == EBUSY && monotonic_ns() < end_ns) {
    ::usleep(look_us);
    answer = ::pthread_mutex_trylock(&mutex);
  }
  return answer;
}
#else
int lock_until(pthread_mutex_t& mutex, uint64_t wait_ns) {
  const uint64_t end_ns = monotonic_ns() + wait_ns;
  const timespec deadline{static_cast<time_t>(end_ns / second_ns),
                          static_cast<long>(end_ns % second_ns)};
  return ::pthread_mutex_clocklock(&mutex, CLOCK_MONOTONIC, &deadline);
}
#endif

// What glibc answered, in our words. After EOWNERDEAD the mutex is ours but inconsistent; if we die
// before it is consistent, the kernel hands it over once more and the next one starts here again.
LockOutcome outcome_of(pthread_mutex_t& mutex, int answer) {
  switch (answer) {
    case 0:
    case EOWNERDEAD:
      break;
    case EBUSY:
    case ETIMEDOUT:
    case EDEADLK:
      return LockOutcome::busy;
    default:
      return LockOutcome::broken;  // ENOTRECOVERABLE and whatever foreign bytes lead to
  }
  if (answer == EOWNERDEAD && ::pthread_mutex_consistent(&mutex) != 0) {
    unlock(mutex);  // glibc marks it not recoverable: broken for everyone from now on
    return LockOutcome::broken;
  }
  if (kind_of(mutex) != robust_kind()) {
    unlock(mutex);
    return LockOutcome::broken;
  }
  return answer == 0 ? LockOutcome::taken : LockOutcome::inherited;
}

}  // namespace

// A mutex that is not recoverable must not be tried: glibc 2.36's trylock leaves our tid in its
// word, and it would look held from then on.
bool is_sound(const pthread_mutex_t& mutex) {
  const int owner = __atomic_load_n(&mutex.__data.__owner,
                                    __ATOMIC_RELAXED);  // relaxed: final once it has that value
  return kind_of(mutex) == robust_kind() && owner != owner_not_recoverable;
}

void init_robust(pthread_mutex_t& mutex) {
  pthread_mutexattr_t attributes;
  LL_CHECK(::pthread_mutexattr_init(&attributes) == 0);
  LL_CHECK(::pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0);
  LL_CHECK(::pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0);
  LL_CHECK(::pthread_mutex_init(&mutex, &attributes) == 0);
  LL_CHECK(::pthread_mutexattr_destroy(&attributes) == 0);
}

LockOutcome try_lock(pthread_mutex_t& mutex) {
  if (!is_sound(mutex)) return LockOutcome::broken;
  return outcome_of(mutex, ::pthread_mutex_trylock(&mutex));
}

LockOutcome lock_for(pthread_mutex_t& mutex, uint64_t timeout_ns) {
  if (!is_sound(mutex)) return LockOutcome::broken;
  const LockOutcome first = outcome_of(mutex, ::pthread_mutex_trylock(&mutex));
  if (first != LockOutcome::busy) return first;
  return outcome_of(mutex, lock_until(mutex, std::min(timeout_ns, wait_ns_max)));
}

void unlock(pthread_mutex_t& mutex) {
  // A kind that was scribbled over while we held the lock would lead glibc past our robust list,
  // and leave a dangling link in it: we are the holder, so we may put it right.
  const int kind = robust_kind();
  if (kind_of(mutex) != kind) {
    __atomic_store_n(&mutex.__data.__kind, kind, __ATOMIC_RELAXED);  // relaxed: only we use it now
  }
  ::pthread_mutex_unlock(&mutex);
}

Holder holder_of(const pthread_mutex_t& mutex) {
  const auto word = static_cast<uint32_t>(
      __atomic_load_n(&mutex.__data.__lock, __ATOMIC_ACQUIRE));  // acquire [holder]
  return {word & FUTEX_TID_MASK, (word & FUTEX_OWNER_DIED) != 0};
}

uint32_t* futex_word_of(pthread_mutex_t& mutex) {
  return reinterpret_cast<uint32_t*>(&mutex.__data.__lock);
}

}  // namespace loopline::shm
