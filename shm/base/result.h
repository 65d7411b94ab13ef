// Result: a value, or the Fault that stands in its way.
//
//   Result<Station> station = Station::open("orders");
//   if (!station) return station.fault();
//   station->producer();
//
// LL_TRY(name, expression) declares `name` from a Result, or returns its fault from the function.
#pragma once

#include <utility>
#include <variant>

#include "check.h"
#include "fault.h"

namespace loopline {

template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}  // NOLINT: meant to convert
  Result(Fault fault) : state_(std::in_place_index<1>, std::move(fault)) {}  // NOLINT: likewise

  explicit operator bool() const { return state_.index() == 0; }
  // The value; asking a fault for its value is a bug and traps.
  T& value() & {
    LL_CHECK(state_.index() == 0);
    return *std::get_if<0>(&state_);
  }
  T&& value() && {
    LL_CHECK(state_.index() == 0);
    return std::move(*std::get_if<0>(&state_));
  }
  const T& value() const& {
    LL_CHECK(state_.index() == 0);
    return *std::get_if<0>(&state_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T& operator*() const& { return value(); }
  const Fault& fault() const {
    LL_CHECK(state_.index() == 1);
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<T, Fault> state_;
};

struct Unit {};
// A step that yields nothing but may fail.
using Status = Result<Unit>;
inline Status ok() { return Unit{}; }

}  // namespace loopline

#define LL_JOIN_INNER(left, right) left##right
#define LL_JOIN(left, right) LL_JOIN_INNER(left, right)
#define LL_TRY(name, expression)                                      \
  auto LL_JOIN(name, _result) = (expression);                         \
  if (!LL_JOIN(name, _result)) return LL_JOIN(name, _result).fault(); \
  auto& name = *LL_JOIN(name, _result)
// The same for a step whose value nobody needs.
#define LL_TRY_STATUS(expression)             \
  do {                                        \
    auto ll_status = (expression);            \
    if (!ll_status) return ll_status.fault(); \
  } while (false)
