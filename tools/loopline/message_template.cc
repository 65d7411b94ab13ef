// Templates: cut into pieces once, filled in for each message.
#include "message_template.h"

namespace loopline::cli {
namespace {

constexpr std::string_view fields_known = "sPtkihbp";

Fault bad_template(const std::string& text, const std::string& why) {
  return {FaultCode::invalid_argument, "--template \"" + text + "\": " + why +
                                           "; known are %s sequence, %P partition, %t time, %k "
                                           "key, %i id, %h headers, %b size, %p payload, "
                                           "%%, and \\n \\t \\0 \\\\"};
}

}  // namespace

Result<std::vector<TemplatePiece>> parse_template(const std::string& text) {
  std::vector<TemplatePiece> pieces(1);
  for (size_t index = 0; index < text.size(); ++index) {
    const char letter = text[index];
    if (letter != '%' && letter != '\\') {
      pieces.back().text += letter;
      continue;
    }
    if (++index == text.size()) return bad_template(text, std::string("it ends with ") + letter);
    const char next = text[index];
    if (next == letter) {
      pieces.back().text += letter;
    } else if (letter == '%' && fields_known.find(next) != std::string_view::npos) {
      pieces.push_back({next, ""});
      pieces.push_back({});
    } else if (letter == '\\' && (next == 'n' || next == 't' || next == '0')) {
      pieces.back().text += next == 'n' ? '\n' : next == 't' ? '\t' : '\0';
    } else {
      return bad_template(text, std::string("\"") + letter + next + "\" is not known");
    }
  }
  return pieces;
}

}  // namespace loopline::cli
