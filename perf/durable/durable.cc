// Durable: which rows, and where the figures go.
#include "durable.h"

#include <algorithm>
#include <cstdio>

#include "disk_bench.h"
#include "rounds.h"
#include "table.h"

namespace loopline::perf {
namespace {

constexpr uint64_t quick_big_file_bytes = 64 << 20;
constexpr uint64_t quick_warm_up_ns = 50'000'000;

bool is_asked_for(const std::vector<std::string>& names, const std::string& name) {
  return names.empty() || std::find(names.begin(), names.end(), name) != names.end();
}

Result<Rows> select_rows(Rows rows, const Options& options) {
  std::string known;
  for (const Row& row : rows) {
    if (known.find("\"" + row.subject + "\"") == std::string::npos) {
      known += " \"" + row.subject + "\"";
    }
  }
  std::erase_if(rows, [&](const Row& row) {
    return !is_asked_for(options.benches, row.bench) ||
           !is_asked_for(options.subjects, row.subject);
  });
  if (!rows.empty()) return rows;
  return Fault(FaultCode::invalid_argument,
               "nothing is left of the benches publish, write, read and the subjects" + known);
}

RoundPlan plan_of(const Options& options, const std::string& folder) {
  RoundPlan plan;
  plan.folder = folder;
  plan.measure_ns = options.schedule.measure_ns;
  plan.round_count = options.schedule.repetitions;
  plan.budget_ns = options.schedule.budget_ns;
  if (options.is_quick) {
    plan.big_file_bytes = quick_big_file_bytes;
    plan.warm_up_ns = quick_warm_up_ns;
  }
  return plan;
}

}  // namespace

Result<int> measure_durable(const Options& options, const std::vector<std::string>& command) {
  LL_TRY(rows, select_rows(durable_rows(), options));
  LL_TRY(bench, begin_disk_bench(options, command));
  const auto kept = [&](const Row& row, const Round& round) {
    if (bench.json) bench.json->put(json_of(row, round));
  };
  LL_TRY(all, run_rounds(rows, plan_of(options, bench.folder.path()), kept));
  std::printf("\n%s", format_durable_report(all).c_str());
  const bool has_failed = std::any_of(all.begin(), all.end(), [](const RowRounds& one) {
    return one.is_possible && !one.failure.empty();
  });
  return has_failed ? 1 : 0;
}

}  // namespace loopline::perf
