// Rounds: folders made and removed, rows run, figures collected.
#include "rounds.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "disk.h"
#include "shm/base/clock.h"
#include "shm/file.h"

namespace loopline::perf {
namespace {

// What runs before us left to be written, or freed.
Status settle(const std::string& folder) {
  const shm::File file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.fd() >= 0 && ::syncfs(file.fd()) == 0) return ok();
  return fault_from_errno(errno, "cannot sync the file system of " + folder);
}

Result<Figures> run_in_own_folder(const Row& row, Site site) {
  std::error_code error;
  std::filesystem::create_directory(site.folder, error);
  if (error) return fault_from_errno(error.value(), "cannot make the folder " + site.folder);
  LL_TRY_STATUS(settle(site.folder));
  auto figures = row.run(site);
  std::filesystem::remove_all(site.folder, error);
  return figures;
}

void take(RowRounds& rounds, Result<Figures> figures,
          const std::function<void(const Row&, const Round&)>& kept) {
  if (!figures) {
    rounds.failure = figures.fault().message();
    rounds.is_possible = figures.fault().code() != FaultCode::unsupported;
    return;
  }
  rounds.rounds.push_back(round_of(*figures));
  rounds.version = figures->version;
  rounds.settings = figures->settings;
  kept(*rounds.row, rounds.rounds.back());
}

}  // namespace

Round round_of(const Figures& figures) {
  Round round;
  round.rate_per_s = figures.rate_per_s;
  round.bytes_per_s = figures.bytes_per_s;
  round.cores = figures.cores;
  round.written_per_byte = figures.written_per_byte;
  round.message_count = figures.message_count;
  if (figures.latency_ns == nullptr) return round;
  const Histogram& latency = *figures.latency_ns;
  round.p50_ns = static_cast<double>(latency.percentile(50));
  round.p99_ns = static_cast<double>(latency.percentile(99));
  round.p999_ns = static_cast<double>(latency.percentile(99.9));
  round.max_ns = static_cast<double>(latency.max());
  return round;
}

MinMedianMax middle_of(std::vector<double> values) {
  if (values.empty()) return {};
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  const double median =
      values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
  return {values.front(), median, values.back()};
}

MinMedianMax middle_of(const RowRounds& rounds, double Round::*figure) {
  std::vector<double> values;
  for (const Round& round : rounds.rounds) values.push_back(round.*figure);
  return middle_of(std::move(values));
}

Result<AllRounds> run_rounds(const Rows& rows, const RoundPlan& plan,
                             const std::function<void(const Row&, const Round&)>& kept) {
  const std::string big_file = plan.folder + "/big-file";
  LL_TRY_STATUS(write_big_file(big_file, plan.big_file_bytes));
  const Site site{plan.folder + "/run", big_file, plan.big_file_bytes, plan.warm_up_ns,
                  plan.measure_ns};
  AllRounds all;
  for (const Row& row : rows) all.push_back({&row, {}, "", "", "", true});
  const uint64_t begin_ns = monotonic_ns();
  for (uint32_t number = 0; number < plan.round_count; ++number) {
    const uint64_t elapsed_ns = monotonic_ns() - begin_ns;
    if (number > 0 && elapsed_ns + elapsed_ns / number > plan.budget_ns) break;
    for (RowRounds& one : all) {
      if (!one.failure.empty()) continue;
      take(one, run_in_own_folder(*one.row, site), kept);
    }
  }
  return all;
}

}  // namespace loopline::perf
