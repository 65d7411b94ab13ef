// Name: what factories and stations may be called, and how people write a station.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace loopline::shm {

constexpr size_t name_length_max = 63;

// [a-z0-9][a-z0-9._-]{0,62}
bool is_name(std::string_view text);

struct StationName {
  std::string factory = "main";
  std::string station;
  std::string text() const { return factory + "/" + station; }
};
// `orders` or `billing/orders`; each part matches [a-z0-9][a-z0-9._-]{0,62}, anything else is
// refused with the character that is wrong.
Result<StationName> parse_station_name(std::string_view text);

}  // namespace loopline::shm
