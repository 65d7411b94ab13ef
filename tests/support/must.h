// Must: unwraps a Result in a test, which goes no further when there is a fault.
#pragma once

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

#include "shm/base/result.h"

namespace loopline::test {

template <class T>
T must(Result<T> result) {
  if (!result) throw std::runtime_error(result.fault().message());
  return std::move(*result);
}

inline void must(const Status& status) {
  if (!status) throw std::runtime_error(status.fault().message());
}

// The fault that was expected; its absence fails the test.
template <class T>
Fault fault_of(const Result<T>& result) {
  if (!result) return result.fault();
  ADD_FAILURE() << "it was expected to fail";
  return {FaultCode::io_error, "there is no fault"};
}
template <class T>
FaultCode code_of(const Result<T>& result) {
  return fault_of(result).code();
}
inline bool contains(const Fault& fault, std::string_view words) {
  return fault.message().find(words) != std::string::npos;
}

}  // namespace loopline::test
