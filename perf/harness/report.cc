// Report: the one table, and the sentences under it.
#include "report.h"

#include "comparison.h"
#include "shm/base/units.h"
#include "targets.h"
#include "text.h"

namespace loopline::perf {
namespace {

using Row = std::vector<std::string>;

bool is_rate(const Series& series) { return series.latency_ns == nullptr; }

std::string spread_text(const Spread& spread, std::string (*format)(double)) {
  return format(spread.median) + " (" + format(spread.min) + " .. " + format(spread.max) + ")";
}

std::string per_second(double rate) { return format_rate(rate, "/s"); }

std::string detail_of(const Series& series) {
  const auto median = [&](double Repetition::*figure) {
    return spread_of(series, [&](const Repetition& one) { return one.*figure; }).median;
  };
  if (is_rate(series)) {
    const double rate = median(&Repetition::rate_per_s);
    return format_duration_rounded(1e9 / rate) + " each, " +
           format_rate(rate * static_cast<double>(series.of->size_bytes), "B/s");
  }
  std::string detail = "p99 " + format_duration_rounded(median(&Repetition::p99_ns)) + " p99.9 " +
                       format_duration_rounded(median(&Repetition::p999_ns)) + " max " +
                       format_duration_rounded(static_cast<double>(series.latency_ns->max()));
  const double share = median(&Repetition::cpu_share);
  if (share >= 0) detail += ", sleeper's CPU " + three_digits(100 * share) + "%";
  return detail;
}

Row row_of(const Series& series, const std::vector<const Series*>& all) {
  const Verdict verdict = judge(series);
  const Spread spread = spread_of(
      series, [&](const Repetition& one) { return is_rate(series) ? one.rate_per_s : one.p50_ns; });
  const double times_link =
      spread_of(series, [](const Repetition& one) { return one.p50_ns / one.link_ns; }).median;
  const bool relative = !is_rate(series) && series.regime != Regime::any;
  return {series.of->bench,
          series.of->size_bytes == 0 ? "" : format_size(series.of->size_bytes),
          name_of(series.regime),
          series.of->subject,
          std::to_string(series.repetitions.size()),
          is_rate(series) ? spread_text(spread, per_second)
                          : spread_text(spread, format_duration_rounded),
          relative ? three_digits(times_link) : "",
          compare_with_loopline(series, all),
          detail_of(series),
          verdict.target,
          verdict.verdict};
}

// The cells that say the same as those above them are left out: bench, size, regime.
void blank_repeats(std::vector<Row>& rows) {
  constexpr size_t grouping_columns = 3;
  Row above;
  for (size_t index = 1; index < rows.size(); ++index) {
    const Row full = rows[index];
    for (size_t column = 0; column < grouping_columns && !above.empty(); ++column) {
      if (full[column] != above[column]) break;
      rows[index][column].clear();
    }
    above = full;
  }
}

// What a newcomer reads first: everybody's medians side by side.
std::string comparisons_text(const std::vector<const Series*>& all) {
  std::string text;
  for (const Regime regime : {Regime::near, Regime::far, Regime::any}) {
    const std::string table = format_comparison(all, regime);
    if (table.empty()) continue;
    const std::string where = regime == Regime::any ? "at any distance" : name_of(regime);
    text += "\nMedians " + where + ", and how many times faster Loopline is (below 1x: slower)\n";
    text += table;
  }
  return text;
}

std::string regimes_text(const std::vector<const Series*>& all, const Tally& tally) {
  std::string text;
  for (const Regime regime : {Regime::near, Regime::far}) {
    Spread whole{0, 1e18, 0};
    for (const Series* series : all) {
      if (series->regime != regime) continue;
      const Spread links = spread_of(*series, [](const Repetition& one) { return one.link_ns; });
      whole = {0, std::min(whole.min, links.min), std::max(whole.max, links.max)};
    }
    text += std::string(name_of(regime)) + ": ";
    const uint64_t probe_count = tally.probe_counts[static_cast<size_t>(regime)];
    if (whole.max > 0) {
      text += "link round trip " + three_digits(whole.min) + " .. " + three_digits(whole.max) +
              "ns in kept runs, ";
    } else if (probe_count > 0) {
      text += "seen, but never through a whole run, ";
    } else {
      text += "never showed up, ";
    }
    text += format_count(probe_count) + " probes; ";
  }
  return text + "neither: " + format_count(tally.probe_counts[static_cast<size_t>(Regime::mixed)]) +
         " probes.\n";
}

}  // namespace

std::string format_report(const Results& results, const Cases& cases, const Tally& tally) {
  std::vector<Row> rows{{"bench", "size", "link", "subject", "runs", "median (min .. max)", "x L",
                         "loopline is", "in detail", "target", "verdict"}};
  const auto all = results.sorted(cases);
  for (const Series* series : all) rows.push_back(row_of(*series, all));
  blank_repeats(rows);
  std::string text = format_table(rows, {1, 4, 6, 7}) + comparisons_text(all);
  text +=
      "\nL is the link's round trip, probed before and after each run. Latencies: p50 of each run,"
      " their median over\nthe runs; p99 and p99.9 likewise, max of all. Receivers read every "
      "byte.\n";
  text += regimes_text(all, tally);
  text += format_count(tally.kept_count) + " runs kept in " +
          format_duration_rounded(static_cast<double>(tally.elapsed_ns)) +
          "; discarded: " + format_count(tally.mixed_count) + " because the link changed, " +
          format_count(tally.disturbed_count) + " because something else was running.\n";
  for (const std::string& reason : tally.impossible) text += "not possible: " + reason + "\n";
  for (const std::string& failure : tally.failures) text += "failed: " + failure + "\n";
  return text;
}

}  // namespace loopline::perf
