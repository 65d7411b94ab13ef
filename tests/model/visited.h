// Visited: the set of states already explored, 16 bytes each, for tens of millions of them.
#pragma once

#include <sys/mman.h>

#include <cstdlib>
#include <utility>

#include "view.h"

namespace loopline::model {

class Visited {
 public:
  Visited() { allocate(size_t{1} << 12); }
  ~Visited() { release(entries_, capacity_); }
  Visited(const Visited&) = delete;
  Visited& operator=(const Visited&) = delete;

  size_t count() const { return count_; }

  void clear() {
    release(entries_, capacity_);
    allocate(size_t{1} << 12);
  }

  // True when the state is new.
  bool insert(Hash hash) {
    if (hash == Hash{}) hash.a = 1;  // zero means empty
    if (5 * count_ >= 3 * capacity_) grow();
    Hash& entry = find(hash);
    if (entry == hash) return false;
    entry = hash;
    ++count_;
    return true;
  }

 private:
  Hash& find(const Hash& hash) {
    size_t index = hash.a & (capacity_ - 1);
    while (!(entries_[index] == Hash{}) && !(entries_[index] == hash)) {
      index = (index + 1) & (capacity_ - 1);
    }
    return entries_[index];
  }
  void allocate(size_t capacity) {
    void* memory = ::mmap(nullptr, capacity * sizeof(Hash), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) std::abort();
    // One random access a state: huge pages spare the page walk.
    if (capacity > size_t{1} << 18) ::madvise(memory, capacity * sizeof(Hash), MADV_HUGEPAGE);
    entries_ = static_cast<Hash*>(memory);
    capacity_ = capacity;
    count_ = 0;
  }
  static void release(Hash* entries, size_t capacity) {
    ::munmap(entries, capacity * sizeof(Hash));
  }
  void grow() {
    Hash* old = std::exchange(entries_, nullptr);
    const size_t old_capacity = capacity_;
    const size_t old_count = count_;
    allocate(2 * old_capacity);
    for (size_t index = 0; index < old_capacity; ++index) {
      if (!(old[index] == Hash{})) find(old[index]) = old[index];
    }
    count_ = old_count;
    release(old, old_capacity);
  }

  Hash* entries_ = nullptr;
  size_t capacity_ = 0;
  size_t count_ = 0;
};

}  // namespace loopline::model
