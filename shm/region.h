// Region: a piece of a file in this process's memory, unmapped when it goes out of scope.
//
// Boost.Interprocess' mapped_region does the work, in region.cc and nowhere else; its exceptions end
// there and come back as faults.
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
  bool populate = false;     // maps every page now, so that no access waits for the kernel
  void* address = nullptr;   // where to map it, over whatever is mapped there; anywhere if null
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

 private:
  std::unique_ptr<boost::interprocess::mapped_region> region_;
};

}  // namespace loopline::shm
