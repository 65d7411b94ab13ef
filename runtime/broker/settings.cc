// Settings: a table of keys, and how each value is read; nothing else includes toml++.
#include "settings.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <functional>
#include <sstream>

#include <toml++/toml.h>

#include "hints.h"
#include "shm/base/units.h"
#include "shm/file.h"

namespace loopline::broker {
namespace {

using Words = std::vector<std::string>;
// What is wrong with a value, or nothing.
using Read = std::function<std::string(Settings&, const std::string&)>;
struct Key {
  std::string name;
  Read read;
};

std::string either(const Words& words) {
  std::string text;
  for (size_t index = 0; index < words.size(); ++index) {
    text += index == 0 ? "" : index + 1 == words.size() ? " or " : ", ";
    text += words[index];
  }
  return text;
}

Read one_of(Words words, std::string Settings::*field) {
  return [words = std::move(words), field](Settings& settings, const std::string& value) {
    for (const std::string& word : words) {
      if (word == value) {
        settings.*field = value;
        return std::string();
      }
    }
    return "is \"" + value + "\"; it takes " + either(words) + near_miss(value, words);
  };
}

Read time_within(uint64_t least_ns, uint64_t most_ns, uint64_t Settings::*field) {
  return [=](Settings& settings, const std::string& value) {
    const auto time = parse_duration(value);
    const std::string range =
        "it takes a time from " + format_duration(least_ns) + " to " + format_duration(most_ns);
    if (!time) return "is \"" + value + "\"; " + range + ", such as 5s";
    if (*time < least_ns || *time > most_ns) return "is " + value + "; " + range;
    settings.*field = *time;
    return std::string();
  };
}

std::string read_level(Settings& settings, const std::string& value) {
  static const Words words{"debug", "info", "warning", "error"};
  for (size_t index = 0; index < words.size(); ++index) {
    if (words[index] != value) continue;
    settings.log.level = static_cast<LogLevel>(index);
    return "";
  }
  return "is \"" + value + "\"; it takes " + either(words) + near_miss(value, words);
}

Read path_in(const std::function<std::string&(Settings&)>& field) {
  return [field](Settings& settings, const std::string& value) {
    if (value.empty()) return std::string("is empty; leave it out, or name a path");
    if (value[0] != '/') {
      return "is \"" + value + "\"; it takes a path that begins with /";
    }
    field(settings) = value;
    return std::string();
  };
}

const std::vector<Key>& keys() {
  constexpr uint64_t ms = 1'000'000;
  constexpr uint64_t hour = 3'600'000 * ms;
  static const std::vector<Key> all{
      {"dir", path_in([](Settings& settings) -> std::string& { return settings.dir; })},
      {"storage", one_of({"auto", "io_uring", "posix"}, &Settings::storage)},
      {"wait", one_of({"spin", "adaptive", "park"}, &Settings::wait)},
      {"look", time_within(10 * ms, hour, &Settings::look_ns)},
      {"drain", time_within(0, hour, &Settings::drain_ns)},
      {"log.level", read_level},
      {"log.file", path_in([](Settings& settings) -> std::string& { return settings.log.file; })},
  };
  return all;
}

Words key_names() {
  Words names;
  for (const Key& key : keys()) names.push_back(key.name);
  return names;
}

// Reads values into settings, and gathers what is wrong with them.
class Reader {
 public:
  void take(const std::string& where, const std::string& name, const std::string& value) {
    for (const Key& key : keys()) {
      if (key.name != name) continue;
      const std::string wrong = key.read(settings_, value);
      if (!wrong.empty()) complain(where, name + " " + wrong);
      return;
    }
    unknown(where, name);
  }
  void unknown(const std::string& where, const std::string& name) {
    const std::string hint = near_miss(name, key_names());
    complain(where, "unknown key " + name +
                        (hint.empty() ? "; the keys are " + joined(key_names()) : hint));
  }
  void complain(const std::string& where, const std::string& what) {
    wrong_ += (wrong_.empty() ? "" : "\n") + where + ": " + what;
  }
  Result<Settings> settled() const {
    if (wrong_.empty()) return settings_;
    return Fault(FaultCode::invalid_argument, wrong_);
  }

 private:
  Settings settings_;
  std::string wrong_;
};

bool is_table_of_keys(const std::string& name) {
  for (const Key& key : keys()) {
    if (key.name.starts_with(name + ".")) return true;
  }
  return false;
}

void take_table(Reader& reader, const toml::table& table, const std::string& file,
                const std::string& prefix) {
  for (const auto& [key, node] : table) {
    const std::string name = prefix + std::string(key.str());
    const std::string where = file + ":" + std::to_string(key.source().begin.line);
    if (const auto* inner = node.as_table(); inner != nullptr && is_table_of_keys(name)) {
      take_table(reader, *inner, file, name + ".");
    } else if (const auto* text = node.as_string()) {
      reader.take(where, name, text->get());
    } else {
      bool is_known = is_table_of_keys(name);
      for (const Key& known : keys()) is_known = is_known || known.name == name;
      if (!is_known) {
        reader.unknown(where, name);
      } else if (is_table_of_keys(name)) {
        reader.complain(where,
                        name + " is no value; it is a table, as in " + name + ".level = \"info\"");
      } else {
        std::ostringstream words;
        words << node.type();
        reader.complain(where, name + " has a value of another kind (" + words.str() +
                                   "); write it in quotes, as in " + name + " = \"...\"");
      }
    }
  }
}

void take_set(Reader& reader, const std::string& set) {
  const size_t at = set.find('=');
  if (at == std::string::npos || at == 0) {
    return reader.complain("--set " + set, "say KEY=VALUE, as in --set storage=posix");
  }
  reader.take("--set " + set, set.substr(0, at), set.substr(at + 1));
}

Result<std::string> text_of(const std::string& path) {
  const shm::File file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (file.fd() < 0) return fault_from_errno(errno, "cannot open the settings " + path);
  LL_TRY(status, file.status(path));
  if (!S_ISREG(status.st_mode)) {
    return Fault(FaultCode::invalid_argument, path + " is no regular file");
  }
  std::string text(settings_file_bytes_max + 1, '\0');
  size_t size = 0;
  while (size < text.size()) {
    const ssize_t got = ::read(file.fd(), text.data() + size, text.size() - size);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fault_from_errno(errno, "cannot read the settings " + path);
    if (got == 0) break;
    size += static_cast<size_t>(got);
  }
  if (size > settings_file_bytes_max) {
    return Fault(FaultCode::invalid_argument, path + " has more than " +
                                                  format_size(settings_file_bytes_max) +
                                                  ": these are no settings of a broker");
  }
  text.resize(size);
  return text;
}

}  // namespace

Result<Settings> parse_settings(const std::string& text, const std::string& file,
                                const std::vector<std::string>& sets) {
  Reader reader;
  try {
    take_table(reader, toml::parse(text, file), file, "");
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    reader.complain(
        file + ":" + std::to_string(at.line) + ":" + std::to_string(at.column),
        "this is no TOML: " + std::string(error.description()) + "; a line is KEY = \"VALUE\"");
  }
  for (const std::string& set : sets) take_set(reader, set);
  return reader.settled();
}

Result<Settings> read_settings(const std::string& file, const std::vector<std::string>& sets) {
  if (file.empty()) return parse_settings("", "", sets);
  LL_TRY(text, text_of(file));
  return parse_settings(text, file, sets);
}

}  // namespace loopline::broker
