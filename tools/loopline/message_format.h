// MessageFormat: how `consume` writes one message: its payload and a newline, or as asked.
#pragma once

#include <loopline/message.h>

#include <string>
#include <vector>

#include "commands.h"
#include "message_template.h"
#include "output.h"
#include "shm/base/result.h"

namespace loopline::cli {

class MessageFormat {
 public:
  // Faults: invalid_argument (an unknown % in the template, two forms at once).
  static Result<MessageFormat> make(const ConsumeArguments& arguments, bool is_json);
  // Long payloads go from the ring to stdout without a copy in between.
  void write(const Message& message, Output& out) const;

 private:
  enum class Form { lines, fields, json, hex, length_prefixed };
  static void append_field(char field, const Message& message, std::string& to);
  static void append_hex(const Message& message, std::string& to);

  Form form_ = Form::lines;
  std::vector<TemplatePiece> pieces_;
};

}  // namespace loopline::cli
