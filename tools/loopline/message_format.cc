// MessageFormat: each form of a message, written to stdout.
#include "message_format.h"

#include <fmt/format.h>

#include <iterator>

#include "json.h"
#include "options.h"
#include "output.h"

namespace loopline::cli {
namespace {

constexpr size_t hex_row = 16;

std::string headers_text(const Message& message) {
  std::string text;
  for (uint32_t index = 0; index < message.header_count(); ++index) {
    const Header header = message.header(index);
    if (index != 0) text += ',';
    text.append(header.name).append("=").append(header.value);
  }
  return text;
}

}  // namespace

Result<MessageFormat> MessageFormat::make(const ConsumeArguments& arguments, bool is_json) {
  MessageFormat format;
  const bool is_prefixed = arguments.records == "length-prefixed";
  if (!arguments.records.empty() && !is_prefixed && arguments.records != "lines") {
    return unknown_word("--records", arguments.records, "lines or length-prefixed");
  }
  const int forms = (arguments.hex ? 1 : 0) + (arguments.format.empty() ? 0 : 1) +
                    (is_prefixed ? 1 : 0) + (is_json ? 1 : 0);
  if (forms > 1) {
    return Fault(FaultCode::invalid_argument,
                 "--json, --hex, --template and --records length-prefixed are different forms: "
                 "choose one");
  }
  if (is_json) format.form_ = Form::json;
  if (arguments.hex) format.form_ = Form::hex;
  if (is_prefixed) format.form_ = Form::length_prefixed;
  if (!arguments.format.empty()) {
    format.form_ = Form::fields;
    LL_TRY(pieces, parse_template(arguments.format));
    format.pieces_ = std::move(pieces);
  }
  return format;
}

void MessageFormat::append_field(char field, const Message& message, std::string& to) {
  switch (field) {
    case 's':
      to += std::to_string(message.sequence());
      break;
    case 'P':
      to += std::to_string(message.partition());
      break;
    case 't':
      to += utc_text(message.timestamp_ns());
      break;
    case 'k':
      to += message.key();
      break;
    case 'i':
      to += message.id();
      break;
    case 'h':
      to += headers_text(message);
      break;
    case 'b':
      to += std::to_string(message.payload().size());
      break;
    case 'p':
      to += message.text();
      break;
    default:
      break;
  }
}

// As hexdump -C does, under a line that says which message it is.
void MessageFormat::append_hex(const Message& message, std::string& to) {
  const std::string_view bytes = message.text();
  auto out = std::back_inserter(to);
  fmt::format_to(out, "# {} {} {} bytes", message.sequence(), utc_text(message.timestamp_ns()),
                 bytes.size());
  if (!message.key().empty()) to.append(" key=").append(message.key());
  to += '\n';
  for (size_t row = 0; row < bytes.size(); row += hex_row) {
    fmt::format_to(out, "{:08x} ", row);
    std::string letters;
    for (size_t column = 0; column < hex_row; ++column) {
      if (column == hex_row / 2) to += ' ';
      if (row + column >= bytes.size()) {
        to += "   ";
        continue;
      }
      const auto byte = static_cast<unsigned char>(bytes[row + column]);
      fmt::format_to(out, " {:02x}", byte);
      letters += byte >= 0x20 && byte < 0x7f ? static_cast<char>(byte) : '.';
    }
    fmt::format_to(out, "  |{}|\n", letters);
  }
}

void MessageFormat::write(const Message& message, Output& out) const {
  std::string text;
  switch (form_) {
    case Form::lines:
      out.write(message.text());
      out.write("\n");
      return;
    case Form::length_prefixed: {
      const auto size = static_cast<uint32_t>(message.payload().size());
      out.write({reinterpret_cast<const char*>(&size), sizeof size});
      out.write(message.text());
      return;
    }
    case Form::json:
      text = json_of(message) + "\n";
      break;
    case Form::hex:
      append_hex(message, text);
      break;
    case Form::fields:
      for (const TemplatePiece& piece : pieces_) {
        if (piece.field != 0) append_field(piece.field, message, text);
        text += piece.text;
      }
      break;
  }
  out.write(text);
}

}  // namespace loopline::cli
