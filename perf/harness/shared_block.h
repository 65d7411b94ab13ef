// SharedBlock: zeroed, populated memory that a process and the children it forks share.
#pragma once

#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <string>
#include <utility>

#include "shm/base/result.h"

namespace loopline::perf {

class SharedBlock {
 public:
  // Populated at once, so that no page fault falls into a measurement.
  static Result<SharedBlock> make(size_t bytes) {
    void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                          MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (memory == MAP_FAILED) {
      return fault_from_errno(errno, "cannot map " + std::to_string(bytes) + " bytes to share");
    }
    return SharedBlock(memory, bytes);
  }

  SharedBlock(SharedBlock&& other) noexcept
      : memory_(std::exchange(other.memory_, nullptr)), bytes_(other.bytes_) {}
  SharedBlock& operator=(SharedBlock&& other) noexcept {
    std::swap(memory_, other.memory_);
    std::swap(bytes_, other.bytes_);
    return *this;
  }
  ~SharedBlock() {
    if (memory_ != nullptr) ::munmap(memory_, bytes_);
  }

  // Takes the page faults that a child pays although the parent has touched every page: fork leaves
  // out the page tables of shared memory. Safe while others use the block.
  void prefault() const {
    constexpr size_t page_size = 4096;
    for (size_t offset = 0; offset < bytes_; offset += page_size) {
      auto* byte = reinterpret_cast<unsigned char*>(data() + offset);
      __atomic_fetch_or(byte, 0, __ATOMIC_RELAXED);  // relaxed: changes nothing
    }
  }

  std::byte* data() const { return static_cast<std::byte*>(memory_); }
  size_t size() const { return bytes_; }
  // The block seen as a `T`, for which all bits zero must be a valid value.
  template <class T>
  T& as(size_t offset = 0) const {
    return *reinterpret_cast<T*>(data() + offset);
  }

 private:
  SharedBlock(void* memory, size_t bytes) : memory_(memory), bytes_(bytes) {}

  void* memory_;
  size_t bytes_;
};

}  // namespace loopline::perf
