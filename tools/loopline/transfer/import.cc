// station import: a stream becomes a station again.
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "report.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "shm/file.h"
#include "target.h"
#include "tools/loopline/commands.h"
#include "tools/loopline/signals.h"
#include "tools/loopline/station.h"

namespace loopline::cli {
namespace {

constexpr uint64_t show_every_ns = 1'000'000'000;
constexpr uint64_t show_step = 1024;  // items between two looks at the clock

std::string text_of(const TransferDamage& damage) {
  const std::string where = fmt::format("damaged at byte {}: {}", damage.offset, damage.why);
  if (damage.first == 0) return where;
  const std::string which = damage.first == damage.last
                                ? fmt::format("message {}", damage.first)
                                : fmt::format("messages {} to {}", damage.first, damage.last);
  return fmt::format("{}: {} of partition {}", where, which, damage.partition);
}

class Importer {
 public:
  Importer(Output& out, const StationImportArguments& arguments, TransferReport& report)
      : out_(out), arguments_(arguments), report_(report) {}

  Status open_input() {
    const bool is_stdin = arguments_.input == "-";
    name_ = is_stdin ? "stdin" : arguments_.input;
    if (is_stdin) {
      if (::isatty(STDIN_FILENO) != 1) return ok();
      return Fault(FaultCode::invalid_argument,
                   "say what to import: --input FILE, or send an export through a pipe");
    }
    file_ = shm::File(::open(arguments_.input.c_str(), O_RDONLY | O_CLOEXEC));
    if (file_.fd() < 0) return fault_from_errno(errno, "cannot read " + name_);
    fd_ = file_.fd();
    struct stat status;
    can_begin_again_ = ::fstat(fd_, &status) == 0 && S_ISREG(status.st_mode);
    return ok();
  }

  // All of it, without making anything: what is damaged is known before the station is there.
  Status check() {
    if (!can_begin_again_ || arguments_.salvage) return ok();
    TransferReader reader = reader_of();
    LL_TRY_STATUS(reader.open());
    report_.source = reader.begin().station;
    LL_TRY_STATUS(walk(reader, nullptr, "checked"));
    if (!reader.is_whole()) return damaged(reader, "nothing was imported");
    report_.gaps.clear();
    report_.missing = 0;
    if (::lseek(fd_, 0, SEEK_SET) == 0) return ok();
    return fault_from_errno(errno, "cannot read " + name_ + " once more");
  }

  Status run(const StationOptions& options) {
    TransferReader reader = reader_of();
    LL_TRY_STATUS(reader.open());
    report_.source = reader.begin().station;
    LL_TRY(name, shm::parse_station_name(arguments_.to.name.empty() ? reader.begin().station
                                                                    : arguments_.to.name));
    LL_TRY(station, new_station_of(reader.begin(), name, options));
    report_.station = name.text();
    report_.is_file = station.is_file;
    report_.is_renumbered = arguments_.renumber;
    if (station.owner_left_out) {
      out_.note("it belongs to you, not to " + *station.owner_left_out +
                " as the original did; see --owner");
    }
    ImportTarget target(out_, station, name_ + " (" + report_.source + ")");
    LL_TRY_STATUS(target.make(starts_of(reader.begin())));
    Status filled = walk(reader, &target, "imported");
    const bool is_kept = reader.is_whole() || arguments_.salvage;
    if (filled && is_kept) filled = target.finish();
    report_.stream_bytes = reader.offset();
    report_.digest = reader.digest();
    if (filled && is_kept) {
      report_.is_made = true;
      return reader.is_whole() ? ok() : Status(damaged(reader, "all others are imported"));
    }
    return take_back(target, filled ? damaged(reader, "nothing was imported") : filled.fault());
  }

 private:
  TransferReader reader_of() {
    return TransferReader([this](void* to, size_t size) { return read(to, size); }, name_);
  }
  ssize_t read(void* to, size_t size) {
    const ssize_t got = ::read(fd_, to, size);
    return got < 0 && errno == EINTR && stop_requested() ? 0 : got;
  }

  std::vector<uint64_t> starts_of(const TransferBegin& begin) const {
    std::vector<uint64_t> starts;
    for (const auto& range : begin.partitions) {
      starts.push_back(arguments_.renumber ? 1 : range.begins);
    }
    return starts;
  }

