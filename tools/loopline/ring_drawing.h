// Ring drawing: the window of a ring as one bar of 80 columns, its marks named below.
//
//   [-----------=====================================??=.............................]
//    |          |                                    |  |                            |
//    oldest     consumer 0                           visible                     limit
//                                                       frontier
#pragma once

#include <string>
#include <vector>

#include "output.h"
#include "shm/inspect.h"

namespace loopline::cli {

// The lines of the drawing, the legend last.
std::vector<std::string> draw_ring(const shm::RingSnapshot& snapshot, const Output& out);

}  // namespace loopline::cli
