// Header: a name and a value that travel with a message.
#pragma once

#include <string_view>

namespace loopline {

struct Header {
  std::string_view name;
  std::string_view value;
};

}  // namespace loopline
