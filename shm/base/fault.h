// Fault: what the world did to us, in words a person can act on.
//
// A fault says what happened, to what, and what to do next. It is a value, never thrown; bugs of
// ours are LL_CHECK's business. The code decides the exit status of tools and what a program can
// branch on.
#pragma once

#include <string>
#include <utility>

#include "visibility.h"

namespace loopline {

enum class FaultCode {
  invalid_argument,  // a name, size or option outside its range (tools: exit 2)
  not_found,         // no such station, file or process (tools: exit 3)
  already_exists,    // it is there already, with other parameters
  too_large,         // a message over max-message
  full,              // the ring is full and the caller did not want to wait
  timed_out,         // the deadline passed (tools: exit 4)
  no_space,          // shared memory has no room for it
  no_permission,     // the file's mode forbids it
  too_many,          // all slots of a kind are taken
  version_mismatch,  // another layout version
  corrupted,         // foreign bytes that make no sense
  forked,            // a handle used in a child process after fork
  fenced,            // a handle whose thread died, or that another took over
  closed,            // the station was removed, or the handle closed
  unsupported,       // this kernel or processor cannot
  io_error,          // a system call failed in another way
};

class [[nodiscard]] Fault {
 public:
  Fault(FaultCode code, std::string message) : code_(code), message_(std::move(message)) {}
  FaultCode code() const { return code_; }
  const std::string& message() const { return message_; }

 private:
  FaultCode code_;
  std::string message_;
};

// The code as people read it in JSON: "not_found".
LL_EXPORT const char* name_of(FaultCode code);

// A system call that failed: `what` ("cannot create ring file /dev/shm/x") and errno in words; the
// code follows errno (ENOENT -> not_found, EACCES -> no_permission, ENOSPC -> no_space, else
// io_error).
Fault fault_from_errno(int error, const std::string& what);

}  // namespace loopline
