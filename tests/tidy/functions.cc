// The rule on the length of functions, and the small reader of C++ that finds where one starts.
//
// It does not parse: outside of functions it looks at what stands before each `{`, which is enough
// to tell a function from a scope (namespace, class) and from an initializer. Inside, it counts.

#include <algorithm>
#include <array>

#include "rules.h"

namespace loopline::tidy {

namespace {

constexpr std::size_t function_lines_max = 70;

std::string_view trim(std::string_view text) {
  const auto first = text.find_first_not_of(" \t\n");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t\n") - first + 1);
}

// `text` without what `open` starts and the matching `close` ends, if it begins with `open`.
std::string_view skip_balanced(std::string_view text, char open, char close) {
  if (text.empty() || text.front() != open) return text;
  std::size_t depth = 0;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == open) ++depth;
    if (text[at] == close && --depth == 0) return trim(text.substr(at + 1));
  }
  return {};
}

std::string_view first_word(std::string_view text) {
  const auto end = std::find_if_not(text.begin(), text.end(), is_word_character);
  return text.substr(0, static_cast<std::size_t>(end - text.begin()));
}

// What a declaration may say before its own first word.
std::string_view skip_prefixes(std::string_view header) {
  constexpr std::array<std::string_view, 5> prefixes{"inline", "static", "constexpr", "typedef",
                                                     "export"};
  while (true) {
    const auto word = first_word(header);
    if (word == "template") {
      header = skip_balanced(trim(header.substr(word.size())), '<', '>');
    } else if (std::find(prefixes.begin(), prefixes.end(), word) != prefixes.end()) {
      header = trim(header.substr(word.size()));
    } else if (header.starts_with("[[")) {
      header = skip_balanced(header, '[', ']');
    } else {
      return header;
    }
  }
}

bool is_scope(std::string_view header) {
  header = skip_prefixes(header);
  const auto word = first_word(header);
  if (word == "namespace") return true;
  if (word == "extern") return header.find('(') == std::string_view::npos;
  if (word != "class" && word != "struct" && word != "union" && word != "enum") return false;
  auto rest = trim(header.substr(word.size()));
  if (first_word(rest) == "alignas") rest = skip_balanced(trim(rest.substr(7)), '(', ')');
  return rest.substr(0, rest.find(':')).find('(') == std::string_view::npos;
}

// `Name(int a) : member_` : the brace that follows belongs to the member, not to the function.
bool is_member_initializer(std::string_view header) {
  if (header.empty() || !(is_word_character(header.back()) || header.back() == '>')) return false;
  std::size_t depth = 0;
  bool after_parameters = false;
  for (std::size_t at = 0; at < header.size(); ++at) {
    if (header[at] == '(') ++depth;
    if (header[at] == ')' && depth > 0) after_parameters = --depth == 0;
    const bool colon = header[at] == ':' && depth == 0;
    const bool twin = colon && ((at > 0 && header[at - 1] == ':') ||
                                (at + 1 < header.size() && header[at + 1] == ':'));
    if (colon && !twin && after_parameters) return true;
  }
  return false;
}

class FunctionReader {
 public:
  explicit FunctionReader(const File& file) : file_(file), lines_(split_comments(file.text)) {}

  Findings read() {
    bool continued = false;
    for (index_ = 0; index_ < lines_.size(); ++index_) {
      const std::string_view code = lines_[index_].code;
      const bool preprocessor = continued || trim(code).starts_with('#');
      continued = preprocessor && code.ends_with('\\');
      if (preprocessor) continue;
      for (const char character : code) step(character);
      step('\n');
    }
    return std::move(findings_);
  }

 private:
  void step(char character) {
    if (braces_ > 0) return step_inside(character);
    if (character == '(') ++parentheses_;
    if (character == ')' && parentheses_ > 0) --parentheses_;
    if (character == '{') return open_brace();
    if (character == '}' || (character == ';' && parentheses_ == 0)) return start_header();
    if (trim(header_).empty() && trim({&character, 1}).empty()) return;
    if (header_.empty()) header_index_ = index_;
    header_ += character;
    if (header_ == "public:" || header_ == "private:" || header_ == "protected:") start_header();
  }

  void open_brace() {
    const auto header = trim(header_);
    if (parentheses_ == 0 && is_scope(header)) return start_header();
    is_function_ = parentheses_ == 0 && header.find(')') != std::string_view::npos &&
                   header.back() != '=' && !is_member_initializer(header);
    braces_ = 1;
  }

  void step_inside(char character) {
    if (character == '{') ++braces_;
    if (character != '}' || --braces_ > 0) return;
    if (!is_function_) {
      header_ += "{}";
      return;
    }
    const auto count = index_ - header_index_ + 1;
    if (count > function_lines_max) {
      findings_.push_back({file_.path, header_index_ + 1,
                           "function of " + std::to_string(count) + " lines, at most " +
                               std::to_string(function_lines_max)});
    }
    start_header();
  }

  void start_header() {
    header_.clear();
    parentheses_ = 0;
  }

  const File& file_;
  std::vector<Line> lines_;
  std::size_t index_ = 0;
  std::string header_;            // what stands before the next brace
  std::size_t header_index_ = 0;  // the line it starts on
  std::size_t parentheses_ = 0;   // open in the header
  std::size_t braces_ = 0;        // open since a function or an initializer began
  bool is_function_ = false;      // which of the two
  Findings findings_;
};

}  // namespace

Findings check_function_size(const File& file) {
  if (language_of(file) != Language::cpp) return {};
  return FunctionReader(file).read();
}

}  // namespace loopline::tidy
