// JsonLines: the environment and the kept runs, one object each.
#include <cerrno>

#include "report.h"

namespace loopline::perf {

Result<JsonLines> JsonLines::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return fault_from_errno(errno, "cannot write " + path);
  return JsonLines(file);
}

JsonLines::~JsonLines() {
  if (file_ != nullptr) std::fclose(file_);
}

void JsonLines::put(const JsonObject& object) {
  std::fputs(object.line().c_str(), file_);
  std::fflush(file_);  // a run that is stopped keeps what it has
}

void JsonLines::write(const Environment& environment) {
  JsonObject object;
  object.text("bench", "environment")
      .text("processor", environment.processor)
      .count("processor_count", static_cast<uint64_t>(environment.processor_count))
      .text("kernel", environment.kernel)
      .text("compiler", environment.compiler)
      .text("commit", environment.commit)
      .text("command", environment.command)
      .text("priority", environment.priority)
      .number("clock_overhead_ns", environment.clock_overhead_ns)
      .number("clock_step_ns", environment.clock_step_ns);
  put(object);
}

void JsonLines::write(const Case& of, Regime regime, const Repetition& repetition) {
  JsonObject object;
  object.text("bench", of.bench)
      .text("subject", of.subject)
      .text("version", of.version)
      .count("size_bytes", of.size_bytes)
      .text("regime", name_of(regime))
      .rounded("link_rtt_ns", repetition.link_ns)
      .count("message_count", repetition.message_count);
  if (repetition.rate_per_s > 0) {
    object.rounded("rate_per_s", repetition.rate_per_s)
        .rounded("bytes_per_s", repetition.rate_per_s * static_cast<double>(of.size_bytes));
  } else {
    object.rounded("p50_ns", repetition.p50_ns)
        .rounded("p99_ns", repetition.p99_ns)
        .rounded("p999_ns", repetition.p999_ns)
        .rounded("max_ns", repetition.max_ns);
  }
  if (repetition.cpu_share >= 0) object.number("cpu_share", repetition.cpu_share);
  put(object);
}

}  // namespace loopline::perf
