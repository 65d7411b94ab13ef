// Futex: sleep until a word in shared memory is rung, and ring it.
//
// The shared kind of futex throughout: it works across processes that map the same file. A build
// with LL_ATOMIC_ALIAS brings these two functions itself, so that a model can lose no wake-up
// unseen.
#pragma once

#include "atomic.h"

#ifndef LL_ATOMIC_ALIAS

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <ctime>

namespace loopline {

// Sleeps while `word` holds `expected`, at most `timeout_ns`. Returns on a wake, a change, a signal
// or the time-out alike: the caller looks again in every case.
inline void futex_wait(const Atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) {
  const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                         static_cast<long>(timeout_ns % 1'000'000'000)};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

// Wakes everyone who sleeps on `word`.
inline void futex_wake_all(Atomic<uint32_t>& word) {
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

}  // namespace loopline
#endif
