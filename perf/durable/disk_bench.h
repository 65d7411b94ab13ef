// DiskBench: what all measurements on a disk begin with: a folder of their own, and who measures.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "perf/harness/options.h"
#include "perf/harness/report.h"
#include "temp_disk_folder.h"

namespace loopline::perf {

struct DiskBench {
  TempDiskFolder folder;
  std::optional<JsonLines> json;
};

// Prints the environment and the disk. Call it before there are threads. Faults: invalid_argument
// (a folder in memory, unless nobody will take the figures for those of a disk).
Result<DiskBench> begin_disk_bench(const Options& options, const std::vector<std::string>& command);

}  // namespace loopline::perf
