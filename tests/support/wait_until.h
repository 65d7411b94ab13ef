// WaitUntil: looks again and again until something is so, with a deadline only a failure reaches.
#pragma once

#include <unistd.h>

#include "shm/base/clock.h"

namespace loopline::test {

// Whether `is_so()` came true within half a minute.
template <class Condition>
bool wait_until(Condition&& is_so) {
  constexpr uint64_t deadline_ns = 30'000'000'000;
  constexpr useconds_t look_us = 100;
  const uint64_t end_ns = monotonic_ns() + deadline_ns;
  while (!is_so()) {
    if (monotonic_ns() > end_ns) return false;
    ::usleep(look_us);
  }
  return true;
}

}  // namespace loopline::test
