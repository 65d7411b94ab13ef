// JsonText: what JSON wants escaped, and what is no UTF-8 replaced.
#include "json_text.h"

#include <cstdio>

namespace loopline::broker {
namespace {

// The bytes of the character that begins here; 0: it is none.
size_t character_bytes(std::string_view text) {
  const auto byte = [&](size_t index) { return static_cast<unsigned char>(text[index]); };
  const unsigned char first = byte(0);
  const size_t size = first < 0x80 ? 1 : first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  if (first > 0xf4 || size > text.size()) return 0;
  for (size_t index = 1; index < size; ++index) {
    if ((byte(index) & 0xc0) != 0x80) return 0;
  }
  const bool is_long = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool is_high = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return is_long || is_high ? 0 : size;
}

}  // namespace

std::string quoted(std::string_view text) {
  std::string json = "\"";
  for (size_t at = 0; at < text.size();) {
    const size_t size = character_bytes(text.substr(at));
    const auto byte = static_cast<unsigned char>(text[at]);
    if (size == 0) {
      json += "\xef\xbf\xbd";
    } else if (byte == '"' || byte == '\\') {
      json += {'\\', text[at]};
    } else if (byte < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", byte);
      json += escape;
    } else {
      json += text.substr(at, size);
    }
    at += size == 0 ? 1 : size;
  }
  return json + "\"";
}

}  // namespace loopline::broker
