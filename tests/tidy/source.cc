// The scanner of C++ comments and strings, and the list of files that are ours.

#include "source.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <memory>

namespace loopline::tidy {

namespace {

namespace fs = std::filesystem;

// Walks over C++ text once; each step takes one token and appends it to the line it is on.
class Splitter {
 public:
  explicit Splitter(std::string_view text) : text_(text) {}

  std::vector<Line> split() {
    while (at_ < text_.size()) {
      if (starts("//")) {
        take_comment("\n", 2, 0);
      } else if (starts("/*")) {
        take_comment("*/", 2, 2);
      } else if (starts("R\"") && (at_ == 0 || !is_word_character(text_[at_ - 1]))) {
        take_raw_string();
      } else if (text_[at_] == '"') {
        take_quoted('"');
      } else if (text_[at_] == '\'' && !in_number()) {
        take_quoted('\'');
      } else {
        take_code();
      }
    }
    return std::move(lines_);
  }

 private:
  bool starts(std::string_view prefix) const { return text_.substr(at_).starts_with(prefix); }

  // 1'000'000 and 0x474e'504f: the quote separates digits.
  bool in_number() const {
    return at_ > 0 && at_ + 1 < text_.size() && std::isxdigit(text_[at_ - 1]) != 0 &&
           std::isxdigit(text_[at_ + 1]) != 0;
  }

  void new_line() { lines_.emplace_back(); }

  void take_code() {
    const char character = text_[at_++];
    if (character == '\n') {
      new_line();
    } else {
      lines_.back().code += character;
    }
  }

  void take_comment(std::string_view end, std::size_t open_size, std::size_t close_size) {
    const auto stop = std::min(text_.find(end, at_ + open_size), text_.size());
    for (at_ += open_size; at_ < stop; ++at_) {
      if (text_[at_] == '\n') {
        new_line();
      } else {
        lines_.back().comment += text_[at_];
      }
    }
    at_ = std::min(stop + close_size, text_.size());
  }

  void take_quoted(char quote) {
    lines_.back().code += quote;
    for (++at_; at_ < text_.size() && text_[at_] != quote && text_[at_] != '\n'; ++at_) {
      if (text_[at_] == '\\') ++at_;
    }
    if (at_ < text_.size() && text_[at_] == quote) {
      lines_.back().code += quote;
      ++at_;
    }
  }

  void take_raw_string() {
    const auto open = text_.find('(', at_);
    if (open == std::string_view::npos) return take_code();
    const auto tag = text_.substr(at_ + 2, open - at_ - 2);
    const auto close = ")" + std::string(tag) + "\"";
    const auto stop = std::min(text_.find(close, open), text_.size());
    lines_.back().code += "\"";
    for (; at_ < stop; ++at_) {
      if (text_[at_] == '\n') new_line();
    }
    lines_.back().code += "\"";
    at_ = std::min(stop + close.size(), text_.size());
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<Line> lines_{1};
};

std::string run(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  std::string output;
  char buffer[4096];
  while (pipe != nullptr) {
    const auto size = fread(buffer, 1, sizeof buffer, pipe.get());
    if (size == 0) break;
    output.append(buffer, size);
  }
  return output;
}

// Outside a git checkout (an unpacked archive) every file counts but what a build or a tool left.
std::vector<std::string> walk(const std::string& root) {
  std::vector<std::string> paths;
  for (auto it = fs::recursive_directory_iterator(root); it != fs::end(it); ++it) {
    const auto name = it->path().filename().string();
    if (it->is_directory() && (name == "build" || name == ".git")) it.disable_recursion_pending();
    if (it->is_regular_file()) paths.push_back(fs::relative(it->path(), root).string());
  }
  return paths;
}

std::vector<std::string> list_paths(const std::string& root) {
  const auto output =
      run("git -C '" + root + "' ls-files -z --cached --others --exclude-standard 2>/dev/null");
  std::vector<std::string> paths;
  for (std::size_t at = 0; at < output.size();) {
    const auto stop = output.find('\0', at);
    paths.push_back(output.substr(at, stop - at));
    at = stop + 1;
  }
  return paths.empty() ? walk(root) : paths;
}

}  // namespace

std::string describe(const Finding& finding) {
  return finding.path + ":" + std::to_string(finding.line) + ": " + finding.message;
}

std::string describe(const Findings& findings) {
  std::string text;
  for (const auto& finding : findings) text += describe(finding) + "\n";
  return text;
}

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const auto stop = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, stop));
    text.remove_prefix(std::min(stop + 1, text.size()));
  }
  return lines;
}

std::vector<Line> split_comments(std::string_view cpp) { return Splitter(cpp).split(); }

Language language_of(const File& file) {
  const auto name = filename_of(file.path);
  const auto dot = name.rfind('.');
  const auto extension = dot == std::string_view::npos ? "" : name.substr(dot);
  if (extension == ".h" || extension == ".cc" || extension == ".c") return Language::cpp;
  if (extension == ".md") return Language::document;
  if (extension == ".sh" || extension == ".cmake" || extension == ".py") return Language::script;
  if (name == "CMakeLists.txt" || (extension.empty() && file.text.starts_with("#!"))) {
    return Language::script;
  }
  return Language::other;
}

std::string_view folder_of(std::string_view path) {
  const auto slash = path.rfind('/');
  return slash == std::string_view::npos ? "" : path.substr(0, slash);
}

std::string_view filename_of(std::string_view path) { return path.substr(path.rfind('/') + 1); }

bool is_under(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && path.size() > folder.size() && path[folder.size()] == '/';
}

bool is_word_character(char character) {
  return std::isalnum(static_cast<unsigned char>(character)) != 0 || character == '_';
}

std::size_t find_word(std::string_view text, std::string_view word, std::size_t from) {
  for (auto at = text.find(word, from); at != std::string_view::npos;
       at = text.find(word, at + 1)) {
    const auto end = at + word.size();
    const bool starts = at == 0 || !is_word_character(text[at - 1]);
    const bool ends = end == text.size() || !is_word_character(text[end]);
    if (starts && ends) return at;
  }
  return std::string_view::npos;
}

Tree read_tree(const std::string& root) {
  Tree tree;
  for (const auto& path : list_paths(root)) {
    if (!fs::is_regular_file(root + "/" + path)) continue;  // deleted, not committed yet
    std::ifstream stream(root + "/" + path, std::ios::binary);
    tree.push_back({path, {std::istreambuf_iterator<char>(stream), {}}});
  }
  return tree;
}

}  // namespace loopline::tidy
