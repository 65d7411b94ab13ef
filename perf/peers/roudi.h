// RouDi: iceoryx's daemon, which hands out its shared memory, as a child of the bench.
#pragma once

#include <sys/types.h>

#include <string>

#include "shm/base/result.h"

namespace loopline::perf {

// Starts RouDi unless we have; it ends with this process, however that ends, and leaves nothing.
// A host has one RouDi at most: another one that runs already is a fault, and left alone.
Status start_roudi();

// What a process of this bench calls itself; RouDi removes what such a one left behind in /tmp.
std::string roudi_client_name(pid_t process);

}  // namespace loopline::perf
