// StationOptions: the public ones as what shm makes rings from.
#pragma once

#include "loopline/station.h"
#include "shm/directory.h"

namespace loopline {

// Faults: invalid_argument (what cannot be said at all; ranges are shm's to check).
Result<shm::RingOptions> ring_options(const shm::StationName& name, const StationOptions& asked);
// Which of them were named.
shm::Directory::Asked asked_of(const StationOptions& options);

}  // namespace loopline
