// Bits: small exact arithmetic on sizes and positions.
#pragma once

#include <bit>
#include <cstdint>

namespace loopline {

constexpr bool is_power_of_two(uint64_t value) { return std::has_single_bit(value); }

// `unit` is a power of two.
constexpr uint64_t round_up(uint64_t value, uint64_t unit) {
  return (value + unit - 1) & ~(unit - 1);
}

// The exponent of a power of two: log2_exact(4096) == 12.
constexpr int log2_exact(uint64_t value) { return std::countr_zero(value); }

}  // namespace loopline
