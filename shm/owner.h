// Owner: whom a file belongs to, as people write it (`billing:billing`, `1000`) and as the kernel
// does.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "file.h"

namespace loopline::shm {

// user, user:group or :group, each a name or a number.
bool is_owner_text(std::string_view text);

// Asks the machine who they are. Faults: invalid_argument when there is no such user or group.
Result<FileOwner> find_owner(const std::string& text);

}  // namespace loopline::shm
