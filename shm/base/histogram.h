// Histogram: how often each latency occurred, to three digits, in one fixed block of memory.
//
// The buckets are those of HdrHistogram: values below `exact_range` exactly, then each doubling of
// the value in `half_range` equal steps. Recording is an index and an addition, and no allocation.
//
//   counts_   [0 .. 2047 exactly][2048 .. 4095 in steps of 2][4096 .. 8191 in steps of 4] ...
//
// The object holds no pointer and all bits zero is an empty one, so it may live in zeroed shared
// memory (264 KiB for three digits up to one hour). It has one writer and no synchronisation of its
// own: read it when the writer is done, known by what says so (a join, a wait, a release store).
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <string>
#include <type_traits>

namespace loopline {

// One hour in nanoseconds: larger values are counted as one hour, and counted as clamped.
inline constexpr uint64_t histogram_largest = 3'600'000'000'000;

namespace histogram_detail {
// std::bit_width, whose type differs between libraries.
constexpr int width_of(uint64_t value) { return static_cast<int>(std::bit_width(value)); }
constexpr uint64_t unit_range(int digits) {
  uint64_t range = 2;
  for (int digit = 0; digit < digits; ++digit) range *= 10;
  return std::bit_ceil(range);
}
}  // namespace histogram_detail

template <int digits, uint64_t largest = histogram_largest>
class BasicHistogram {
  static_assert(digits >= 1 && digits <= 3);

 public:
  void record(uint64_t value) { record_n(value, 1); }

  void record_n(uint64_t value, uint64_t n) {
    static_assert(index_of(largest) < entry_count);
    if (__builtin_expect(value > largest, 0)) {
      clamped_ += n;
      value = largest;
    }
    counts_[index_of(value)] += n;
    count_ += n;
    if (n == 0) return;
    max_ = std::max(max_, value);
    min_complement_ = std::max(min_complement_, ~value);
  }

  void merge(const BasicHistogram& other);
  void clear() { *this = BasicHistogram(); }

  uint64_t count() const { return count_; }
  // How many values were above the highest one and are counted as that.
  uint64_t clamped() const { return clamped_; }
  // Exact; 0 when nothing was recorded.
  uint64_t min() const { return count_ == 0 ? 0 : ~min_complement_; }
  uint64_t max() const { return max_; }

  // The smallest value that at least `percent` of all values do not exceed (percent 0 to 100),
  // rounded up to the end of its bucket but never above max(). 0 when nothing was recorded.
  uint64_t percentile(double percent) const;
  // How many values are at most `value`, to the precision of its bucket.
  uint64_t count_up_to(uint64_t value) const;
  double mean() const;
  double standard_deviation() const;

  // HdrHistogram's percentile distribution (the .hgrm text its plotters read): five lines for each
  // halving of the distance to 100 %. Values are divided by `divisor` (1000: print us).
  std::string hgrm(double divisor = 1) const;

 private:
  static constexpr uint64_t exact_range = histogram_detail::unit_range(digits);
  static constexpr uint64_t half_range = exact_range / 2;
  static constexpr int half_bits = histogram_detail::width_of(half_range) - 1;
  static constexpr int bucket_count = std::max(1, histogram_detail::width_of(largest) - half_bits);

  // Which doubling a value is in: 0 for all below exact_range.
  static constexpr int bucket_of(uint64_t value) {
    return histogram_detail::width_of(value | (exact_range - 1)) - half_bits - 1;
  }
  static constexpr size_t index_of(uint64_t value) {
    const int bucket = bucket_of(value);
    return (static_cast<size_t>(bucket) << half_bits) + static_cast<size_t>(value >> bucket);
  }
  static constexpr size_t entry_count = static_cast<size_t>(bucket_count + 1) * half_range;

  // The values that share an entry: lowest(index) .. lowest(index + 1) - 1.
  static uint64_t lowest(size_t index) {
    const size_t bucket = index < exact_range ? 0 : (index >> half_bits) - 1;
    return static_cast<uint64_t>(index - (bucket << half_bits)) << bucket;
  }
  // The last of them, except that nothing above max_ was ever recorded.
  uint64_t highest(size_t index) const { return std::min(lowest(index + 1) - 1, max_); }
  static double middle(size_t index) {
    const uint64_t width = lowest(index + 1) - lowest(index);
    return static_cast<double>(lowest(index) + width / 2);
  }

  uint64_t count_ = 0;
  uint64_t clamped_ = 0;
  uint64_t max_ = 0;
  // ~min, so that zeroed memory is an empty histogram.
  uint64_t min_complement_ = 0;
  uint64_t counts_[entry_count] = {};
};

// Three digits (2048 exact values, then 0.1 %), 1 ns to 1 h.
using Histogram = BasicHistogram<3>;
// Two digits (1 %) in a tenth of the memory.
using SmallHistogram = BasicHistogram<2>;

static_assert(sizeof(Histogram) == 32 + 8 * 1024 * 33, "270,368 bytes");
static_assert(sizeof(SmallHistogram) == 32 + 8 * 128 * 36, "36,896 bytes");
static_assert(std::is_trivially_copyable_v<Histogram> && std::is_standard_layout_v<Histogram>);

extern template class BasicHistogram<1>;
extern template class BasicHistogram<2>;
extern template class BasicHistogram<3>;

}  // namespace loopline
