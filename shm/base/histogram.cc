// Histogram: percentiles, moments and the .hgrm text; everything that is not the hot path.
#include "histogram.h"

#include <cmath>
#include <cstdarg>
#include <cstdio>

namespace loopline {
namespace {

// How many lines each halving of the distance to 100 % gets; what HdrHistogram's own tools print.
constexpr double lines_per_halving = 5;

__attribute__((format(printf, 2, 3))) void append(std::string& text, const char* format, ...) {
  char line[160];
  va_list arguments;
  va_start(arguments, format);
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  text.append(line, static_cast<size_t>(std::min<int>(length, sizeof line - 1)));
}

// The percentile of the next line: 5 steps to 50 %, 5 more to 75 %, 5 more to 87.5 % ...
double next_level(double level) {
  const double halvings = std::floor(std::log2(100 / (100 - level))) + 1;
  return level + 100 / (lines_per_halving * std::exp2(halvings));
}

}  // namespace

template <int digits, uint64_t largest>
void BasicHistogram<digits, largest>::merge(const BasicHistogram& other) {
  for (size_t index = 0; index < entry_count; ++index) counts_[index] += other.counts_[index];
  count_ += other.count_;
  clamped_ += other.clamped_;
  max_ = std::max(max_, other.max_);
  min_complement_ = std::max(min_complement_, other.min_complement_);
}

template <int digits, uint64_t largest>
uint64_t BasicHistogram<digits, largest>::percentile(double percent) const {
  // One step down, so that 99.9 % of 1000 values is the 999th although 99.9 is not exact in binary.
  const double exact = std::clamp(std::nextafter(percent, -HUGE_VAL), 0.0, 100.0);
  const double rank = std::ceil(exact / 100 * static_cast<double>(count_));
  const uint64_t wanted = std::max<uint64_t>(1, static_cast<uint64_t>(rank));
  uint64_t seen = 0;
  for (size_t index = 0; index < entry_count; ++index) {
    seen += counts_[index];
    if (seen >= wanted) return percent <= 0 ? min() : highest(index);
  }
  return max_;
}

template <int digits, uint64_t largest>
uint64_t BasicHistogram<digits, largest>::count_up_to(uint64_t value) const {
  const size_t end = index_of(std::min(value, largest)) + 1;
  uint64_t seen = 0;
  for (size_t index = 0; index < end; ++index) seen += counts_[index];
  return seen;
}

template <int digits, uint64_t largest>
double BasicHistogram<digits, largest>::mean() const {
  if (count_ == 0) return 0;
  double sum = 0;
  for (size_t index = 0; index < entry_count; ++index) {
    if (counts_[index] != 0) sum += middle(index) * static_cast<double>(counts_[index]);
  }
  return sum / static_cast<double>(count_);
}

template <int digits, uint64_t largest>
double BasicHistogram<digits, largest>::standard_deviation() const {
  if (count_ == 0) return 0;
  const double center = mean();
  double sum = 0;
  for (size_t index = 0; index < entry_count; ++index) {
    if (counts_[index] == 0) continue;
    const double distance = middle(index) - center;
    sum += distance * distance * static_cast<double>(counts_[index]);
  }
  return std::sqrt(sum / static_cast<double>(count_));
}

template <int digits, uint64_t largest>
std::string BasicHistogram<digits, largest>::hgrm(double divisor) const {
  std::string text;
  append(text, "%12s %14s %10s %14s\n\n", "Value", "Percentile", "TotalCount", "1/(1-Percentile)");
  double level = 0;
  uint64_t seen = 0;
  for (size_t index = 0; index < entry_count && seen < count_; ++index) {
    if (counts_[index] == 0) continue;
    seen += counts_[index];
    const double reached = 100 * static_cast<double>(seen) / static_cast<double>(count_);
    const double value = static_cast<double>(highest(index)) / divisor;
    while (reached >= level && level < 100) {
      append(text, "%12.3f %14.12f %10llu %14.2f\n", value, level / 100,
             static_cast<unsigned long long>(seen), 1 / (1 - level / 100));
      level = next_level(level);
      if (seen == count_) break;  // what is left is the line for 100 %
    }
  }
  const auto total = static_cast<unsigned long long>(count_);
  if (count_ != 0) {
    append(text, "%12.3f %14.12f %10llu\n", static_cast<double>(max_) / divisor, 1.0, total);
  }
  append(text, "#[Mean    = %12.3f, StdDeviation   = %12.3f]\n", mean() / divisor,
         standard_deviation() / divisor);
  append(text, "#[Max     = %12.3f, Total count    = %12llu]\n",
         static_cast<double>(max_) / divisor, total);
  append(text, "#[Buckets = %12d, SubBuckets     = %12llu]\n", bucket_count,
         static_cast<unsigned long long>(exact_range));
  return text;
}

template class BasicHistogram<1>;
template class BasicHistogram<2>;
template class BasicHistogram<3>;

}  // namespace loopline
