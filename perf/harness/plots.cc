// Plots: percentile curves, and rates by size, of all subjects in one picture, drawn by gnuplot.
#include <spawn.h>
#include <sys/wait.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <map>

#include "report.h"
#include "shm/base/units.h"

extern char** environ;

namespace loopline::perf {
namespace {

using Group = std::vector<const Series*>;

bool is_rate(const Series& series) { return series.latency_ns == nullptr; }

// Latencies: one picture a size, a curve a subject. Rates: one picture of all sizes.
std::string group_name(const Series& series) {
  const std::string size = is_rate(series) ? "rate" : std::to_string(series.of->size_bytes);
  return series.of->bench + "-" + size + "-" + name_of(series.regime);
}

Status write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return fault_from_errno(errno, "cannot write " + path.string());
  return ok();
}

// What all pictures begin with: where it was measured stands at the bottom.
std::string preamble_of(const std::string& name, const std::string& title,
                        const Environment& environment) {
  return "# Run with: gnuplot " + name + ".gp\n" +
         "set terminal svg size 900,540 dynamic background 'white' font 'sans,13'\n"
         "set output '" +
         name + ".svg'\nset title '" + title + "' noenhanced\nset label '" + environment.processor +
         ", " + environment.kernel + ", commit " + environment.commit +
         "' at screen 0.01,0.02 font ',9' noenhanced\n" +
         "set bmargin 5\nset key top left noenhanced\nset grid\nset logscale x\nset logscale y\n";
}

std::string latency_script_of(const std::string& name, const Group& group,
                              const Environment& environment) {
  const Series& first = *group.front();
  std::string script =
      preamble_of(
          name,
          first.of->bench + ", " + format_size(first.of->size_bytes) + ", " + name_of(first.regime),
          environment) +
      "set format y '%.0s%cs'\nset xrange [1:1e6]\n"
      "set xtics ('0%%' 1, '50%%' 2, '90%%' 10, '99%%' 100, '99.9%%' 1e3, '99.99%%' 1e4, "
      "'99.999%%' 1e5, '99.9999%%' 1e6)\n"
      "plot ";
  for (size_t index = 0; index < group.size(); ++index) {
    const std::string& subject = group[index]->of->subject;
    script += (index == 0 ? "" : ", \\\n     ") + ("'" + name + "-" + subject) +
              ".hgrm' skip 2 using 4:($1*1e-9) with lines linewidth 2 title '" + subject + "'";
  }
  return script + "\n";
}

// Medians by size; `group` is sorted by size, and each subject becomes a block of data.
std::string rate_script_of(const std::string& name, const Group& group,
                           const Environment& environment) {
  std::vector<std::string> subjects;  // as the cases name them: ours first
  std::map<std::string, std::string> points;
  for (const Series* series : group) {
    const double rate =
        spread_of(*series, [](const Repetition& one) { return one.rate_per_s; }).median;
    std::string& lines = points[series->of->subject];
    if (lines.empty()) subjects.push_back(series->of->subject);
    lines += std::to_string(series->of->size_bytes) + " " + std::to_string(rate) + "\n";
  }
  const Series& first = *group.front();
  std::string script = preamble_of(
      name, first.of->bench + ", messages a second, " + name_of(first.regime), environment);
  std::string curves;
  for (size_t index = 0; index < subjects.size(); ++index) {
    const std::string block = "$subject" + std::to_string(index);
    script += block + " << EOD\n" + points[subjects[index]] + "EOD\n";
    curves += (index == 0 ? "plot " : ", \\\n     ") + block +
              " using 1:2 with linespoints linewidth 2 title '" + subjects[index] + "'";
  }
  return script + "set key bottom left\nset format y '%.0s%c/s'\nset xrange [24:24576]\n" +
         "set xtics ('32 B' 32, '256 B' 256, '1 KiB' 1024, '16 KiB' 16384)\n" + curves + "\n";
}

// The distribution of each subject.
Status write_curves(const std::filesystem::path& folder, const std::string& name,
                    const Group& group) {
  for (const Series* series : group) {
    LL_TRY_STATUS(write_file(folder / (name + "-" + series->of->subject + ".hgrm"),
                             series->latency_ns->hgrm()));
  }
  return ok();
}

Status draw(const std::filesystem::path& folder, const std::string& script_name) {
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  std::string program = "gnuplot";
  std::string script = script_name;
  char* arguments[] = {program.data(), script.data(), nullptr};
  pid_t pid = 0;
  const int error = ::posix_spawnp(&pid, "gnuplot", &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return fault_from_errno(error, "cannot run gnuplot (package gnuplot-nox) on " + script_name);
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  if (status != 0) return Fault(FaultCode::io_error, "gnuplot failed on " + script_name);
  return ok();
}

}  // namespace

Status write_plots(const Results& results, const Cases& cases, const Environment& environment,
                   const std::string& folder) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fault_from_errno(error.value(), "cannot create the folder " + folder);
  std::map<std::string, Group> groups;
  for (const Series* series : results.sorted(cases)) groups[group_name(*series)].push_back(series);
  const std::filesystem::path root(folder);
  for (const auto& [name, group] : groups) {
    const bool has_rates = is_rate(*group.front());
    if (!has_rates) LL_TRY_STATUS(write_curves(root, name, group));
    const std::string script = has_rates ? rate_script_of(name, group, environment)
                                         : latency_script_of(name, group, environment);
    LL_TRY_STATUS(write_file(root / (name + ".gp"), script));
    LL_TRY_STATUS(draw(root, name + ".gp"));
  }
  return ok();
}

}  // namespace loopline::perf