  // To the end of the stream, into `target` if there is one.
  Status walk(TransferReader& reader, ImportTarget* target, const char* done) {
    report_.partitions.assign(reader.begin().partitions.size(), {});
    report_.damages.clear();
    report_.damage_count = report_.messages = report_.payload_bytes = 0;
    uint64_t told_ns = monotonic_ns();
    for (uint64_t step = 1;; ++step) {
      LL_TRY(item, reader.next());
      if (stop_requested()) return Fault(FaultCode::closed, "interrupted");
      if (item.kind == TransferItem::Kind::end) return ok();
      LL_TRY_STATUS(take(item, target));
      if (step % show_step != 0 || monotonic_ns() - told_ns < show_every_ns) continue;
      told_ns = monotonic_ns();
      out_.progress(fmt::format("{} {}, {}", counted(report_.messages, "message"), done,
                                format_size_rounded(static_cast<double>(reader.offset()))));
    }
  }

  Status take(const TransferItem& item, ImportTarget* target) {
    if (item.kind == TransferItem::Kind::damage) {
      ++report_.damage_count;
      if (report_.damages.size() >= transfer_report_max) return ok();
      report_.damages.push_back(item.damage);
      out_.note(text_of(item.damage));
      return ok();
    }
    if (item.kind == TransferItem::Kind::gap) {
      report_.missing += item.last - item.first + 1;
      if (report_.gaps.size() >= transfer_report_max) return ok();
      report_.gaps.push_back({item.partition, item.first, item.last});
      if (target == nullptr) return ok();
      out_.note(
          fmt::format("gap: messages {} to {} of partition {} were missing when it was "
                      "exported",
                      item.first, item.last, item.partition));
      return ok();
    }
    const TransferMessage& message = item.message;
    if (target != nullptr) {
      const uint64_t next = target->next(message.partition);
      LL_TRY_STATUS(target->put(message, arguments_.renumber ? next : message.sequence));
    }
    auto& partition = report_.partitions[message.partition];
    if (partition.messages++ == 0) partition.first = message.sequence;
    partition.last = message.sequence;
    ++report_.messages;
    report_.payload_bytes += message.payload.size();
    return ok();
  }

  Fault damaged(const TransferReader& reader, const char* outcome) const {
    const auto written = reader.messages_written();
    const uint64_t whole = reader.messages();
    const std::string lost =
        !written ? fmt::format("{} are whole, and its end is missing", counted(whole, "message"))
        : *written <= whole ? std::string("no message is lost")
                            : fmt::format("{} of {} are lost", format_count(*written - whole),
                                          counted(*written, "message"));
    const std::string next =
        arguments_.salvage ? ""
                           : "; take another copy of it, or import what is whole with --salvage";
    return {FaultCode::corrupted,
            fmt::format("{} is damaged, as told above: {}; {}{}", name_, lost, outcome, next)};
  }

  Status take_back(ImportTarget& target, const Fault& why) {
    const std::string station = "station \"" + report_.station + "\"";
    const Status removed = target.remove();
    const bool is_gone = removed && !target.is_made();
    if (is_gone && why.code() == FaultCode::corrupted) return why;
    const std::string left =
        is_gone ? "; " + station + " was taken away again"
                : "; " + station + " holds a part only, remove it: loopline station rm " +
                      report_.station + (removed ? "" : " (" + removed.fault().message() + ")");
    return Fault(why.code(), why.message() + left);
  }

  Output& out_;
  const StationImportArguments& arguments_;
  TransferReport& report_;
  std::string name_;
  shm::File file_;
  int fd_ = STDIN_FILENO;
  bool can_begin_again_ = false;
};

void print_import(Output& out, const TransferReport& report) {
  if (out.is_json()) {
    out.line(json_of_import(report));
    return;
  }
  if (!report.is_made || out.is_quiet()) return;
  out.line(fmt::format("station {}: {} imported out of {}{}, {}, {}",
                       out.paint(Color::bold, report.station), counted(report.messages, "message"),
                       report.source, report.file == "-" ? "" : " in " + report.file,
                       format_size_rounded(static_cast<double>(report.payload_bytes)),
                       report.is_file ? "all of it durable" : "in memory"));
}

}  // namespace

Status station_import(Output& out, const StationImportArguments& arguments) {
  LL_TRY(options, read_station_options(arguments.to));
  TransferReport report;
  report.file = arguments.input;
  const uint64_t begun_ns = monotonic_ns();
  Importer importer(out, arguments, report);
  LL_TRY_STATUS(importer.open_input());
  Status done = importer.check();
  if (done) done = importer.run(options);
  report.seconds = static_cast<double>(monotonic_ns() - begun_ns) / 1e9;
  if (done || report.damage_count != 0) print_import(out, report);
  return done;
}

}  // namespace loopline::cli
