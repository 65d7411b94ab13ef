// Atomic: the one alias through which every word that several processes or threads share is read
// and written.
//
// The product uses the plain implementation below. A build may put its own in place with
// LL_ATOMIC_ALIAS (a quoted header): the model test explores every interleaving and every stale
// read through it, the crash test kills a process between any two accesses. The alias therefore
// offers everything that touches shared memory: 4- and 8-byte words, aligned 16-byte pairs, fences,
// bulk copies, and the futex in "futex.h".
//
// What a replacement must keep: sizes, alignment, and these names and signatures.
#pragma once

#include <atomic>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace loopline {

// Two halves that are only ever read and written as one.
struct Pair {
  uint64_t first = 0;
  uint64_t second = 0;
  friend bool operator==(const Pair&, const Pair&) = default;
};

}  // namespace loopline

#if defined(__SANITIZE_THREAD__)
#include <sanitizer/tsan_interface.h>
extern "C" void AnnotateIgnoreReadsBegin(const char* file, int line);
extern "C" void AnnotateIgnoreReadsEnd(const char* file, int line);
#endif

namespace loopline {

// While it lives, this thread reads places that may be written meanwhile, and trusts what it read
// only after a second look (R6). TSan cannot know the second look (the model test proves it) and
// does not judge these reads.
struct MeantRace {
#if defined(__SANITIZE_THREAD__)
  MeantRace() { AnnotateIgnoreReadsBegin(__FILE__, __LINE__); }
  ~MeantRace() { AnnotateIgnoreReadsEnd(__FILE__, __LINE__); }
#else
  MeantRace() {}  // not trivial, or it were an unused variable
#endif
  MeantRace(const MeantRace&) = delete;
  MeantRace& operator=(const MeantRace&) = delete;
};

}  // namespace loopline

#ifdef LL_ATOMIC_ALIAS
#include LL_ATOMIC_ALIAS
#else

#include <immintrin.h>

#if defined(__SANITIZE_THREAD__)
// TSan does not see what inline assembly orders: it is told.
#define LL_TSAN_ACQUIRE(address) \
  __tsan_acquire(const_cast<void*>(static_cast<const void*>(address)))
#define LL_TSAN_RELEASE(address) \
  __tsan_release(const_cast<void*>(static_cast<const void*>(address)))
#else
#define LL_TSAN_ACQUIRE(address) static_cast<void>(0)
#define LL_TSAN_RELEASE(address) static_cast<void>(0)
#endif

namespace loopline {

// A word of 4 or 8 bytes in shared memory; all bits zero is a valid value.
template <class T>
class Atomic {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));

 public:
  T load(std::memory_order order) const { return value_.load(order); }
  void store(T value, std::memory_order order) { value_.store(value, order); }
  T exchange(T value, std::memory_order order) { return value_.exchange(value, order); }
  T fetch_add(T value, std::memory_order order) { return value_.fetch_add(value, order); }
  T fetch_or(T value, std::memory_order order) { return value_.fetch_or(value, order); }
  T fetch_and(T value, std::memory_order order) { return value_.fetch_and(value, order); }
  // On failure `expected` holds what was found. Never fails spuriously.
  bool compare_exchange(T& expected, T desired, std::memory_order success,
                        std::memory_order failure) {
    return value_.compare_exchange_strong(expected, desired, success, failure);
  }

 private:
  std::atomic<T> value_;
  static_assert(std::atomic<T>::is_always_lock_free && sizeof(std::atomic<T>) == sizeof(T));
};

// An aligned pair of words, read and written by one 16-byte vector access. AMD and Intel promise
// that aligned 16-byte accesses are atomic on every processor with AVX; GCC's std::atomic of 16
// bytes goes through libatomic, whose load writes (it faults on a read-only mapping), hence ours.
class alignas(16) AtomicPair {
 public:
  Pair load(std::memory_order order) const {
    __m128i bits;
    __asm__ volatile("vmovdqa %1, %0" : "=x"(bits) : "m"(value_));
    if (order != std::memory_order_relaxed) {
      __asm__ volatile("" ::: "memory");
      LL_TSAN_ACQUIRE(&value_);
    }
    return {static_cast<uint64_t>(_mm_cvtsi128_si64(bits)),
            static_cast<uint64_t>(_mm_extract_epi64(bits, 1))};
  }
  void store(Pair pair, std::memory_order order) {
    // From registers: two halves just stored to memory cannot be forwarded to one 16-byte load.
    __asm__("" : "+r"(pair.first), "+r"(pair.second));
    const __m128i bits =
        _mm_set_epi64x(static_cast<int64_t>(pair.second), static_cast<int64_t>(pair.first));
    if (order != std::memory_order_relaxed) {
      LL_TSAN_RELEASE(&value_);
      __asm__ volatile("" ::: "memory");
    }
    __asm__ volatile("vmovdqa %1, %0" : "=m"(value_) : "x"(bits));
    if (order == std::memory_order_seq_cst) std::atomic_thread_fence(order);
  }
  // A full barrier on x86 whatever the order says; `expected` holds what was found on failure.
  bool compare_exchange(Pair& expected, Pair desired, std::memory_order /*success*/,
                        std::memory_order /*failure*/) {
    bool swapped;
    LL_TSAN_RELEASE(&value_);
    __asm__ volatile("lock cmpxchg16b %1"
                     : "=@ccz"(swapped), "+m"(value_), "+a"(expected.first), "+d"(expected.second)
                     : "b"(desired.first), "c"(desired.second)
                     : "memory");
    LL_TSAN_ACQUIRE(&value_);
    return swapped;
  }
  // The first half alone: enough for whoever only asks "how far".
  uint64_t load_first(std::memory_order order) const {
    return __atomic_load_n(&value_.first, static_cast<int>(order));
  }

 private:
  Pair value_;
};
static_assert(sizeof(AtomicPair) == 16 && alignof(AtomicPair) == 16);

inline void fence(std::memory_order order) { std::atomic_thread_fence(order); }

// Tells the processor, or the explorer, that we wait for somebody else's store.
inline void spin_pause() { _mm_pause(); }

// Asks for the line of `address` in a state in which it can be written at once. By hand: without
// -mprfchw GCC's __builtin_prefetch for writing emits a prefetch for reading.
inline void prefetch_write(const void* address) {
  __asm__ volatile("prefetchw %0" : : "m"(*static_cast<const char*>(address)));
}

// Bulk bytes into and out of shared memory. Bytes out of a place that may be overwritten meanwhile
// are only trusted once the reader has looked again (R6).
inline void copy_to_shared(void* to, const void* from, size_t size) { std::memcpy(to, from, size); }
inline void copy_from_shared(void* to, const void* from, size_t size) {
  std::memcpy(to, from, size);
}

}  // namespace loopline
#endif
