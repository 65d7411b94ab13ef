// JsonText: the few lines of JSON that a broker writes.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace loopline::broker {

// In quotes; bytes that are not UTF-8 become U+FFFD.
std::string quoted(std::string_view text);

// {"a":1,"b":"two"}
class JsonObject {
 public:
  JsonObject& add(const char* name, std::string_view text) { return raw(name, quoted(text)); }
  JsonObject& add(const char* name, const char* text) { return raw(name, quoted(text)); }
  JsonObject& add(const char* name, uint64_t number) { return raw(name, std::to_string(number)); }
  JsonObject& raw(const char* name, std::string_view json) {
    text_ += (text_.empty() ? "" : ",") + quoted(name) + ":";
    text_ += json;
    return *this;
  }
  std::string text() const { return "{" + text_ + "}"; }

 private:
  std::string text_;
};

}  // namespace loopline::broker
