// Region: Boost.Interprocess' mapped_region over a file descriptor we already hold and have
// examined.
#include "region.h"

#include <sys/mman.h>
#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>

#include <cerrno>
#include <new>
#include <utility>

#include "base/bits.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22  // since Linux 5.14
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25  // since Linux 6.1; Debian 12's headers do not name it
#endif

namespace loopline::shm {
namespace {

namespace interprocess = boost::interprocess;

// What mapped_region maps. Boost's own file_mapping opens a path again, without O_CLOEXEC, and by
// then another file may stand there; ours lends it the descriptor whose header was validated.
class Lent {
 public:
  explicit Lent(int fd) : fd_(fd) {}
  interprocess::mapping_handle_t get_mapping_handle() const {
    interprocess::mapping_handle_t handle;
    handle.handle = fd_;
    handle.is_xsi = false;
    return handle;
  }

 private:
  int fd_;
};

}  // namespace

Result<Reservation> Reservation::make(uint64_t size, uint64_t alignment, const std::string& name) {
  const uint64_t asked = size + alignment;
  void* found =
      ::mmap(nullptr, asked, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (found == MAP_FAILED) return fault_from_errno(errno, "no addresses left to map " + name);
  const auto from = reinterpret_cast<uintptr_t>(found);
  const uint64_t skip = round_up(from, alignment) - from;
  std::byte* const address = static_cast<std::byte*>(found) + skip;
  if (skip > 0) ::munmap(found, skip);
  ::munmap(address + size, alignment - skip);
  return Reservation(address, size);
}

Reservation::Reservation(Reservation&& other) noexcept
    : address_(other.address_), size_(std::exchange(other.size_, 0)) {}

Reservation::~Reservation() {
  if (size_ > 0) ::munmap(address_, size_);
}

void Reservation::hand_over(uint64_t bytes) {
  address_ += bytes;
  size_ -= bytes;
}

Result<Region> Region::map(const RegionPlace& place, const std::string& name) {
  const auto mode = place.writable ? interprocess::read_write : interprocess::read_only;
  const int populate = place.populate ? MAP_POPULATE : 0;
  const int fixed = place.address != nullptr ? MAP_FIXED : 0;
  try {
    Region region;
    region.region_ = std::make_unique<interprocess::mapped_region>(
        Lent(place.fd), mode, static_cast<interprocess::offset_t>(place.offset),
        static_cast<size_t>(place.size), place.address, populate | fixed);
    return region;
  } catch (const interprocess::interprocess_exception& exception) {
    return fault_from_errno(exception.get_native_error(), "cannot map " + name);
  } catch (const std::bad_alloc&) {
    return fault_from_errno(ENOMEM, "cannot map " + name);
  }
}

Region::Region() noexcept = default;
Region::Region(Region&&) noexcept = default;
Region& Region::operator=(Region&&) noexcept = default;
Region::~Region() = default;

std::byte* Region::address() const {
  return region_ == nullptr ? nullptr : static_cast<std::byte*>(region_->get_address());
}

size_t Region::size() const { return region_ == nullptr ? 0 : region_->get_size(); }

int Region::protect(bool writable) const {
  const int protection = writable ? PROT_READ | PROT_WRITE : PROT_READ;
  return ::mprotect(address(), size(), protection) == 0 ? 0 : errno;
}

void Region::populate(uint64_t bytes) const {
  // For reading: the pages of a shared mapping that are there become writable by it all the same.
  // Where it is refused, the pages are mapped as they are touched.
  ::madvise(address(), bytes, MADV_POPULATE_READ);
}

bool Region::collapse() const { return ::madvise(address(), size(), MADV_COLLAPSE) == 0; }

}  // namespace loopline::shm
