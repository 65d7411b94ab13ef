// The rule that includes point one way: shm <- io <- net <- runtime <- tools.
//
//   tools -> runtime -> net -> io -> io/log -> shm -> shm/base -> the standard library
//               '-> sdk ------------'    its public headers see only shm/base

#include <algorithm>
#include <array>
#include <optional>

#include "rules.h"

namespace loopline::tidy {

namespace {

constexpr std::string_view anything = "*";

struct Layer {
  std::string_view folder;
  std::vector<std::string_view> may_use;   // folders of ours
  std::vector<std::string_view> packages;  // prefixes of foreign headers
};

// The first one that holds a file decides: inner folders stand before outer ones.
const std::vector<Layer>& layers() {
  static const std::vector<Layer> table{
      {"shm/base", {"shm/base"}, {"xxh"}},
      {"shm", {"shm"}, {"boost/interprocess/"}},
      {"io/log", {"shm", "io/log"}, {}},
      {"io", {"shm", "io"}, {"liburing", "xxhash"}},
      {"net", {"shm", "io", "net"}, {}},
      {"runtime/loopline", {"shm/base", "runtime/loopline"}, {}},
      {"runtime/sdk", {"shm", "io/log", "runtime/loopline", "runtime/sdk"}, {}},
      {"runtime", {"shm", "io", "net", "runtime"}, {anything}},
      {"tools", {"shm", "io", "net", "runtime", "tools"}, {anything}},
  };
  return table;
}

constexpr std::array<std::string_view, 8> top_folders{"shm",   "io",    "net",  "runtime",
                                                      "tools", "tests", "perf", "examples"};

// What the project may use at all, besides the standard library and POSIX.
constexpr std::array<std::string_view, 16> foreign{
    "boost/", "fmt/",     "spdlog/",    "nlohmann/", "CLI/",   "gtest/", "gmock/", "benchmark/",
    "xxh",    "liburing", "microhttpd", "openssl/",  "curses", "zstd",   "lz4",    "toml"};

struct Include {
  std::string_view name;
  bool quoted = false;
};

std::optional<Include> read_include(std::string_view line) {
  constexpr std::string_view directive = "#include";
  if (!line.starts_with(directive)) return std::nullopt;
  const auto open = line.find_first_of("\"<", directive.size());
  if (open == std::string_view::npos) return std::nullopt;  // through a macro
  const bool quoted = line[open] == '"';
  const auto close = line.find(quoted ? '"' : '>', open + 1);
  if (close == std::string_view::npos) return std::nullopt;
  return Include{line.substr(open + 1, close - open - 1), quoted};
}

template <class Prefixes>
bool starts_with_any(std::string_view name, const Prefixes& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
    return prefix == anything || name.starts_with(prefix);
  });
}

// The path from the top of the project; empty when the header is not ours.
std::string resolve(const Include& include, std::string_view folder) {
  const std::string name(include.name);
  if (name.starts_with("loopline/")) return "runtime/" + name;
  if (!include.quoted) return "";
  const auto top = include.name.substr(0, include.name.find('/'));
  const bool from_top = top.size() < name.size() &&
                        std::find(top_folders.begin(), top_folders.end(), top) != top_folders.end();
  return from_top ? name : std::string(folder) + "/" + name;
}

std::string judge(const Include& include, const Layer& layer, std::string_view folder) {
  const std::string name(include.name);
  if (name.find("..") != std::string::npos) {
    return "includes " + name + ": write it from the top of the project";
  }
  const auto path = resolve(include, folder);
  if (path.empty()) {
    const bool denied = starts_with_any(name, foreign) && !starts_with_any(name, layer.packages);
    return denied ? "includes <" + name + ">, which " + std::string(layer.folder) + " does without"
                  : "";
  }
  const bool allowed = std::any_of(layer.may_use.begin(), layer.may_use.end(),
                                   [&](std::string_view used) { return is_under(path, used); });
  return allowed ? "" : "includes " + path + ", which lies above " + std::string(layer.folder);
}

}  // namespace

Findings check_layers(const File& file) {
  if (language_of(file) != Language::cpp) return {};
  const auto layer = std::find_if(layers().begin(), layers().end(), [&](const Layer& candidate) {
    return is_under(file.path, candidate.folder);
  });
  if (layer == layers().end()) return {};  // tests and perf may use anything
  Findings findings;
  std::size_t number = 0;
  for (const auto line : split_lines(file.text)) {
    ++number;
    const auto include = read_include(line);
    if (!include) continue;
    const auto message = judge(*include, *layer, folder_of(file.path));
    if (!message.empty()) findings.push_back({file.path, number, message});
  }
  return findings;
}

}  // namespace loopline::tidy
