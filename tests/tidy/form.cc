// The rules about a file's outer form: its opening, its size, its width, its words, its macros.

#include <algorithm>
#include <array>

#include "rules.h"

namespace loopline::tidy {

namespace {

constexpr std::size_t width_max = 100;
constexpr std::size_t file_lines_max = 500;
constexpr std::size_t test_lines_max = 800;
constexpr std::size_t opening_lines_max = 4;
constexpr std::size_t opening_words_min = 4;

bool is_source(const File& file) {
  const auto language = language_of(file);
  return language == Language::cpp || language == Language::script;
}

// In code points, as an editor counts them: every byte but the continuation bytes of UTF-8.
std::size_t width_of(std::string_view line) {
  return static_cast<std::size_t>(
      std::count_if(line.begin(), line.end(), [](char byte) { return (byte & 0xc0) != 0x80; }));
}

bool is_directive(std::string_view line) {
  return line.starts_with("#!") || line.starts_with("# shellcheck ");
}

// Splits in two, so that this file does not break its own rule.
constexpr std::array<std::string_view, 3> unfinished{
    "TO"
    "DO",
    "FIX"
    "ME",
    "X"
    "XX"};

constexpr std::array<std::string_view, 4> machine_folders{"home", "root", "work", "Users"};

bool names_machine_path(std::string_view line) {
  for (const auto folder : machine_folders) {
    const auto path = "/" + std::string(folder) + "/";
    for (auto at = line.find(path); at != std::string_view::npos; at = line.find(path, at + 1)) {
      const bool absolute = at == 0 || !(is_word_character(line[at - 1]) || line[at - 1] == '.' ||
                                         line[at - 1] == '}' || line[at - 1] == '*');
      if (absolute) return true;
    }
  }
  return false;
}

// Switches of libraries and of the C library, which only the name they gave can turn.
constexpr std::array<std::string_view, 8> foreign_macros{
    "XXH_", "_GNU_SOURCE", "BOOST_", "FMT_", "SPDLOG_", "CLI11_", "JSON_", "BENCHMARK_"};

// `#ifndef MADV_COLLAPSE` before `#define MADV_COLLAPSE 25`: a value that older headers lack.
bool supplies_missing(std::string_view before, std::string_view name, std::string_view define) {
  return before == "#ifndef " + std::string(name) && !define.ends_with(name);
}

}  // namespace

Findings check_first_line(const File& file) {
  if (!is_source(file)) return {};
  const std::string mark = language_of(file) == Language::cpp ? "// " : "# ";
  const auto lines = split_lines(file.text);
  std::size_t first = 0;
  while (first < lines.size() && is_directive(lines[first])) ++first;
  if (first == lines.size() || !lines[first].starts_with(mark)) {
    return {{file.path, first + 1, "the file does not open with a sentence on what it gives"}};
  }
  std::string opening;
  for (std::size_t index = first; index < std::min(lines.size(), first + opening_lines_max);
       ++index) {
    if (!lines[index].starts_with(mark)) break;
    opening += lines[index].substr(mark.size());
    opening += ' ';
    const char last = lines[index].back();
    if (last == '.' || last == ':' || last == '?' || last == '!') break;
  }
  const auto words = static_cast<std::size_t>(std::count(opening.begin(), opening.end(), ' '));
  const bool ends = opening.find_first_of(".:?!") != std::string::npos;
  if (ends && words >= opening_words_min) return {};
  return {{file.path, first + 1, "the opening comment is not a full sentence"}};
}

Findings check_width(const File& file) {
  if (!is_source(file)) return {};
  Findings findings;
  std::size_t number = 0;
  for (const auto line : split_lines(file.text)) {
    ++number;
    const auto width = width_of(line);
    if (width <= width_max) continue;
    findings.push_back(
        {file.path, number,
         "line of " + std::to_string(width) + " columns, at most " + std::to_string(width_max)});
  }
  return findings;
}

Findings check_file_size(const File& file) {
  if (!is_source(file)) return {};
  const auto limit = is_under(file.path, "tests") ? test_lines_max : file_lines_max;
  const auto count = split_lines(file.text).size();
  if (count <= limit) return {};
  return {{file.path, count,
           "file of " + std::to_string(count) + " lines, at most " + std::to_string(limit)}};
}

Findings check_words(const File& file) {
  if (language_of(file) == Language::other) return {};
  Findings findings;
  std::size_t number = 0;
  for (const auto line : split_lines(file.text)) {
    ++number;
    for (const auto word : unfinished) {
      if (find_word(line, word) == std::string_view::npos) continue;
      findings.push_back(
          {file.path, number,
           std::string(word) + ": do it, or put the limit into the folder's README"});
    }
    if (names_machine_path(line)) {
      findings.push_back({file.path, number, "a path of one machine"});
    }
  }
  return findings;
}

Findings check_macro_names(const File& file) {
  if (language_of(file) != Language::cpp) return {};
  Findings findings;
  const auto lines = split_comments(file.text);
  for (std::size_t index = 0; index < lines.size(); ++index) {
    std::string_view code = lines[index].code;
    if (!code.starts_with("#define ")) continue;
    code = code.substr(0, code.find_last_not_of(' ') + 1);
    code.remove_prefix(code.find_first_not_of(' ', 8));
    const auto name = code.substr(0, code.find_first_of(" ("));
    const bool foreign =
        std::any_of(foreign_macros.begin(), foreign_macros.end(),
                    [&](std::string_view prefix) { return name.starts_with(prefix); });
    if (name.starts_with("LL_") || foreign) continue;
    if (index > 0 && supplies_missing(lines[index - 1].code, name, code)) continue;
    findings.push_back({file.path, index + 1, "macro " + std::string(name) + " without LL_"});
  }
  return findings;
}

}  // namespace loopline::tidy
