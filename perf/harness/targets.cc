// Targets: the table of promises (shm's design), and comparing medians with it.
#include "targets.h"

#include "shm/base/units.h"
#include "text.h"

namespace loopline::perf {
namespace {

enum class Figure { p50, p99, p999, rate, byte_rate };
enum class Bound { link_times, ns_max, per_s_min };
// Promises in multiples of the link hold in both regimes, absolute ones where they say so.
enum class Where { everywhere, near };

struct Target {
  const char* bench;
  uint64_t size_bytes;
  Figure figure;
  Bound bound;
  double limit;
  Where where;
};

constexpr Target targets[] = {
    {"rtt", 32, Figure::p50, Bound::link_times, 1.3, Where::everywhere},
    {"rtt", 32, Figure::p99, Bound::link_times, 2.2, Where::everywhere},
    {"rtt", 32, Figure::p999, Bound::ns_max, 1'000, Where::near},
    {"rtt", 256, Figure::p50, Bound::link_times, 1.9, Where::everywhere},
    {"rtt", 1024, Figure::p50, Bound::link_times, 2.8, Where::everywhere},
    {"rtt", 16384, Figure::p50, Bound::ns_max, 2'200, Where::near},
    {"one-way", 32, Figure::rate, Bound::per_s_min, 55e6, Where::near},
    {"one-way", 256, Figure::rate, Bound::per_s_min, 30e6, Where::near},
    {"one-way", 1024, Figure::rate, Bound::per_s_min, 20e6, Where::near},
    {"one-way", 16384, Figure::byte_rate, Bound::per_s_min, 25e9, Where::near},
    {"one-way-exclusive", 32, Figure::rate, Bound::per_s_min, 70e6, Where::near},
    {"one-way-exclusive", 256, Figure::rate, Bound::per_s_min, 35e6, Where::near},
    {"one-way-exclusive", 1024, Figure::rate, Bound::per_s_min, 22e6, Where::near},
    {"two-producers", 32, Figure::rate, Bound::per_s_min, 45e6, Where::near},
    {"two-producers", 256, Figure::rate, Bound::per_s_min, 18e6, Where::near},
    {"wake", 32, Figure::p50, Bound::ns_max, 60'000, Where::everywhere},
    {"wake-adaptive", 32, Figure::p50, Bound::ns_max, 60'000, Where::everywhere},
    {"kill", 0, Figure::p99, Bound::ns_max, 1'000'000, Where::everywhere},
    {"kill-busy", 0, Figure::p99, Bound::ns_max, 10'000'000, Where::everywhere},
    {"attach", 0, Figure::p50, Bound::ns_max, 1'000'000, Where::everywhere},
    {"create", 0, Figure::p50, Bound::ns_max, 10'000'000, Where::everywhere},
};

const char* name_of(Figure figure) {
  constexpr const char* names[] = {"p50", "p99", "p99.9", "", ""};
  return names[static_cast<size_t>(figure)];
}

double value_of(const Repetition& repetition, const Target& target, double size_bytes) {
  switch (target.figure) {
    case Figure::p50:
      return repetition.p50_ns;
    case Figure::p99:
      return repetition.p99_ns;
    case Figure::p999:
      return repetition.p999_ns;
    case Figure::rate:
      return repetition.rate_per_s;
    case Figure::byte_rate:
      return repetition.rate_per_s * size_bytes;
  }
  return 0;
}

bool holds(const Series& series, const Target& target) {
  const auto size_bytes = static_cast<double>(series.of->size_bytes);
  const double median =
      spread_of(series, [&](const Repetition& repetition) {
        const double value = value_of(repetition, target, size_bytes);
        return target.bound == Bound::link_times ? value / repetition.link_ns : value;
      }).median;
  return target.bound == Bound::per_s_min ? median >= target.limit : median <= target.limit;
}

std::string text_of(const Target& target) {
  std::string text = name_of(target.figure);
  if (!text.empty()) text += " ";
  switch (target.bound) {
    case Bound::link_times:
      return text + "<= " + three_digits(target.limit) + " L";
    case Bound::ns_max:
      return text + "<= " + format_duration_rounded(target.limit);
    case Bound::per_s_min:
      return text + ">= " + format_rate(target.limit, target.figure == Figure::rate ? "/s" : "B/s");
  }
  return text;
}

bool applies(const Target& target, const Series& series) {
  if (series.of->bench != target.bench || series.of->size_bytes != target.size_bytes) return false;
  return target.where == Where::everywhere || series.regime == Regime::near;
}

}  // namespace

Verdict judge(const Series& series) {
  Verdict verdict;
  if (series.of->subject != "loopline") return verdict;
  std::string missed;
  for (const Target& target : targets) {
    if (!applies(target, series)) continue;
    verdict.target += (verdict.target.empty() ? "" : ", ") + text_of(target);
    if (!holds(series, target)) missed += std::string(" ") + name_of(target.figure);
    verdict.verdict = missed.empty() ? "pass" : "miss" + missed;
  }
  return verdict;
}

}  // namespace loopline::perf
