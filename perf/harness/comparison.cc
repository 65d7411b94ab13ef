// Comparison: medians of the same bench, size and regime, larger over smaller.
#include "comparison.h"

#include <algorithm>

#include "shm/base/units.h"
#include "text.h"

namespace loopline::perf {
namespace {

constexpr const char* ours = "loopline";

bool is_same_row(const Series& left, const Series& right) {
  return left.of->bench == right.of->bench && left.of->size_bytes == right.of->size_bytes &&
         left.regime == right.regime;
}

double median_of(const Series& series, double Repetition::*figure) {
  return spread_of(series, [&](const Repetition& one) { return one.*figure; }).median;
}

// Messages a second; where one round trip is timed, one over its median.
double speed_of(const Series& series) {
  const double rate = median_of(series, &Repetition::rate_per_s);
  if (rate > 0) return rate;
  const double p50_ns = median_of(series, &Repetition::p50_ns);
  return p50_ns > 0 ? 1e9 / p50_ns : 0;
}

std::string median_text(const Series& series) {
  const double rate = median_of(series, &Repetition::rate_per_s);
  return rate > 0 ? format_rate(rate, "/s")
                  : format_duration_rounded(median_of(series, &Repetition::p50_ns));
}

// Loopline's series in the row of `peer`; null where it was not measured.
const Series* ours_beside(const Series& peer, const std::vector<const Series*>& all) {
  const auto found = std::find_if(all.begin(), all.end(), [&](const Series* series) {
    return series->of->subject == ours && is_same_row(*series, peer);
  });
  return found == all.end() ? nullptr : *found;
}

// How many times faster Loopline is; 0 where one of the two is not known.
double times_faster(const Series& peer, const std::vector<const Series*>& all) {
  const Series* loopline = ours_beside(peer, all);
  if (loopline == nullptr || speed_of(peer) <= 0) return 0;
  return speed_of(*loopline) / speed_of(peer);
}

std::vector<std::string> subjects_of(const std::vector<const Series*>& all) {
  std::vector<std::string> names{ours};
  for (const Series* series : all) {
    const std::string& name = series->of->subject;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
  }
  return names;
}

std::vector<std::string> cells_of(const Series& loopline, const std::vector<const Series*>& all,
                                  const std::vector<std::string>& subjects) {
  std::vector<std::string> cells{loopline.of->bench, format_size(loopline.of->size_bytes)};
  for (const std::string& subject : subjects) {
    std::string& cell = cells.emplace_back();
    for (const Series* series : all) {
      if (series->of->subject != subject || !is_same_row(*series, loopline)) continue;
      cell = median_text(*series);
      if (series != &loopline) cell += " " + three_digits(times_faster(*series, all)) + "x";
    }
  }
  return cells;
}

}  // namespace

std::string format_ratio(double ratio) {
  if (ratio <= 0) return "";
  const std::string faster = three_digits(ratio);
  const std::string slower = three_digits(1 / ratio);
  if (faster == "1" || slower == "1") return "as fast";
  return ratio > 1 ? faster + "x faster" : slower + "x slower";
}

std::string compare_with_loopline(const Series& peer, const std::vector<const Series*>& all) {
  return peer.of->subject == ours ? "" : format_ratio(times_faster(peer, all));
}

std::string format_comparison(const std::vector<const Series*>& all, Regime regime) {
  const std::vector<std::string> subjects = subjects_of(all);
  std::vector<std::vector<std::string>> rows{{"bench", "size"}};
  rows[0].insert(rows[0].end(), subjects.begin(), subjects.end());
  for (const Series* series : all) {
    const auto is_met = [&](const Series* other) {
      return other != series && is_same_row(*other, *series);
    };
    if (series->of->subject != ours || series->regime != regime) continue;
    if (std::none_of(all.begin(), all.end(), is_met)) continue;
    rows.push_back(cells_of(*series, all, subjects));
  }
  return rows.size() == 1 ? "" : format_table(rows, {1});
}

}  // namespace loopline::perf
