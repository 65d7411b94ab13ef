// station export: what is in a station now, message by message, as a stream.
#include <fmt/format.h>
#include <loopline/station.h>

#include <algorithm>
#include <array>
#include <numeric>

#include "file.h"
#include "parameters.h"
#include "report.h"
#include "shm/base/clock.h"
#include "shm/extension.h"
#include "shm/file.h"
#include "tools/loopline/commands.h"
#include "tools/loopline/options.h"
#include "tools/loopline/signals.h"
#include "tools/loopline/station_disk.h"
#include "tools/loopline/viewer.h"
#include "writer.h"

namespace loopline::cli {
namespace {

constexpr uint64_t tell_every_ns = 1'000'000'000;
constexpr auto idle_slice = std::chrono::milliseconds(20);
constexpr int idle_slices_max = 100;  // for messages that were visible: the files of a log move

// One partition on its way into the stream. Its first run is read before the stream begins, which
// says with which sequence it begins.
class Source {
 public:
  Source(Consumer consumer, uint32_t partition, uint64_t until)
      : consumer_(std::move(consumer)), partition_(partition), until_(until) {}

  Status read() {
    LL_TRY(count, consumer_.read(run_));
    count_ = count;
    gap_ = consumer_.gap();
    return ok();
  }
  TransferBegin::Range range() const {
    const uint64_t begins = std::max<uint64_t>(count_ == 0 ? next() : run_[0].sequence(), 1);
    const uint64_t first = gap_.count == 0 ? begins : std::clamp<uint64_t>(gap_.first, 1, begins);
    return {first, begins, std::max(begins, until_)};
  }
  // What was missing before the run at hand, as far as it is wanted.
  std::optional<TransferGap> gap() const {
    if (gap_.count == 0 || gap_.first >= until_) return {};
    return TransferGap{partition_, gap_.first, std::min(until_, gap_.first + gap_.count) - 1};
  }
  // The run at hand, into the stream.
  Status write(TransferWriter& writer, uint64_t end_ns, PartitionTransferred& told) {
    for (size_t index = 0; index < count_; ++index) {
      const Message& message = run_[index];
      if (message.timestamp_ns() >= end_ns) until_ = std::min(until_, message.sequence());
      if (message.sequence() >= until_) break;
      LL_TRY_STATUS(add(writer, message));
      if (told.messages++ == 0) told.first = message.sequence();
      told.last = message.sequence();
    }
    idle_slices_ = count_ == 0 ? idle_slices_ + 1 : 0;
    return count_ == 0 ? ok() : consumer_.release();
  }
  bool is_over() const { return next() >= until_; }
  // Nothing came for so long, though there was more.
  bool is_stuck() const { return idle_slices_ > idle_slices_max; }
  TransferGap rest() const { return {partition_, next(), until_ - 1}; }
  // The next run; waits for it a moment when none came before.
  Status go_on() {
    if (idle_slices_ != 0) {
      LL_TRY(is_ready, consumer_.wait(idle_slice));
      static_cast<void>(is_ready);  // either way we look again
    }
    return read();
  }

 private:
  uint64_t next() const { return consumer_.next_sequence(partition_); }
  Status add(TransferWriter& writer, const Message& message) {
    shm::ExtensionFields fields;
    fields.key = message.key();
    fields.id = message.id();
    headers_.clear();
    for (uint32_t index = 0; index < message.header_count(); ++index) {
      headers_.push_back(message.header(index));
    }
    fields.headers = headers_;
    const auto producer = message.producer();
    if (producer) fields.producer = {producer->id, producer->sequence, producer->epoch};
    LL_TRY(size, shm::extension_size(fields));
    extension_.resize(size);
    if (size != 0) shm::write_extension(fields, size, extension_.data());
    return writer.add(
        {partition_, message.sequence(), message.timestamp_ns(), extension_, message.payload()});
  }

  Consumer consumer_;
  uint32_t partition_;
  uint64_t until_;  // the sequence to stop before
  std::array<Message, Consumer::run_max> run_;
  size_t count_ = 0;
  Gap gap_;
  int idle_slices_ = 0;
  std::vector<Header> headers_;
  std::vector<std::byte> extension_;
};

class Exporter {
 public:
  Exporter(Output& out, TransferReport& report) : out_(out), report_(report) {}

  Status open(const StationExportArguments& arguments) {
    const uint64_t now_ns = utc_ns();
    const std::string from_text = arguments.from.empty() ? "earliest" : arguments.from;
    LL_TRY(from, read_from(from_text, now_ns));
    LL_TRY(to, read_to(arguments.to, now_ns));
    LL_TRY(station, Station::open(arguments.station, out_.dir()));
    report_.station = begin_.station = station.name();
    report_.is_file = begin_.is_file = station.storage() == Storage::file;
    begin_.taken_ns = now_ns;
    end_ns_ = to.timestamp_ns.value_or(~0ull);
    const bool counts = from.kind() == From::Kind::sequence || to.sequence;
    if (counts && station.partitions() > 1) {
      return Fault(FaultCode::invalid_argument,
                   "seq: counts in one partition, and an export has all of them: use time:");
    }
    // One that holds nobody back: of a station on disk no consumer does.
    for (uint32_t partition = 0; partition < station.partitions(); ++partition) {
      const ConsumerOptions options{.from = from, .lossy = !begin_.is_file, .partition = partition};
      LL_TRY(consumer, station.consumer(options));
      consumers_.push_back(std::move(consumer));
    }
    return find_ends(arguments.station, to.sequence.value_or(~0ull));
  }

