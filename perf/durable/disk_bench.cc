// DiskBench: by default beside the program, in the build folder.
#include "disk_bench.h"

#include <cstdio>
#include <filesystem>

#include "disk.h"
#include "perf/harness/environment.h"

namespace loopline::perf {
namespace {

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

}  // namespace

Result<DiskBench> begin_disk_bench(const Options& options,
                                   const std::vector<std::string>& command) {
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
  return DiskBench{std::move(folder), std::move(json)};
}

}  // namespace loopline::perf
