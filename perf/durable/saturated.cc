// Saturated: the publisher waits for room in the ring, so the disk sets the pace.
#include "saturated.h"

#include <ctime>
#include <fstream>

#include "io/log/log_reader.h"
#include "io/log/posix_disk.h"
#include "perf/harness/text.h"
#include "perf/peers/file_station.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"

namespace loopline::perf {
namespace {

constexpr uint64_t large_bytes = 64_KiB;
constexpr uint64_t kept_segments = 4;
constexpr uint64_t segment_bytes = 64_MiB;

// What this process had written to disks, by the kernel's count; 0 where it does not count.
uint64_t written_bytes() {
  std::ifstream file("/proc/self/io");
  uint64_t value = 0;
  for (std::string key; file >> key >> value;) {
    if (key == "write_bytes:") return value;
  }
  return 0;
}

struct Reading {
  uint64_t wall_ns;
  uint64_t cpu_ns;  // of all threads but the publisher
  uint64_t durable;
  uint64_t written;
};

Reading read_clocks(FileStation& station) {
  return {monotonic_ns(), clock_ns(CLOCK_PROCESS_CPUTIME_ID) - clock_ns(CLOCK_THREAD_CPUTIME_ID),
          station.status().durable.position, written_bytes()};
}

Status publish_until(Producer& producer, std::span<const std::byte> message, uint64_t end_ns) {
  const PublishOptions options{.ack = Ack::visible};
  while (monotonic_ns() < end_ns) LL_TRY_STATUS(producer.publish(message, options));
  return ok();
}

Status publish_bytes(Producer& producer, std::span<const std::byte> message, uint64_t bytes) {
  const PublishOptions options{.ack = Ack::visible};
  for (uint64_t sent = 0; sent < bytes; sent += message.size()) {
    LL_TRY_STATUS(producer.publish(message, options));
  }
  return ok();
}

std::string wait_name(bool is_spinning) { return is_spinning ? ", spinning" : ", parked"; }

}  // namespace

Result<Figures> write_saturated(const Site& site, bool is_spinning) {
  StationOptions options;
  options.ring = 64_MiB;
  options.segment = segment_bytes;
  options.retention_bytes = kept_segments * segment_bytes;
  LL_TRY(station, FileStation::start(site.folder, options,
                                     is_spinning ? shm::WaitKind::spin : shm::WaitKind::park));
  const std::vector<std::byte> message(large_bytes, std::byte{0x5a});
  // Until dropped segments are used again.
  const uint64_t first_bytes = std::min(site.big_file_bytes, 2 * kept_segments * segment_bytes);
  LL_TRY_STATUS(publish_bytes(station->producer(), message, first_bytes));
  LL_TRY_STATUS(publish_until(station->producer(), message, monotonic_ns() + site.warm_up_ns));
  const Reading begin = read_clocks(*station);
  LL_TRY_STATUS(publish_until(station->producer(), message, begin.wall_ns + site.measure_ns));
  const Reading end = read_clocks(*station);
  const auto wall_ns = static_cast<double>(end.wall_ns - begin.wall_ns);
  const auto durable = static_cast<double>(end.durable - begin.durable);
  Figures figures;
  figures.bytes_per_s = durable * 1e9 / wall_ns;
  figures.cores = static_cast<double>(end.cpu_ns - begin.cpu_ns) / wall_ns;
  figures.written_per_byte = static_cast<double>(end.written - begin.written) / durable;
  figures.version = "this tree";
  figures.settings = "messages of " + format_size(large_bytes) + ", " + station->storage_name() +
                     wait_name(is_spinning) + "; cores without the publisher's";
  return figures;
}

Result<Figures> read_log(const Site& site) {
  StationOptions options;
  options.ring = 64_MiB;
  LL_TRY(station, FileStation::start(site.folder, options, shm::WaitKind::park));
  const std::vector<std::byte> message(large_bytes, std::byte{0x5a});
  LL_TRY_STATUS(publish_bytes(station->producer(), message, site.big_file_bytes));
  LL_TRY(last, station->producer().publish_async(message));
  LL_TRY_STATUS(
      station->producer().wait(last, Ack::durable, std::chrono::nanoseconds(keeper_patience_ns)));
  const io::LogPlace end = station->status().durable;
  LL_TRY(reader, io::LogReader::open(io::posix_disk(), station->log_folder()));
  LL_TRY_STATUS(reader.seek(0));
  const uint64_t cpu_begin_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
  const uint64_t begin_ns = monotonic_ns();
  uint64_t bytes = 0;
  while (monotonic_ns() - begin_ns < site.measure_ns) {
    LL_TRY(step, reader.next(end));
    if (step.kind == io::LogReader::Step::Kind::gap) {
      return Fault(FaultCode::corrupted, "a gap in the log: " + step.gap.why);
    }
    bytes += step.frames.size();
    if (step.kind == io::LogReader::Step::Kind::end) LL_TRY_STATUS(reader.seek(0));
  }
  const auto wall_ns = static_cast<double>(monotonic_ns() - begin_ns);
  Figures figures;
  figures.bytes_per_s = static_cast<double>(bytes) * 1e9 / wall_ns;
  figures.cores = static_cast<double>(clock_ns(CLOCK_THREAD_CPUTIME_ID) - cpu_begin_ns) / wall_ns;
  figures.version = "this tree";
  figures.settings = "its log read and checked, batches of up to 1MiB";
  return figures;
}

}  // namespace loopline::perf
