// Crowd: many stations in many processes at once, what attaching costs there, and what the idle do.
#pragma once

#include "shm/base/result.h"

namespace loopline::perf {

// Prints a table; each row names its distribution. Takes about 25 seconds.
Status measure_crowd();

}  // namespace loopline::perf
