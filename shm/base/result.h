// Result: a value, or the Fault that stands in its way.
//
//   Result<Station> station = Station::open("orders");
//   if (!station) return station.fault();
//   station->producer();
//
// LL_TRY(name, expression) declares `name` from a Result, or returns its fault from the function.
#pragma once

#include <memory>
#include <optional>
#include <utility>

#include "check.h"
#include "fault.h"

namespace loopline {

// The fault is kept by pointer: a result that is none costs one word and one comparison.
template <class T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT: meant to convert
  [[gnu::cold]] Result(Fault fault)              // NOLINT: likewise
      : fault_(std::make_unique<Fault>(std::move(fault))) {}
  // The value made in its place, for what is too large to be moved.
  explicit Result(std::in_place_t) : value_(std::in_place) {}

  explicit operator bool() const { return value_.has_value(); }
  // The value; asking a fault for its value is a bug and traps.
  T& value() & {
    LL_CHECK(value_.has_value());
    return *value_;
  }
  T&& value() && {
    LL_CHECK(value_.has_value());
    return *std::move(value_);
  }
  const T& value() const& {
    LL_CHECK(value_.has_value());
    return *value_;
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  const T& operator*() const& { return value(); }
  const Fault& fault() const {
    LL_CHECK(fault_ != nullptr);
    return *fault_;
  }

 private:
  std::optional<T> value_;
  std::unique_ptr<Fault> fault_;
};

struct Unit {};
// A step that yields nothing but may fail: a pointer, null when it went well.
template <>
class [[nodiscard]] Result<Unit> {
 public:
  Result() = default;
  [[gnu::cold]] Result(Fault fault)  // NOLINT: meant to convert
      : fault_(std::make_unique<Fault>(std::move(fault))) {}

  explicit operator bool() const { return fault_ == nullptr; }
  const Fault& fault() const {
    LL_CHECK(fault_ != nullptr);
    return *fault_;
  }

 private:
  std::unique_ptr<Fault> fault_;
};
using Status = Result<Unit>;
inline Status ok() { return {}; }

}  // namespace loopline

#define LL_JOIN_INNER(left, right) left##right
#define LL_JOIN(left, right) LL_JOIN_INNER(left, right)
#define LL_TRY(name, expression)                                      \
  auto LL_JOIN(name, _result) = (expression);                         \
  if (!LL_JOIN(name, _result)) return LL_JOIN(name, _result).fault(); \
  auto& name = *LL_JOIN(name, _result)
// The same for a step whose value nobody needs.
#define LL_TRY_STATUS(expression)                 \
  do {                                            \
    auto ll_try_step = (expression);              \
    if (!ll_try_step) return ll_try_step.fault(); \
  } while (false)
