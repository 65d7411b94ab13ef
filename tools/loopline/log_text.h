// Log text: who brings a ring to disk, and what stands in the way, in words.
#pragma once

#include <string>

#include "output.h"
#include "shm/inspect.h"

namespace loopline::cli {

// Of a ring with a log: "flushed by process 4711 (loopline)", or why nobody does and what to do.
std::string flush_text(const shm::RingSnapshot& snapshot);
// How well that is.
Color flush_color(const shm::RingSnapshot& snapshot);

}  // namespace loopline::cli
