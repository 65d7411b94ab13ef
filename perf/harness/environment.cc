// Environment: asks the processor, the kernel, the compiler and git.
#include "environment.h"

#include <sys/utsname.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "text.h"

namespace loopline::perf {
namespace {

std::string processor_name() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("model name")) continue;
    const size_t colon = line.find(": ");
    if (colon != std::string::npos) return line.substr(colon + 2);
  }
  return "unknown";
}

std::string compiler_name() {
#if defined(__clang__)
  std::string name = "clang " __clang_version__;
#else
  std::string name = "gcc " __VERSION__;
#endif
#ifndef __OPTIMIZE__
  name += ", NOT OPTIMISED";
#endif
#ifdef LL_CHECKED
  name += ", with LL_DCHECK";
#endif
  return name;
}

std::string commit_name() {
  std::error_code error;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return "unknown";
  // Through the environment, so that no name needs quoting.
  ::setenv("LL_PROGRAM_DIR", program.parent_path().c_str(), 1);
  std::FILE* pipe =
      ::popen("git -C \"$LL_PROGRAM_DIR\" describe --always --dirty 2>/dev/null", "r");
  ::unsetenv("LL_PROGRAM_DIR");
  if (pipe == nullptr) return "unknown";
  char buffer[128] = {};
  const size_t length = std::fread(buffer, 1, sizeof buffer - 1, pipe);
  ::pclose(pipe);
  std::string name(buffer, length);
  while (!name.empty() && name.back() == '\n') name.pop_back();
  return name.empty() ? "unknown" : name;
}

// Results are published: what a folder is called on this machine is nobody's business.
std::string without_folders(const std::string& argument) {
  return argument.substr(argument.rfind('/') + 1);
}

}  // namespace

Environment describe_environment(const std::vector<std::string>& arguments, const TscClock& clock,
                                 bool is_realtime) {
  Environment environment;
  environment.processor = processor_name();
  environment.processor_count = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
  utsname system{};
  ::uname(&system);
  environment.kernel = std::string(system.sysname) + " " + system.release + " " + system.machine;
  environment.compiler = compiler_name();
  environment.commit = commit_name();
  for (const std::string& argument : arguments) {
    environment.command += (environment.command.empty() ? "" : " ") + without_folders(argument);
  }
  environment.priority = is_realtime ? "real time (SCHED_RR) where both sides spin" : "normal";
  environment.clock_overhead_ns = clock.overhead_ns();
  environment.clock_step_ns = clock.step_ns();
  return environment;
}

std::string to_text(const Environment& environment) {
  return "processor  " + environment.processor + ", " +
         std::to_string(environment.processor_count) + " online\n" + "kernel     " +
         environment.kernel + "\n" + "compiler   " + environment.compiler + "\n" + "commit     " +
         environment.commit + "\n" + "command    " + environment.command + "\n" +
         "clock      rdtscp; each latency, the link's too, holds one reading of " +
         three_digits(environment.clock_overhead_ns) + "ns, in steps of " +
         three_digits(environment.clock_step_ns) + "ns\n" + "priority   " + environment.priority +
         "\n";
}

}  // namespace loopline::perf
