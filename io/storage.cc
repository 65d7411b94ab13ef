// Storage: which one it is, found out by trying.
#include "storage.h"

#include "posix_storage.h"
#include "uring_storage.h"

namespace loopline::io {

Result<std::unique_ptr<Storage>> make_storage(const std::string& wanted, uint32_t depth,
                                              std::string& why_not) {
  why_not.clear();
  if (wanted == "posix") return make_posix_storage(depth);
  if (wanted != "auto" && wanted != "io_uring") {
    return Fault(FaultCode::invalid_argument,
                 "there is no storage \"" + wanted + "\"; take auto, io_uring or posix");
  }
  auto uring = make_uring_storage(depth);
  if (uring || wanted == "io_uring") return uring;
  why_not = uring.fault().message();
  return make_posix_storage(depth);
}

}  // namespace loopline::io
