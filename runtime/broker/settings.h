// Settings: what a broker is told, from a TOML file and from --set KEY=VALUE, checked as a whole.
//
//   # looplined.toml                      every key may be left out
//   dir = "/run/loopline"                 the instance; else as every tool finds it
//   storage = "auto"                      auto, io_uring or posix
//   wait = "adaptive"                     spin, adaptive or park
//   look = "5s"                           how often everything is looked at, bidden or not
//   drain = "5s"                          how long a stop may bring to disk what is in the rings
//   log.level = "info"                    debug, info, warning or error
//   log.file = "/var/log/looplined.log"   else stderr
#pragma once

#include <string>
#include <vector>

#include "log.h"
#include "shm/base/result.h"

namespace loopline::broker {

struct Settings {
  std::string dir;
  std::string storage = "auto";
  std::string wait = "adaptive";
  uint64_t look_ns = 5'000'000'000;
  uint64_t drain_ns = 5'000'000'000;
  LogOptions log;
  bool operator==(const Settings&) const = default;
};

constexpr size_t settings_file_bytes_max = 64u << 10;

// `sets`: "KEY=VALUE", which win over the file. invalid_argument has a line for each thing that is
// wrong, with file, line, key and what would be right.
Result<Settings> parse_settings(const std::string& text, const std::string& file,
                                const std::vector<std::string>& sets);
// The same from a file; empty: none. Faults: those of reading it, too.
Result<Settings> read_settings(const std::string& file, const std::vector<std::string>& sets);

}  // namespace loopline::broker
