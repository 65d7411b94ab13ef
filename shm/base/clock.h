// Clock: UTC time for people and logs, monotone time for waiting and measuring.
#pragma once

#include <cstdint>
#include <ctime>

namespace loopline {

inline uint64_t clock_ns(clockid_t id) {
  timespec now;
  ::clock_gettime(id, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000u + static_cast<uint64_t>(now.tv_nsec);
}

// Nanoseconds since 1970, UTC; 11-30 ns a call.
inline uint64_t utc_ns() { return clock_ns(CLOCK_REALTIME); }
// The same at the resolution of the kernel's tick (1-4 ms); 6-10 ns a call.
inline uint64_t utc_coarse_ns() { return clock_ns(CLOCK_REALTIME_COARSE); }
// Never goes back; its zero means nothing.
inline uint64_t monotonic_ns() { return clock_ns(CLOCK_MONOTONIC); }

// The processor's own counter, some 2-4 a nanosecond: for rough spans in hot paths, 5-10 ns a call.
inline uint64_t processor_ticks() { return __builtin_ia32_rdtsc(); }

}  // namespace loopline
