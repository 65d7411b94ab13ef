// Results: keeping, counting and ordering runs.
#include "results.h"

#include <algorithm>
#include <tuple>

namespace loopline::perf {

Spread spread_of(const Series& series, const std::function<double(const Repetition&)>& figure) {
  std::vector<double> values;
  for (const Repetition& repetition : series.repetitions) values.push_back(figure(repetition));
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  const double median =
      values.size() % 2 != 0 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
  return {median, values.front(), values.back()};
}

const Repetition& Results::add(const Case& of, Regime regime, double link_ns,
                               Measurement measurement) {
  auto* series = const_cast<Series*>(find(of, regime));
  if (series == nullptr) {
    series_.push_back(std::make_unique<Series>(Series{&of, regime, {}, nullptr}));
    series = series_.back().get();
  }
  Repetition repetition;
  repetition.link_ns = link_ns;
  repetition.message_count = measurement.message_count;
  repetition.rate_per_s = measurement.rate_per_s;
  repetition.cpu_share = measurement.cpu_share;
  if (const Histogram* latency = measurement.latency_ns.get(); latency != nullptr) {
    repetition.p50_ns = clock_.percentile_ns(*latency, 50);
    repetition.p99_ns = clock_.percentile_ns(*latency, 99);
    repetition.p999_ns = static_cast<double>(latency->percentile(99.9));
    repetition.max_ns = static_cast<double>(latency->max());
    if (series->latency_ns == nullptr) {
      series->latency_ns = std::move(measurement.latency_ns);
    } else {
      series->latency_ns->merge(*latency);
    }
  }
  return series->repetitions.emplace_back(repetition);
}

size_t Results::count(const Case& of, Regime regime) const {
  const Series* series = find(of, regime);
  return series == nullptr ? 0 : series->repetitions.size();
}

std::vector<const Series*> Results::sorted(const Cases& cases) const {
  const auto bench_rank = [&](const Series* series) {
    const auto same = [&](const Case& other) { return other.bench == series->of->bench; };
    return std::find_if(cases.begin(), cases.end(), same) - cases.begin();
  };
  std::vector<const Series*> all;
  for (const auto& series : series_) all.push_back(series.get());
  std::sort(all.begin(), all.end(), [&](const Series* left, const Series* right) {
    const auto key = [&](const Series* series) {
      return std::tuple(bench_rank(series), series->of->size_bytes, series->regime, series->of);
    };
    return key(left) < key(right);
  });
  return all;
}

const Series* Results::find(const Case& of, Regime regime) const {
  for (const auto& series : series_) {
    if (series->of == &of && series->regime == regime) return series.get();
  }
  return nullptr;
}

}  // namespace loopline::perf
