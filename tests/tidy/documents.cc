// The rule that each folder's README fits a screen and lists the folder's files, those and no more.

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "rules.h"

namespace loopline::tidy {

namespace {

constexpr std::size_t readme_lines_max = 60;

struct Mention {
  std::string name;
  std::size_t line = 0;
};

// `ring.{h,cc}` stands for both.
std::vector<std::string> expand(const std::string& name) {
  const auto open = name.find('{');
  const auto close = name.find('}', open);
  if (open == std::string::npos || close == std::string::npos) return {name};
  std::vector<std::string> names;
  for (auto at = open + 1; at <= close;) {
    const auto stop = std::min(name.find(',', at), close);
    names.push_back(name.substr(0, open) + name.substr(at, stop - at) + name.substr(close + 1));
    at = stop + 1;
  }
  return names;
}

// The words in backticks, outside of fenced blocks.
std::vector<Mention> read_mentions(const File& readme) {
  std::vector<Mention> mentions;
  bool fenced = false;
  std::size_t number = 0;
  for (const auto line : split_lines(readme.text)) {
    ++number;
    if (line.starts_with("```")) fenced = !fenced;
    if (fenced) continue;
    for (auto open = line.find('`'); open != std::string_view::npos;) {
      const auto close = line.find('`', open + 1);
      if (close == std::string_view::npos) break;
      const std::string span(line.substr(open + 1, close - open - 1));
      if (span.find(' ') == std::string::npos) {
        for (const auto& name : expand(span)) mentions.push_back({name, number});
      }
      open = line.find('`', close + 1);
    }
  }
  return mentions;
}

bool looks_like_source(std::string_view name) {
  constexpr std::array<std::string_view, 6> endings{".h", ".cc", ".c", ".sh", ".py", ".cmake"};
  const bool plain = std::all_of(name.begin(), name.end(), [](char character) {
    return is_word_character(character) || character == '.' || character == '/' || character == '-';
  });
  return plain && !name.starts_with('.') &&
         std::any_of(endings.begin(), endings.end(),
                     [&](std::string_view ending) { return name.ends_with(ending); });
}

// A README may name a file by its name, or by a path from its folder or from the top.
bool exists(const std::set<std::string>& paths, std::string_view folder, const std::string& name) {
  if (name.find('/') == std::string::npos) {
    return std::any_of(paths.begin(), paths.end(),
                       [&](const std::string& path) { return filename_of(path) == name; });
  }
  return paths.contains(name) || paths.contains(std::string(folder) + "/" + name);
}

Findings check_readme(const File& readme, const std::vector<std::string>& sources,
                      const std::set<std::string>& paths) {
  Findings findings;
  const auto folder = folder_of(readme.path);
  const auto count = split_lines(readme.text).size();
  if (count > readme_lines_max && !folder.empty()) {
    findings.push_back({readme.path, count,
                        "README of " + std::to_string(count) + " lines, at most " +
                            std::to_string(readme_lines_max)});
  }
  std::set<std::string> listed;
  for (const auto& mention : read_mentions(readme)) {
    listed.insert(mention.name);
    if (!looks_like_source(mention.name) || exists(paths, folder, mention.name)) continue;
    findings.push_back({readme.path, mention.line, "names " + mention.name + ", which is gone"});
  }
  for (const auto& source : sources) {
    if (listed.contains(std::string(filename_of(source))) || listed.contains(source)) continue;
    findings.push_back(
        {readme.path, 1, "does not list `" + std::string(filename_of(source)) + "`"});
  }
  return findings;
}

}  // namespace

Findings check_documents(const Tree& tree) {
  std::map<std::string, std::vector<std::string>> sources;  // by folder
  std::map<std::string, const File*> readmes;
  std::set<std::string> paths;
  for (const auto& file : tree) {
    const std::string folder(folder_of(file.path));
    paths.insert(file.path);
    if (filename_of(file.path) == "README.md") readmes[folder] = &file;
    const auto language = language_of(file);
    const bool is_source = language == Language::cpp || language == Language::script;
    if (is_source && !folder.empty() && !folder.starts_with('.')) {
      sources[folder].push_back(file.path);
    }
  }
  Findings findings;
  for (const auto& [folder, files] : sources) {
    if (readmes.contains(folder)) continue;
    findings.push_back({folder + "/README.md", 1, "missing: the folder has sources"});
  }
  for (const auto& [folder, readme] : readmes) {
    const auto more = check_readme(*readme, sources[folder], paths);
    findings.insert(findings.end(), more.begin(), more.end());
  }
  return findings;
}

}  // namespace loopline::tidy
