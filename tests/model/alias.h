// Alias: every access to shared memory becomes a step of the explorer, under the names of atomic.h.
//
// Compile shm/ with -DLL_ATOMIC_ALIAS='"tests/model/alias.h"'. The objects keep their size and
// place; in a thread of a scenario they are only addresses, and the explorer keeps every value they
// ever had. Outside of one (set-up, checks, other tests) the operations act on the memory itself.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <type_traits>

namespace loopline::model {

enum class OperationKind : uint8_t {
  load,
  store,
  exchange,
  add,
  bit_or,
  bit_and,
  compare_exchange,
  fence,
  futex_wait,
  futex_wake,
};

// One step of a thread. The lower half is filled by the explorer.
struct Operation {
  OperationKind kind;
  uint8_t size = 0;                                       // bytes, at most 16
  std::memory_order order = std::memory_order_relaxed;    // relaxed: for futexes, which have none
  std::memory_order failure = std::memory_order_relaxed;  // relaxed: unless a compare_exchange says
  const void* address = nullptr;
  Pair value{};
  Pair expected{};

  Pair result{};         // what was read
  bool done = false;     // compare_exchange: swapped; futex_wait: must sleep
  bool changed = false;  // wrote something else than was there
  uint16_t location = 0;
  uint8_t offset = 0;      // within the location
  uint8_t read_index = 0;  // in modification order, when something was read
  uint8_t newest_index = 0;
};

void perform(Operation& operation);
void pause();
void copy_in(void* to, const void* from, size_t size);
void copy_out(void* to, const void* from, size_t size);

}  // namespace loopline::model

namespace loopline {

template <class T>
class Atomic {
  static_assert(std::is_trivially_copyable_v<T> && (sizeof(T) == 4 || sizeof(T) == 8));
  using Kind = model::OperationKind;

 public:
  Atomic() = default;
  Atomic(const Atomic&) = delete;
  Atomic& operator=(const Atomic&) = delete;

  T load(std::memory_order order) const { return run(Kind::load, T{}, order); }
  void store(T value, std::memory_order order) { run(Kind::store, value, order); }
  T exchange(T value, std::memory_order order) { return run(Kind::exchange, value, order); }
  T fetch_add(T value, std::memory_order order) { return run(Kind::add, value, order); }
  T fetch_or(T value, std::memory_order order) { return run(Kind::bit_or, value, order); }
  T fetch_and(T value, std::memory_order order) { return run(Kind::bit_and, value, order); }
  bool compare_exchange(T& expected, T desired, std::memory_order success,
                        std::memory_order failure) {
    model::Operation operation{.kind = Kind::compare_exchange,
                               .size = sizeof(T),
                               .order = success,
                               .failure = failure,
                               .address = this,
                               .value = {to_word(desired), 0},
                               .expected = {to_word(expected), 0}};
    model::perform(operation);
    if (!operation.done) expected = from_word(operation.result.first);
    return operation.done;
  }

 private:
  static uint64_t to_word(T value) {
    uint64_t word = 0;
    std::memcpy(&word, &value, sizeof value);
    return word;
  }
  static T from_word(uint64_t word) {
    T value;
    std::memcpy(&value, &word, sizeof value);
    return value;
  }
  T run(Kind kind, T value, std::memory_order order) const {
    model::Operation operation{.kind = kind,
                               .size = sizeof(T),
                               .order = order,
                               .address = this,
                               .value = {to_word(value), 0}};
    model::perform(operation);
    return from_word(operation.result.first);
  }

  T value_{};
};

class alignas(16) AtomicPair {
  using Kind = model::OperationKind;

 public:
  Pair load(std::memory_order order) const { return run(Kind::load, 16, {}, order); }
  void store(Pair pair, std::memory_order order) { run(Kind::store, 16, pair, order); }
  bool compare_exchange(Pair& expected, Pair desired, std::memory_order success,
                        std::memory_order failure) {
    model::Operation operation{.kind = Kind::compare_exchange,
                               .size = 16,
                               .order = success,
                               .failure = failure,
                               .address = this,
                               .value = desired,
                               .expected = expected};
    model::perform(operation);
    if (!operation.done) expected = operation.result;
    return operation.done;
  }
  uint64_t load_first(std::memory_order order) const { return run(Kind::load, 8, {}, order).first; }

 private:
  Pair run(Kind kind, uint8_t size, Pair value, std::memory_order order) const {
    model::Operation operation{
        .kind = kind, .size = size, .order = order, .address = this, .value = value};
    model::perform(operation);
    return operation.result;
  }

  Pair value_;
};
static_assert(sizeof(AtomicPair) == 16 && alignof(AtomicPair) == 16);

inline void fence(std::memory_order order) {
  model::Operation operation{
      .kind = model::OperationKind::fence, .order = order, .value = {}, .expected = {}};
  model::perform(operation);
}

inline void spin_pause() { model::pause(); }
inline void prefetch_write(const void* /*address*/) {}

inline void copy_to_shared(void* to, const void* from, size_t size) {
  model::copy_in(to, from, size);
}
inline void copy_from_shared(void* to, const void* from, size_t size) {
  model::copy_out(to, from, size);
}

inline void futex_wait(const Atomic<uint32_t>& word, uint32_t expected, uint64_t /*timeout_ns*/) {
  model::Operation operation{.kind = model::OperationKind::futex_wait,
                             .size = 4,
                             .address = &word,
                             .expected = {expected, 0}};
  model::perform(operation);
}
inline void futex_wake_all(Atomic<uint32_t>& word) {
  model::Operation operation{.kind = model::OperationKind::futex_wake, .size = 4, .address = &word};
  model::perform(operation);
}

}  // namespace loopline
