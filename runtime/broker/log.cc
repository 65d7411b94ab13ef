// Log: spdlog's sinks; nothing else includes it.
#include "log.h"

#include <spdlog/logger.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_color_sinks.h>

#include <utility>

namespace loopline::broker {
namespace {

constexpr size_t file_bytes_max = 16u << 20;
constexpr size_t older_files = 3;

spdlog::level::level_enum level_of(LogLevel level) {
  switch (level) {
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warning:
      return spdlog::level::warn;
    case LogLevel::error:
      break;
  }
  return spdlog::level::err;
}

class SpdLog final : public Log {
 public:
  SpdLog(spdlog::sink_ptr sink, LogLevel level) : logger_("looplined", std::move(sink)) {
    logger_.set_pattern("%Y-%m-%dT%H:%M:%S.%eZ %^%l%$ %v", spdlog::pattern_time_type::utc);
    logger_.set_level(level_of(level));
    logger_.flush_on(spdlog::level::debug);
    // A log that cannot be written is no reason to stop keeping messages.
    logger_.set_error_handler([](const std::string&) {});
  }

  void write(LogLevel level, const std::string& line) override {
    logger_.log(level_of(level), "{}", line);
  }

 private:
  spdlog::logger logger_;
};

}  // namespace

Result<std::unique_ptr<Log>> open_log(const LogOptions& options) {
  try {
    spdlog::sink_ptr sink;
    if (options.file.empty()) {
      sink = std::make_shared<spdlog::sinks::stderr_color_sink_mt>(spdlog::color_mode::automatic);
    } else {
      sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(options.file, file_bytes_max,
                                                                    older_files);
    }
    return std::unique_ptr<Log>(new SpdLog(std::move(sink), options.level));
  } catch (const spdlog::spdlog_ex& error) {
    return Fault(FaultCode::io_error, "cannot write the log " + options.file + ": " + error.what() +
                                          "; name another file with log.file");
  }
}

}  // namespace loopline::broker
