// PrometheusText: the text format, read as strictly as its specification has it, for tests.
//
//   const auto samples = read_prometheus(text);
//   samples.at("loopline_station_lag{station=\"main/orders\"}") == 12
//
// What breaks a rule is thrown, with its line: each family has HELP and TYPE once, before its
// samples and beside each other; a sample's labels are in quotes, with three escapes only, each
// name once; no sample comes twice; all lines end.
#pragma once

#include <charconv>
#include <map>
#include <regex>
#include <set>
#include <stdexcept>
#include <string>

namespace loopline::test {

// The value of a label, as it was before it was escaped; `at` goes behind its closing quote.
inline std::string unescaped(const std::string& line, size_t& at) {
  std::string value;
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\') {
      value += line[at];
      continue;
    }
    const char next = ++at < line.size() ? line[at] : ' ';
    if (next != '\\' && next != '"' && next != 'n') throw std::runtime_error("escape: " + line);
    value += next == 'n' ? '\n' : next;
  }
  if (at >= line.size()) throw std::runtime_error("open quote: " + line);
  ++at;
  return value;
}

// {name="value",...} at `at`, as "{name=value,...}".
inline std::string labels_of(const std::string& line, size_t& at) {
  if (at >= line.size() || line[at] != '{') return "";
  std::string all;
  std::set<std::string> names;
  do {
    const size_t equals = line.find('=', ++at);
    if (equals == std::string::npos) throw std::runtime_error("label: " + line);
    const std::string name = line.substr(at, equals - at);
    const bool is_name = std::regex_match(name, std::regex("[a-zA-Z_][a-zA-Z0-9_]*"));
    if (!is_name || !names.insert(name).second) throw std::runtime_error("label: " + line);
    at = equals + 1;
    if (at >= line.size() || line[at] != '"') throw std::runtime_error("no quote: " + line);
    all += (all.empty() ? "" : ",") + name + "=" + unescaped(line, at);
  } while (at < line.size() && line[at] == ',');
  if (at >= line.size() || line[at] != '}') throw std::runtime_error("labels: " + line);
  ++at;
  return "{" + all + "}";
}

// By family and labels.
inline std::map<std::string, double> read_prometheus(const std::string& text) {
  const std::regex comment("# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.+)");
  std::map<std::string, double> samples;
  std::set<std::string> families;
  std::string helped, family;
  size_t begin = 0;
  while (begin < text.size()) {
    const size_t end = text.find('\n', begin);
    if (end == std::string::npos) throw std::runtime_error("no newline at the end");
    const std::string line = text.substr(begin, end - begin);
    begin = end + 1;
    std::smatch match;
    if (std::regex_match(line, match, comment)) {
      if (match[1] == "HELP") {
        helped = match[2];
        if (!families.insert(helped).second) throw std::runtime_error("twice: " + line);
      } else {
        if (match[2] != helped || match[3] != "gauge") throw std::runtime_error("type: " + line);
        family = helped;
      }
      continue;
    }
    size_t at = line.find_first_of("{ ");
    if (at == std::string::npos || family.empty() || line.substr(0, at) != family) {
      throw std::runtime_error("not of family " + family + ": " + line);
    }
    const std::string name = family + labels_of(line, at);
    double value = 0;
    const char* const last = line.data() + line.size();
    if (at >= line.size() || line[at] != ' ') throw std::runtime_error("no value: " + line);
    const auto [stop, error] = std::from_chars(line.data() + at + 1, last, value);
    if (error != std::errc() || stop != last) throw std::runtime_error("value: " + line);
    if (!samples.emplace(name, value).second) throw std::runtime_error("again: " + line);
  }
  return samples;
}

}  // namespace loopline::test
