// Parameters: those of a station as text in a stream, and the new station that they ask for.
#pragma once

#include <loopline/station.h>

#include <optional>
#include <string>

#include "format.h"
#include "io/log/station_conf.h"
#include "shm/inspect.h"

namespace loopline::cli {

// The lines of its station.conf; of a station in memory those that a factory's file would have.
// Faults: those of reading the conf.
Result<std::string> parameters_text(const std::string& data, const shm::RingSnapshot& ring);

// What an imported station is made from.
struct NewStation {
  shm::StationName name;
  bool is_file = false;
  io::StationConf conf;  // its `ring` counts for a station in memory, too
  // The owner is whoever imports it, unless an option says otherwise; then what the stream said.
  std::optional<std::string> owner_left_out;
};
// What `begin` says, and over it the options. Faults: corrupted (the stream's parameters make no
// sense), invalid_argument (they do not go together with the options).
Result<NewStation> new_station_of(const TransferBegin& begin, const shm::StationName& name,
                                  const StationOptions& options);

}  // namespace loopline::cli
