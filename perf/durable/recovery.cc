// Recovery: a child fills a log and kills itself; the parent opens it, and the clock runs.
#include "recovery.h"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>

#include "disk.h"
#include "disk_bench.h"
#include "perf/harness/text.h"
#include "perf/peers/file_station.h"
#include "rounds.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"

namespace loopline::perf {
namespace {

constexpr uint64_t large_bytes = 64_KiB;
constexpr uint64_t small_bytes = 256;
constexpr auto patience = std::chrono::nanoseconds(keeper_patience_ns);

// What lies on the disk when the writer dies.
struct Shape {
  const char* name;
  uint64_t segment_bytes;
  uint64_t message_bytes;
  uint64_t message_count;
  bool is_each_synced;  // a batch of its own for each message
  double promised_ns;
};
constexpr Shape shapes[] = {
    {"a full segment of 64MiB, large batches", 64_MiB, large_bytes, 1000, false, 0.2e9},
    {"a full segment of 64MiB, 15,000 batches of 4KiB", 64_MiB, small_bytes, 15'000, true, 0.2e9},
    {"1000 sealed segments of 1MiB", 1_MiB, large_bytes, 15'000, false, 0.05e9},
};

Status publish_all(Producer& producer, const Shape& shape) {
  const std::vector<std::byte> message(shape.message_bytes, std::byte{0x5a});
  const PublishOptions options{.timeout = patience,
                               .ack = shape.is_each_synced ? Ack::durable : Ack::visible};
  for (uint64_t count = 0; count < shape.message_count; ++count) {
    LL_TRY_STATUS(producer.publish(message, options));
  }
  LL_TRY(last, producer.publish_async(message));
  return producer.wait(last, Ack::durable, patience);
}

// In a child, which ends by SIGKILL when all is durable.
[[noreturn]] void fill_and_die(const std::string& folder, const Shape& shape) {
  StationOptions options;
  options.segment = shape.segment_bytes;
  auto station = FileStation::start(folder, options, shm::WaitKind::park);
  if (!station) std::fprintf(stderr, "%s\n", station.fault().message().c_str());
  if (!station) ::_exit(1);
  const Status published = publish_all((*station)->producer(), shape);
  if (!published) std::fprintf(stderr, "%s\n", published.fault().message().c_str());
  if (!published) ::_exit(1);
  ::kill(::getpid(), SIGKILL);
  ::_exit(1);
}

struct Opening {
  double open_ns = 0;
  double raw_ns = 0;  // reading the last segment as a bare file
};

Result<Opening> measure_opening(const std::string& folder, const Shape& shape) {
  std::filesystem::create_directory(folder);
  std::fflush(nullptr);
  const pid_t child = ::fork();
  if (child == 0) fill_and_die(folder, shape);
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFSIGNALED(status)) return Fault(FaultCode::io_error, "the writer failed");
  LL_TRY(station, FileStation::adopt(folder, shm::WaitKind::park));
  Opening opening;
  opening.open_ns = static_cast<double>(station->opened_ns());
  std::string longest;
  for (const auto& entry : std::filesystem::directory_iterator(station->log_folder())) {
    if (entry.path().extension() == ".segment") longest = entry.path().string();
  }
  const uint64_t begin_ns = monotonic_ns();
  LL_TRY_STATUS(read_file_raw(longest));
  opening.raw_ns = static_cast<double>(monotonic_ns() - begin_ns);
  station.reset();
  std::filesystem::remove_all(folder);
  return opening;
}

}  // namespace

Result<int> measure_recovery(const Options& options, const std::vector<std::string>& command) {
  LL_TRY(bench, begin_disk_bench(options, command));
  std::puts("");
  std::vector<std::vector<std::string>> rows{{"what the killed writer left", "opened in",
                                              "least .. greatest", "a segment read bare",
                                              "promised", "verdict"}};
  for (const Shape& shape : shapes) {
    std::vector<double> opened, raw;
    for (uint32_t number = 0; number < options.schedule.repetitions; ++number) {
      LL_TRY(opening, measure_opening(bench.folder.path() + "/run", shape));
      opened.push_back(opening.open_ns);
      raw.push_back(opening.raw_ns);
      JsonObject object;
      object.text("bench", "recovery").text("subject", shape.name);
      object.rounded("open_ns", opening.open_ns).rounded("raw_ns", opening.raw_ns);
      if (bench.json) bench.json->put(object);
    }
    const MinMedianMax open = middle_of(opened);
    rows.push_back({shape.name, format_duration_rounded(open.median),
                    format_duration_rounded(open.min) + " .. " + format_duration_rounded(open.max),
                    format_duration_rounded(middle_of(raw).median),
                    "< " + format_duration_rounded(shape.promised_ns),
                    open.median < shape.promised_ns ? "pass" : "miss"});
  }
  std::fputs(format_table(rows, {1, 2, 3, 4}).c_str(), stdout);
  return 0;
}

}  // namespace loopline::perf
