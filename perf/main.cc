// loopline-bench: measures Loopline and its peers between processes, each figure with its distance.
#include <unistd.h>

#include <cstdio>

#include "perf/broker/beside.h"
#include "perf/broker/idle.h"
#include "perf/broker/tool.h"
#include "perf/crowd.h"
#include "perf/durable/behind.h"
#include "perf/durable/disk_bench.h"
#include "perf/durable/durable.h"
#include "perf/durable/recovery.h"
#include "perf/harness/environment.h"
#include "perf/harness/options.h"
#include "perf/harness/processes.h"
#include "perf/harness/report.h"
#include "perf/harness/text.h"
#include "perf/peers/peers.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"

namespace loopline::perf {
namespace {

int list() {
  for (const Case& one : all_cases()) {
    std::printf("%-18s %7s  %s %s\n", one.bench.c_str(), format_size(one.size_bytes).c_str(),
                one.subject.c_str(), one.version.c_str());
  }
  return 0;
}

Result<std::array<int, 2>> chosen_cpus(const Options& options) {
  if (options.cpus) return *options.cpus;
  return first_two_cpus();
}

// One line for each stretch of time in which the distance stayed the same.
Result<int> watch_link(const Options& options) {
  LL_TRY(clock, TscClock::calibrate());
  LL_TRY(cpus, chosen_cpus(options));
  const uint64_t begin_ns = monotonic_ns();
  double first_ns = 0;
  uint64_t probe_count = 0;
  uint64_t since_ns = begin_ns;
  const auto print = [&](uint64_t now_ns) {
    if (probe_count == 0) return;
    std::printf("%7.2fs  %-5s  %4.0fns  for %s\n", static_cast<double>(since_ns - begin_ns) / 1e9,
                name_of(regime_of(first_ns)), first_ns,
                format_duration_rounded(static_cast<double>(now_ns - since_ns)).c_str());
  };
  for (uint64_t now_ns = begin_ns; now_ns - begin_ns < options.schedule.budget_ns;
       now_ns = monotonic_ns()) {
    LL_TRY(rtt_ns, probe_link(clock, cpus));
    if (probe_count == 0 || regime_of(rtt_ns) != regime_of(first_ns)) {
      print(now_ns);
      first_ns = rtt_ns;
      since_ns = now_ns;
      probe_count = 0;
    }
    ++probe_count;
  }
  print(monotonic_ns());
  return 0;
}

void show_progress(const Tally& tally) {
  std::fprintf(stderr, "\r%s: %s runs kept, %s discarded ",
               format_duration_rounded(static_cast<double>(tally.elapsed_ns)).c_str(),
               format_count(tally.kept_count).c_str(),
               format_count(tally.mixed_count + tally.disturbed_count).c_str());
}

// Who measures has been said.
Result<int> run_cases(Options options, const Cases& cases, const Environment& environment,
                      std::optional<JsonLines>& json) {
  LL_TRY(cpus, chosen_cpus(options));
  options.schedule.cpus = cpus;
  LL_TRY(clock, TscClock::calibrate());
  Runner runner(clock, cases, options.schedule);
  const auto kept = [&](const Case& of, Regime regime, const Repetition& repetition) {
    if (json) json->write(of, regime, repetition);
  };
  const bool is_watched = ::isatty(STDERR_FILENO) != 0;
  const auto tally =
      runner.run(kept, is_watched ? show_progress : std::function<void(const Tally&)>());
  if (is_watched) std::fputs("\r\033[K", stderr);
  if (!tally) return tally.fault();
  std::printf("\n%s", format_report(runner.results(), cases, *tally).c_str());
  if (!options.plot_folder.empty()) {
    LL_TRY_STATUS(write_plots(runner.results(), cases, environment, options.plot_folder));
  }
  return tally->failures.empty() && tally->kept_count > 0 ? 0 : 1;
}

Result<int> measure(const Options& options, const Cases& cases,
                    const std::vector<std::string>& command) {
  std::optional<JsonLines> json;
  if (!options.json_path.empty()) {
    LL_TRY(created, JsonLines::create(options.json_path));
    json.emplace(std::move(created));
  }
  LL_TRY(clock, TscClock::calibrate());
  const Environment environment =
      describe_environment(command, clock, options.schedule.is_realtime);
  std::fputs(to_text(environment).c_str(), stdout);
  if (json) json->write(environment);
  return run_cases(options, cases, environment, json);
}

// The figures of the disk come last: they end with whole folders being removed.
Result<int> measure_broker(const Options& options, const std::vector<std::string>& command) {
  LL_TRY(bench, begin_disk_bench(options, command));
  const std::string folder = bench.folder.path() + "/beside";
  LL_TRY(all, cases_beside_a_broker(folder));
  LL_TRY(cases, select_cases(std::move(all), options));
  LL_TRY(clock, TscClock::calibrate());
  const Environment environment =
      describe_environment(command, clock, options.schedule.is_realtime);
  const auto status = run_cases(options, cases, environment, bench.json);
  forget_rings(folder);
  if (!status) return status.fault();
  LL_TRY_STATUS(measure_idle(bench, options));
  return *status;
}

Result<int> run(const std::vector<std::string>& command) {
  LL_TRY(options, parse_options({command.begin() + 1, command.end()}));
  switch (options.command) {
    case Command::help:
      std::fputs(usage, stdout);
      return 0;
    case Command::list:
      return list();
    case Command::durable:
      return measure_durable(options, command);
    case Command::behind:
      return measure_behind(options, command);
    case Command::recovery:
      return measure_recovery(options, command);
    case Command::broker:
      return measure_broker(options, command);
    case Command::crowd: {
      LL_TRY_STATUS(measure_crowd());
      return 0;
    }
    case Command::link:
      return watch_link(options);
    case Command::ring:
      break;
  }
  LL_TRY(cases, select_cases(all_cases(), options));
  return measure(options, cases, command);
}

}  // namespace
}  // namespace loopline::perf

int main(int argc, char** argv) {
  using namespace loopline;
  const auto status = perf::run({argv, argv + argc});
  if (status) return *status;
  std::fprintf(stderr, "loopline-bench: %s\n", status.fault().message().c_str());
  if (status.fault().code() != FaultCode::invalid_argument) return 1;
  std::fputs("see: loopline-bench --help\n", stderr);
  return 2;
}
