// Templates: what `consume --template` takes, '%s %p\n', as stretches of text and fields.
#pragma once

#include <string>
#include <vector>

#include "shm/base/result.h"

namespace loopline::cli {

// Text as it stands, or a field.
struct TemplatePiece {
  char field = 0;  // 's', 'P', 't', 'k', 'i', 'h', 'b' or 'p'; 0: text
  std::string text;
};

// Faults: invalid_argument (an unknown % or backslash).
Result<std::vector<TemplatePiece>> parse_template(const std::string& text);

}  // namespace loopline::cli
