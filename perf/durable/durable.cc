// Durable: which folder, which rows, and where the figures go.
#include "durable.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>

#include "disk.h"
#include "perf/harness/environment.h"
#include "perf/harness/report.h"
#include "rounds.h"
#include "table.h"
#include "temp_disk_folder.h"

namespace loopline::perf {
namespace {

constexpr uint64_t quick_big_file_bytes = 64 << 20;
constexpr uint64_t quick_warm_up_ns = 50'000'000;

// Beside the folder of the program: the build folder.
Result<std::string> default_folder() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return fault_from_errno(error.value(), "cannot find the build folder; see --folder");
  return program.parent_path().parent_path().string();
}

// A fault unless it is on a disk, or nobody will take the figures for those of one.
Status check_folder(const std::string& folder, bool is_quick) {
  LL_TRY(in_memory, is_in_memory(folder));
  if (!in_memory) return ok();
  if (!is_quick) {
    return Fault(FaultCode::invalid_argument,
                 "the folder " + folder +
                     " is in memory, so nothing there is durable; name one on "
                     "a disk with --folder, or add --quick to see that everything works");
  }
  std::puts("warning    the folder is in memory: these figures say nothing about a disk\n");
  return ok();
}

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
  std::string parent = options.folder;
  if (parent.empty()) {
    LL_TRY(found, default_folder());
    parent = found;
  }
  LL_TRY_STATUS(check_folder(parent, options.is_quick));
  LL_TRY(folder, TempDiskFolder::make(parent));
  std::optional<JsonLines> json;
  if (!options.json_path.empty()) {
    LL_TRY(created, JsonLines::create(options.json_path));
    json.emplace(std::move(created));
  }
  LL_TRY(clock, TscClock::calibrate());
  const Environment environment = describe_environment(command, clock, false);
  std::printf("%sdisk       %s\n", to_text(environment).c_str(), disk_name(folder.path()).c_str());
  std::fflush(stdout);
  if (json) json->write(environment);
  const auto kept = [&](const Row& row, const Round& round) {
    if (json) json->put(json_of(row, round));
  };
  LL_TRY(all, run_rounds(rows, plan_of(options, folder.path()), kept));
  std::printf("\n%s", format_durable_report(all).c_str());
  const bool has_failed = std::any_of(all.begin(), all.end(), [](const RowRounds& one) {
    return one.is_possible && !one.failure.empty();
  });
  return has_failed ? 1 : 0;
}

}  // namespace loopline::perf
