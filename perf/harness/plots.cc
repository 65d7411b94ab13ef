// Plots: percentile curves of all subjects in one picture, drawn by gnuplot.
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

std::string group_name(const Series& series) {
  return series.of->bench + "-" + std::to_string(series.of->size_bytes) + "-" +
         name_of(series.regime);
}

Status write_file(const std::filesystem::path& path, const std::string& text) {
  std::ofstream file(path);
  file << text;
  file.close();
  if (!file) return fault_from_errno(errno, "cannot write " + path.string());
  return ok();
}

std::string script_of(const std::string& name, const Group& group, const Environment& environment) {
  const Series& first = *group.front();
  std::string script =
      "# Percentile curves; run with: gnuplot " + name + ".gp\n" +
      "set terminal svg size 900,540 dynamic background 'white' font 'sans,13'\n"
      "set output '" +
      name + ".svg'\n" + "set title '" + first.of->bench + ", " +
      format_size(first.of->size_bytes) + ", " + name_of(first.regime) + "' noenhanced\n" +
      "set label '" + environment.processor + ", " + environment.kernel + ", commit " +
      environment.commit + "' at screen 0.01,0.02 font ',9' noenhanced\n" +
      "set bmargin 5\nset key top left noenhanced\nset grid\n"
      "set logscale x\nset logscale y\nset format y '%.0s%cs'\nset xrange [1:1e6]\n"
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
  for (const Series* series : results.sorted(cases)) {
    if (series->latency_ns != nullptr) groups[group_name(*series)].push_back(series);
  }
  const std::filesystem::path root(folder);
  for (const auto& [name, group] : groups) {
    for (const Series* series : group) {
      LL_TRY_STATUS(write_file(root / (name + "-" + series->of->subject + ".hgrm"),
                               series->latency_ns->hgrm()));
    }
    LL_TRY_STATUS(write_file(root / (name + ".gp"), script_of(name, group, environment)));
    LL_TRY_STATUS(draw(root, name + ".gp"));
  }
  return ok();
}

}  // namespace loopline::perf
