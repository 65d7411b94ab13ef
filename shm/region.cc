// Region: Boost.Interprocess' mapped_region over a file descriptor we already hold and have examined.
#include "region.h"

#include <boost/interprocess/exceptions.hpp>
#include <boost/interprocess/mapped_region.hpp>
#include <sys/mman.h>

#include <cerrno>

namespace loopline::shm {
namespace {

namespace interprocess = boost::interprocess;

// What mapped_region maps. Boost's own file_mapping opens a path again, without O_CLOEXEC, and by then
// another file may stand there; ours lends it the descriptor whose header was validated.
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

}  // namespace loopline::shm
