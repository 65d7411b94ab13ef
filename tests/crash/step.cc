// Step: what happens at the chosen one, and how many robust locks the process holds.
//
// The pthread functions below take the place of glibc's in this program: they count, and pass on.
#include "step.h"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <unistd.h>

#include "shm/base/check.h"
#include "shm/base/clock.h"

namespace loopline::crash {
namespace {

constexpr int robust_kind_bit = 16;  // PTHREAD_MUTEX_ROBUST_NORMAL_NP

constinit thread_local Plan current;
constinit thread_local Plan in_lock;
constinit thread_local uint64_t armed_with = unarmed;
constinit Vitals own_vitals{};
constinit Vitals* vitals = &own_vitals;

using LockFunction = int (*)(pthread_mutex_t*);
using ClocklockFunction = int (*)(pthread_mutex_t*, clockid_t, const timespec*);

template <class Function>
Function next_function(const char* name) {
  void* found = ::dlsym(RTLD_NEXT, name);
  LL_CHECK(found != nullptr);
  return reinterpret_cast<Function>(found);
}

bool is_robust(const pthread_mutex_t* mutex) {
  return (__atomic_load_n(&mutex->__data.__kind, __ATOMIC_RELAXED) & robust_kind_bit) != 0;
}

// A lock call came back: counts it, and starts the clock of a death in the lock.
int counted(const pthread_mutex_t* mutex, int answer) {
  if (!is_robust(mutex) || (answer != 0 && answer != EOWNERDEAD)) return answer;
  const uint32_t before = vitals->locks.fetch_add(1);
  if (before > 0 && in_lock.action != Action::none) {
    arm(in_lock);
    in_lock = {};
  }
  return answer;
}

}  // namespace

void arm(const Plan& plan) {
  current = plan;
  armed_with = plan.action == Action::none ? unarmed : plan.steps;
  steps_left = armed_with;
}

void arm_in_lock(const Plan& plan) { in_lock = plan; }

void disarm() {
  in_lock = {};
  arm({});
}

uint64_t steps_taken() { return armed_with - steps_left; }

void keep_vitals(Vitals* where) { vitals = where; }

void act() {
  steps_left = unarmed;
  switch (current.action) {
    case Action::none:
      return;
    case Action::die:
      vitals->note_death(monotonic_ns());
      ::kill(::getpid(), SIGKILL);
      for (;;) ::pause();
    case Action::stop:
      ::kill(::getpid(), SIGSTOP);
      return;
    case Action::dawdle:
      for (uint32_t count = 0; count < current.yields; ++count) ::sched_yield();
      arm(current);
      return;
  }
}

}  // namespace loopline::crash

extern "C" {

int pthread_mutex_trylock(pthread_mutex_t* mutex) {
  static const auto next =
      loopline::crash::next_function<loopline::crash::LockFunction>("pthread_mutex_trylock");
  return loopline::crash::counted(mutex, next(mutex));
}

int pthread_mutex_clocklock(pthread_mutex_t* mutex, clockid_t clock, const timespec* deadline) {
  static const auto next =
      loopline::crash::next_function<loopline::crash::ClocklockFunction>("pthread_mutex_clocklock");
  return loopline::crash::counted(mutex, next(mutex, clock, deadline));
}

// Giving back is a step of its own: whoever dies just before still holds the lock.
int pthread_mutex_unlock(pthread_mutex_t* mutex) {
  static const auto next =
      loopline::crash::next_function<loopline::crash::LockFunction>("pthread_mutex_unlock");
  if (!loopline::crash::is_robust(mutex)) return next(mutex);
  loopline::crash::step();
  loopline::crash::vitals->locks.fetch_sub(1);
  return next(mutex);
}

}  // extern "C"
