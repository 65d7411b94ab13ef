// Control: addresses through an open folder, since a path of a socket has 107 letters at most.
#include "control.h"

#include <fcntl.h>

#include <cerrno>
#include <cstdio>

#include "json_text.h"

namespace loopline::broker {

std::string control_path(const std::string& folder) { return folder + "/broker.sock"; }

Result<ControlAddress> ControlAddress::of(const std::string& folder) {
  ControlAddress address;
  address.folder_ = shm::File(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (address.folder_.fd() < 0) return fault_from_errno(errno, "cannot open folder " + folder);
  address.address_.sun_family = AF_UNIX;
  std::snprintf(address.address_.sun_path, sizeof address.address_.sun_path,
                "/proc/self/fd/%d/broker.sock", address.folder_.fd());
  return address;
}

std::string json_of_fault(const Fault& fault) {
  JsonObject inner;
  inner.add("code", name_of(fault.code())).add("message", fault.message());
  return JsonObject().raw("error", inner.text()).text();
}

}  // namespace loopline::broker
