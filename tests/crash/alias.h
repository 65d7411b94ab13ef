// Alias: the words of shm/base/atomic.h, each operation on them a place where the process may die.
//
// The same operations on the same memory as the product's, so that what is tortured is what is
// shipped; only a step() stands before each of them. Bulk copies count one step a line, so that
// they tear.
#pragma once

#include <immintrin.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <ctime>
#include <type_traits>

#include "tests/crash/step.h"

namespace loopline {

// A word of 4 or 8 bytes in shared memory.
template <class T>
class Atomic {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));

 public:
  T load(std::memory_order order) const {
    crash::step();
    return value_.load(order);
  }
  void store(T value, std::memory_order order) {
    crash::step();
    value_.store(value, order);
  }
  T exchange(T value, std::memory_order order) {
    crash::step();
    return value_.exchange(value, order);
  }
  T fetch_add(T value, std::memory_order order) {
    crash::step();
    return value_.fetch_add(value, order);
  }
  T fetch_or(T value, std::memory_order order) {
    crash::step();
    return value_.fetch_or(value, order);
  }
  T fetch_and(T value, std::memory_order order) {
    crash::step();
    return value_.fetch_and(value, order);
  }
  bool compare_exchange(T& expected, T desired, std::memory_order success,
                        std::memory_order failure) {
    crash::step();
    return value_.compare_exchange_strong(expected, desired, success, failure);
  }

 private:
  std::atomic<T> value_;
  static_assert(std::atomic<T>::is_always_lock_free && sizeof(std::atomic<T>) == sizeof(T));
};

// An aligned pair, read and written by one 16-byte vector access; see shm/base/atomic.h.
class alignas(16) AtomicPair {
 public:
  Pair load(std::memory_order order) const {
    crash::step();
    __m128i bits;
    __asm__ volatile("vmovdqa %1, %0" : "=x"(bits) : "m"(value_));
    if (order != std::memory_order_relaxed) __asm__ volatile("" ::: "memory");
    return {static_cast<uint64_t>(_mm_cvtsi128_si64(bits)),
            static_cast<uint64_t>(_mm_extract_epi64(bits, 1))};
  }
  void store(Pair pair, std::memory_order order) {
    crash::step();
    const __m128i bits =
        _mm_set_epi64x(static_cast<int64_t>(pair.second), static_cast<int64_t>(pair.first));
    if (order != std::memory_order_relaxed) __asm__ volatile("" ::: "memory");
    __asm__ volatile("vmovdqa %1, %0" : "=m"(value_) : "x"(bits));
    if (order == std::memory_order_seq_cst) std::atomic_thread_fence(order);
  }
  bool compare_exchange(Pair& expected, Pair desired, std::memory_order /*success*/,
                        std::memory_order /*failure*/) {
    crash::step();
    bool swapped;
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(swapped), "+m"(value_), "+a"(expected.first), "+d"(expected.second)
                     : "b"(desired.first), "c"(desired.second)
                     : "memory");
    return swapped;
  }
  uint64_t load_first(std::memory_order order) const {
    crash::step();
    return __atomic_load_n(&value_.first, static_cast<int>(order));
  }

 private:
  Pair value_;
};
static_assert(sizeof(AtomicPair) == 16 && alignof(AtomicPair) == 16);

inline void fence(std::memory_order order) {
  crash::step();
  std::atomic_thread_fence(order);
}

inline void spin_pause() { _mm_pause(); }

inline void prefetch_write(const void* address) { __builtin_prefetch(address, 1, 3); }

inline void copy_to_shared(void* to, const void* from, size_t size) {
  constexpr size_t line = 64;
  for (size_t done = 0; done < size; done += line) {
    crash::step();
    std::memcpy(static_cast<std::byte*>(to) + done, static_cast<const std::byte*>(from) + done,
                size - done < line ? size - done : line);
  }
}

inline void copy_from_shared(void* to, const void* from, size_t size) {
  crash::step();
  std::memcpy(to, from, size);
}

inline void futex_wait(const Atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_ns) {
  crash::step();
  const timespec timeout{static_cast<time_t>(timeout_ns / 1'000'000'000),
                         static_cast<long>(timeout_ns % 1'000'000'000)};
  ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, &timeout, nullptr, 0);
}

inline void futex_wake_all(Atomic<uint32_t>& word) {
  crash::step();
  ::syscall(SYS_futex, &word, FUTEX_WAKE, INT32_MAX, nullptr, nullptr, 0);
}

}  // namespace loopline
