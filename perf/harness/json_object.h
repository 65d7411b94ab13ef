// JsonObject: one JSON object of few known fields, written without a library.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <string>

namespace loopline::perf {

class JsonObject {
 public:
  JsonObject& text(const char* name, const std::string& value) { return add(name, quoted(value)); }
  JsonObject& count(const char* name, uint64_t value) { return add(name, std::to_string(value)); }
  JsonObject& rounded(const char* name, double value) {
    return count(name, static_cast<uint64_t>(std::llround(value)));
  }
  JsonObject& number(const char* name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    return add(name, digits);
  }
  std::string line() const { return "{" + fields_ + "}\n"; }

 private:
  static std::string quoted(const std::string& text) {
    std::string out = "\"";
    for (const char letter : text) {
      if (letter == '"' || letter == '\\') out += '\\';
      // Control characters do not occur in names of processors and compilers; a blank will do.
      out += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
    }
    return out + "\"";
  }
  JsonObject& add(const char* name, const std::string& value) {
    fields_ += (fields_.empty() ? "" : ", ") + quoted(name) + ": " + value;
    return *this;
  }
  std::string fields_;
};

}  // namespace loopline::perf
