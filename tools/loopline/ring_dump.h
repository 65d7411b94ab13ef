// Ring dump: words for a frame, shared by its text and its JSON.
#pragma once

#include <string>

#include "shm/frames.h"

namespace loopline::cli {

// "message", "aborted", "dead", "seal", "open", "unknown".
const char* type_text(const shm::FrameFacts& frame);

}  // namespace loopline::cli
