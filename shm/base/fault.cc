// Fault: names of codes, and how errno becomes a fault.
#include "fault.h"

#include <cerrno>
#include <cstring>

namespace loopline {

const char* name_of(FaultCode code) {
  switch (code) {
    case FaultCode::invalid_argument:
      return "invalid_argument";
    case FaultCode::not_found:
      return "not_found";
    case FaultCode::already_exists:
      return "already_exists";
    case FaultCode::too_large:
      return "too_large";
    case FaultCode::full:
      return "full";
    case FaultCode::timed_out:
      return "timed_out";
    case FaultCode::no_space:
      return "no_space";
    case FaultCode::no_permission:
      return "no_permission";
    case FaultCode::too_many:
      return "too_many";
    case FaultCode::version_mismatch:
      return "version_mismatch";
    case FaultCode::corrupted:
      return "corrupted";
    case FaultCode::forked:
      return "forked";
    case FaultCode::fenced:
      return "fenced";
    case FaultCode::closed:
      return "closed";
    case FaultCode::unsupported:
      return "unsupported";
    case FaultCode::io_error:
      return "io_error";
  }
  return "unknown";
}

namespace {

FaultCode code_from_errno(int error) {
  switch (error) {
    case ENOENT:
      return FaultCode::not_found;
    case EEXIST:
      return FaultCode::already_exists;
    case EACCES:
    case EPERM:
    case EROFS:
      return FaultCode::no_permission;
    case ENOSPC:
    case ENOMEM:
    case EDQUOT:
      return FaultCode::no_space;
    default:
      return FaultCode::io_error;
  }
}

}  // namespace

Fault fault_from_errno(int error, const std::string& what) {
  char buffer[128];
  return {code_from_errno(error), what + ": " + ::strerror_r(error, buffer, sizeof buffer)};
}

}  // namespace loopline
