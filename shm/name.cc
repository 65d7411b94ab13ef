// Name: refuses a bad name with the character that is wrong and what would be right.
#include "name.h"

namespace loopline::shm {
namespace {

constexpr const char* rule =
    "a name is 1 to 63 of a-z 0-9 . _ - and begins with a letter or a digit";

bool is_letter_or_digit(char letter) {
  return (letter >= 'a' && letter <= 'z') || (letter >= '0' && letter <= '9');
}
bool is_mark(char letter) { return letter == '.' || letter == '_' || letter == '-'; }

// The place of the first character that may not stand there, or npos.
size_t wrong_place(std::string_view text) {
  for (size_t index = 0; index < text.size(); ++index) {
    if (is_letter_or_digit(text[index])) continue;
    if (index > 0 && is_mark(text[index])) continue;
    return index;
  }
  return std::string_view::npos;
}

std::string shown(char letter) {
  if (letter >= ' ' && letter <= '~') return std::string("'") + letter + "'";
  constexpr const char* digits = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(letter);
  return std::string("byte 0x") + digits[byte >> 4] + digits[byte & 15];
}

Fault refuse(std::string_view whole, const std::string& why) {
  std::string text;
  for (const char letter : whole.substr(0, 2 * name_length_max + 2)) {
    text += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return {FaultCode::invalid_argument, "\"" + text + "\" is no station: " + why + "; " + rule};
}

Status check_part(std::string_view whole, std::string_view part, const char* which) {
  if (part.empty()) return refuse(whole, std::string("its ") + which + " is empty");
  const size_t place = wrong_place(part);
  if (place != std::string_view::npos) {
    return refuse(whole, shown(part[place]) + " may not stand at place " +
                             std::to_string(place + 1) + " of its " + which);
  }
  if (part.size() > name_length_max) {
    return refuse(
        whole, std::string("its ") + which + " has " + std::to_string(part.size()) + " characters");
  }
  return ok();
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() && text.size() <= name_length_max &&
         wrong_place(text) == std::string_view::npos;
}

Result<StationName> parse_station_name(std::string_view text) {
  StationName name;
  const size_t slash = text.find('/');
  if (slash != std::string_view::npos) {
    LL_TRY_STATUS(check_part(text, text.substr(0, slash), "factory"));
    name.factory = text.substr(0, slash);
    name.station = text.substr(slash + 1);
  } else {
    name.station = text;
  }
  LL_TRY_STATUS(check_part(text, name.station, "name"));
  return name;
}

}  // namespace loopline::shm
