// Region: a piece of a file in this process's memory, unmapped when it goes out of scope.
//
// Boost.Interprocess' mapped_region does the work, in region.cc and nowhere else; its exceptions
// end there and come back as faults.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"

namespace boost::interprocess {
class mapped_region;
}

namespace loopline::shm {

struct RegionPlace {
  int fd = -1;
  uint64_t offset = 0;  // in the file; a multiple of the page size
  uint64_t size = 0;
  bool writable = false;
  bool populate = false;    // maps every page now, so that no access waits for the kernel
  void* address = nullptr;  // where to map it, over whatever is mapped there; anywhere if null
};

constexpr uint64_t huge_page_size = 2ull << 20;

// Addresses that nothing else of this process will be put at, until they are mapped over.
class Reservation {
 public:
  // `name` is what will be mapped there, for the fault.
  static Result<Reservation> make(uint64_t size, uint64_t alignment, const std::string& name);
  Reservation(Reservation&& other) noexcept;
  Reservation& operator=(Reservation&&) = delete;
  ~Reservation();

  std::byte* address() const { return address_; }
  // The first `bytes` belong to somebody else now.
  void hand_over(uint64_t bytes);

 private:
  Reservation(std::byte* address, uint64_t size) : address_(address), size_(size) {}
  std::byte* address_;
  uint64_t size_;
};

class Region {
 public:
  // `name` is the file's, for the fault.
  static Result<Region> map(const RegionPlace& place, const std::string& name);

  Region() noexcept;
  Region(Region&&) noexcept;
  Region& operator=(Region&&) noexcept;
  ~Region();

  std::byte* address() const;
  size_t size() const;
  // Allows or forbids writes; 0 or errno.
  int protect(bool writable) const;
  // Asks for 2 MiB pages (MADV_COLLAPSE); false where the kernel will not.
  bool collapse() const;
  // Maps the pages of the first `bytes` now, as far as the kernel can.
  void populate(uint64_t bytes) const;

 private:
  std::unique_ptr<boost::interprocess::mapped_region> region_;
};

}  // namespace loopline::shm
