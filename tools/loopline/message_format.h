// MessageFormat: how `consume` writes one message: its payload and a newline, or as asked.
#pragma once

#include <loopline/message.h>

#include <string>
#include <vector>

#include "commands.h"
#include "shm/base/result.h"

namespace loopline::cli {

class MessageFormat {
 public:
  // Faults: invalid_argument (an unknown % in the template, two forms at once).
  static Result<MessageFormat> make(const ConsumeArguments& arguments, bool is_json);
  void append(const Message& message, std::string& to) const;

 private:
  enum class Form { lines, fields, json, hex, length_prefixed };
  // A stretch of a template: text as it stands, or a field.
  struct Piece {
    char field = 0;  // 0: text
    std::string text;
  };
  static Result<std::vector<Piece>> parse_template(const std::string& text);
  static void append_field(char field, const Message& message, std::string& to);
  static void append_hex(const Message& message, std::string& to);

  Form form_ = Form::lines;
  std::vector<Piece> pieces_;
};

}  // namespace loopline::cli
