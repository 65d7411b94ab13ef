// JsonLines: objects of few known fields, written without a library.
#include <cerrno>
#include <cmath>

#include "report.h"

namespace loopline::perf {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char letter : text) {
    if (letter == '"' || letter == '\\') out += '\\';
    // Control characters do not occur in names of processors and compilers; a blank will do.
    out += static_cast<unsigned char>(letter) < ' ' ? ' ' : letter;
  }
  return out + "\"";
}

// Collects fields into one object.
class Object {
 public:
  Object& text(const char* name, const std::string& value) { return add(name, quoted(value)); }
  Object& count(const char* name, uint64_t value) { return add(name, std::to_string(value)); }
  Object& rounded(const char* name, double value) {
    return count(name, static_cast<uint64_t>(std::llround(value)));
  }
  Object& number(const char* name, double value) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.6g", value);
    return add(name, digits);
  }
  std::string line() const { return "{" + fields_ + "}\n"; }

 private:
  Object& add(const char* name, const std::string& value) {
    fields_ += (fields_.empty() ? "" : ", ") + quoted(name) + ": " + value;
    return *this;
  }
  std::string fields_;
};

void put(std::FILE* file, const Object& object) {
  std::fputs(object.line().c_str(), file);
  std::fflush(file);  // a run that is stopped keeps what it has
}

}  // namespace

Result<JsonLines> JsonLines::create(const std::string& path) {
  std::FILE* file = std::fopen(path.c_str(), "we");
  if (file == nullptr) return fault_from_errno(errno, "cannot write " + path);
  return JsonLines(file);
}

JsonLines::~JsonLines() {
  if (file_ != nullptr) std::fclose(file_);
}

void JsonLines::write(const Environment& environment) {
  Object object;
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
  put(file_, object);
}

void JsonLines::write(const Case& of, Regime regime, const Repetition& repetition) {
  Object object;
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
  put(file_, object);
}

}  // namespace loopline::perf
