// FlushSources: what a flusher is asked to keep, read from the stations' parameters on disk.
#pragma once

#include <string>
#include <vector>

#include "flush_log.h"

namespace loopline::io {

// One for each partition of a station, whose rings are made if they are gone. Faults: not_found (no
// such station), unsupported (it is in memory), and those of reading the disk.
Result<std::vector<FlushSource>> sources_of(const shm::Directory& directory,
                                            const std::string& data, const shm::StationName& name);

// The same from a conf that was read, without a look at the rings.
std::vector<FlushSource> sources_of(const shm::Directory& directory, const std::string& data,
                                    const shm::StationName& name, const StationConf& conf);

}  // namespace loopline::io
