// Peer names: what a peer that needs a name in the kernel is called, and the kernel's own version.
#pragma once

#include <sys/utsname.h>
#include <unistd.h>

#include <string>

namespace loopline::perf {

// Never the same twice, in this process or beside it: "loopline-bench-4711-3".
inline std::string unique_name() {
  static int count = 0;
  return "loopline-bench-" + std::to_string(::getpid()) + "-" + std::to_string(count++);
}

// "Linux 6.18.44", the version of peers that are a part of it.
inline std::string kernel_version() {
  utsname system{};
  ::uname(&system);
  const std::string release = system.release;
  return "Linux " + release.substr(0, release.find('-'));
}

}  // namespace loopline::perf