  Status run(TransferWriter& writer) {
    for (Source& source : sources_) {
      LL_TRY_STATUS(source.read());
      begin_.partitions.push_back(source.range());
    }
    LL_TRY_STATUS(writer.begin(begin_));
    report_.partitions.resize(sources_.size());
    uint64_t told_ns = monotonic_ns();
    std::vector<uint32_t> left(sources_.size());
    std::iota(left.begin(), left.end(), 0);
    while (!left.empty()) {
      for (size_t index = 0; index < left.size();) {
        LL_TRY(goes_on, step(writer, left[index]));
        if (goes_on) {
          ++index;
        } else {
          left.erase(left.begin() + static_cast<ptrdiff_t>(index));
        }
      }
      if (stop_requested()) return Fault(FaultCode::closed, "interrupted: the export is not whole");
      if (monotonic_ns() - told_ns < tell_every_ns) continue;
      told_ns = monotonic_ns();
      out_.progress(fmt::format("{} exported, {}", counted(writer.totals().messages, "message"),
                                format_size_rounded(static_cast<double>(writer.bytes()))));
    }
    return writer.end();
  }

 private:
  // Behind what is there now, after we attached: nothing dead is open.
  Status find_ends(const std::string& station, uint64_t bound) {
    LL_TRY(viewer, Viewer::open(out_.dir()));
    LL_TRY(rings, viewer.partitions(station));
    LL_TRY(data, find_data(out_.dir()));
    LL_TRY(text, parameters_text(data, rings.front()));
    begin_.parameters = std::move(text);
    std::vector<uint64_t> ends(consumers_.size(), 1);
    for (const auto& ring : rings) {
      if (ring.header.partition >= ends.size()) continue;
      ends[ring.header.partition] = std::min(ring.visible.second, bound);
    }
    sources_.reserve(ends.size());
    for (uint32_t partition = 0; partition < ends.size(); ++partition) {
      sources_.emplace_back(std::move(consumers_[partition]), partition, ends[partition]);
    }
    return ok();
  }

  // What this partition has at hand, and its next run. False: it is through.
  Result<bool> step(TransferWriter& writer, uint32_t partition) {
    Source& source = sources_[partition];
    if (const auto gap = source.gap()) {
      LL_TRY_STATUS(put_gap(writer, *gap,
                            begin_.is_file ? "dropped by retention, or damaged on disk"
                                           : "overwritten before they could be read"));
    }
    LL_TRY_STATUS(source.write(writer, end_ns_, report_.partitions[partition]));
    if (source.is_over()) {
      return false;
    }
    if (source.is_stuck()) {
      LL_TRY_STATUS(put_gap(writer, source.rest(), "nothing came for seconds"));
      return false;
    }
    LL_TRY_STATUS(source.go_on());
    return true;
  }

  Status put_gap(TransferWriter& writer, const TransferGap& gap, const char* why) {
    if (report_.gaps.size() < transfer_report_max) report_.gaps.push_back(gap);
    out_.note(fmt::format("gap: messages {} to {} of partition {} are not in the export: {}",
                          gap.first, gap.last, gap.partition, why));
    return writer.gap(gap.partition, gap.first, gap.last);
  }

  Output& out_;
  TransferReport& report_;
  TransferBegin begin_;
  uint64_t end_ns_ = 0;
  std::vector<Consumer> consumers_;
  std::vector<Source> sources_;
};

void print_export(Output& out, const TransferReport& report) {
  if (out.is_json()) {
    out.line(json_of_export(report));
    return;
  }
  out.note(fmt::format("{} of {} exported: {} of payload, {} in all, XXH3 {:016x}",
                       counted(report.messages, "message"), report.station,
                       format_size_rounded(static_cast<double>(report.payload_bytes)),
                       format_size_rounded(static_cast<double>(report.stream_bytes)),
                       report.digest));
}

}  // namespace

Status station_export(Output& out, const StationExportArguments& arguments) {
  if (out.is_json() && arguments.output == "-") {
    return Fault(FaultCode::invalid_argument,
                 "the export itself goes to stdout, and --json too: name a file with --output");
  }
  TransferReport report;
  report.file = arguments.output;
  const uint64_t begun_ns = monotonic_ns();
  Exporter exporter(out, report);
  LL_TRY_STATUS(exporter.open(arguments));
  LL_TRY(file, ExportFile::open(arguments.output, arguments.overwrite));
  LL_TRY(id, shm::make_uuid());
  TransferWriter writer([&file](std::span<const std::byte> bytes) { return file.put(bytes); },
                        id.words[0]);
  LL_TRY_STATUS(exporter.run(writer));
  LL_TRY_STATUS(file.finish());
  report.messages = writer.totals().messages;
  report.payload_bytes = writer.totals().payload_bytes;
  report.missing = writer.totals().missing;
  report.stream_bytes = writer.bytes();
  report.digest = writer.digest();
  report.seconds = static_cast<double>(monotonic_ns() - begun_ns) / 1e9;
  print_export(out, report);
  if (report.missing == 0) return ok();
  return Fault(FaultCode::corrupted,
               fmt::format("the export is whole but for {} that {} could not give; they are told "
                           "above, and in the stream",
                           counted(report.missing, "message"), report.station));
}

}  // namespace loopline::cli
