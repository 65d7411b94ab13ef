// Log: where the broker says what it finds: a line each, with its time and how bad it is.
//
// Whoever finds something says it once, not at each look. Thread-safe.
#pragma once

#include <memory>
#include <string>

#include "shm/base/result.h"

namespace loopline::broker {

enum class LogLevel { debug, info, warning, error };

class Log {
 public:
  virtual ~Log() = default;
  virtual void write(LogLevel level, const std::string& line) = 0;

  void debug(const std::string& line) { write(LogLevel::debug, line); }
  void info(const std::string& line) { write(LogLevel::info, line); }
  void warning(const std::string& line) { write(LogLevel::warning, line); }
  void error(const std::string& line) { write(LogLevel::error, line); }
};

struct LogOptions {
  LogLevel level = LogLevel::info;
  std::string file;  // empty: stderr, in colour on a terminal
  bool operator==(const LogOptions&) const = default;
};

// A file is begun anew at 16 MiB, and the three before it are kept. Faults: those of opening it.
Result<std::unique_ptr<Log>> open_log(const LogOptions& options);

}  // namespace loopline::broker
