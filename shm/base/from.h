// From: where in a station's messages a consumer begins.
//
//   From::earliest   From::latest   From::sequence(1000)   From::time(utc_ns)   From::last(10)
#pragma once

#include <cstdint>

namespace loopline {

class From {
 public:
  enum class Kind : uint32_t { earliest, latest, sequence, time, last };

  static const From earliest;  // what is still there
  static const From latest;    // what comes from now on
  // The message of this sequence and what follows it; one that is yet to come is waited for. What
  // is no longer there is told as a gap.
  static constexpr From sequence(uint64_t first) { return {Kind::sequence, first}; }
  // The first message of this time (UTC nanoseconds) or later, and what follows it. The station
  // must keep time stamps.
  static constexpr From time(uint64_t utc_ns) { return {Kind::time, utc_ns}; }
  // The newest `count` sequences, and what follows them.
  static constexpr From last(uint64_t count) { return {Kind::last, count}; }

  constexpr Kind kind() const { return kind_; }
  constexpr uint64_t value() const { return value_; }
  constexpr bool operator==(const From&) const = default;

 private:
  constexpr From(Kind kind, uint64_t value) : kind_(kind), value_(value) {}
  Kind kind_;
  uint64_t value_;
};
inline constexpr From From::earliest{Kind::earliest, 0};
inline constexpr From From::latest{Kind::latest, 0};

}  // namespace loopline
