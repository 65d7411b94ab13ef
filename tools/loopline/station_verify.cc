// station verify: every checksum and chain of a station on disk, and exactly what is missing.
#include <fmt/format.h>

#include <filesystem>

#include "commands.h"
#include "io/log/paths.h"
#include "json.h"
#include "log_verdict.h"
#include "options.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "signals.h"
#include "station_disk.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

constexpr uint64_t tell_every_ns = 200'000'000;

std::string part_text(const StationVerdict& station, const LogVerdict& log) {
  return station.logs.size() == 1 ? station.station
                                  : fmt::format("{} partition {}", station.station, log.partition);
}

std::string summary_of(const LogVerdict& log) {
  if (log.last == 0) return "no message is durable";
  if (log.last < log.first) return "all that was durable was dropped by retention meanwhile";
  const std::string range =
      log.first == log.last
          ? fmt::format("message {}", format_count(log.first))
          : fmt::format("messages {} to {}", format_count(log.first), format_count(log.last));
  return fmt::format("{} in {} and {} ({})", range, counted(log.segments, "segment"),
                     log.batches == 1 ? "1 batch" : format_count(log.batches) + " batches",
                     format_size_rounded(static_cast<double>(log.disk_bytes)));
}

std::string range_text(const MissingRange& missing) {
  const uint64_t first = missing.gap.from.sequence;
  const uint64_t last = missing.gap.to.sequence - 1;
  const std::string range = first == last
                                ? fmt::format("message {} is", format_count(first))
                                : fmt::format("messages {} to {} ({}) are", format_count(first),
                                              format_count(last), format_count(last - first + 1));
  return fmt::format("{} missing: {}{}", range, missing.gap.why,
                     missing.file.empty() ? "" : "; file " + missing.file);
}

void print(Output& out, const StationVerdict& station) {
  for (const LogVerdict& log : station.logs) {
    const std::string state = log.is_well()         ? out.paint(Color::green, "whole")
                              : log.missing.empty() ? out.paint(Color::yellow, "damaged")
                                                    : out.paint(Color::red, "not whole");
    out.line(fmt::format("{}: {}: {}", out.paint(Color::bold, part_text(station, log)),
                         summary_of(log), state));
    const auto detail = [&](Color color, const std::string& text) {
      out.line("  " + out.paint(color, text));
    };
    if (!log.trouble.empty()) detail(Color::red, log.trouble);
    for (const MissingRange& missing : log.missing) detail(Color::red, range_text(missing));
    for (const std::string& note : log.notes) detail(Color::yellow, note + " (no message is lost)");
    for (const std::string& file : log.strangers) {
      detail(Color::none, "not a file of this log, and left alone: " + file);
    }
    detail(Color::dim, "in " + log.folder);
    const char* const when = log.flusher ? "writer: " : "next opening: ";
    detail(Color::dim, when + log.next_opening);
  }
}

// What is wrong, in a sentence, and what can be done.
Fault fault_of(const StationVerdict& station) {
  uint64_t missing = 0, gaps = 0, notes = 0;
  for (const LogVerdict& log : station.logs) {
    missing += log.missing_count();
    gaps += log.missing.size();
    notes += log.notes.size();
    if (!log.trouble.empty()) return {FaultCode::corrupted, log.trouble};
  }
  if (!station.conf_damage.empty()) return {FaultCode::corrupted, station.conf_damage};
  const std::string name = "station \"" + station.station + "\" ";
  if (missing != 0) {
    return {FaultCode::corrupted,
            name + "has lost " + counted(missing, "message") + " in " + counted(gaps, "gap") +
                "; consumers are told of them and get all others; copy the folder before you mend "
                "anything, and put the named files back from a backup if there is one"};
  }
  return {FaultCode::corrupted, name + "has " + counted(notes, "damaged place") +
                                    " and has lost no message; look at the disk that holds " +
                                    station.folder};
}

// Where each partition's log is checked, and against what.
Result<std::vector<LogToVerify>> logs_of(const Output& out, const StationVerifyArguments& arguments,
                                         StationVerdict& verdict) {
  LL_TRY(name, shm::parse_station_name(arguments.name));
  LL_TRY(partition, read_number("--partition", arguments.partition, "a number, counted from 0"));
  LL_TRY(data, find_data(out.dir()));
  const auto viewer = Viewer::open(out.dir());
  const auto rings = viewer ? viewer->partitions(arguments.name)
                            : Result<std::vector<shm::RingSnapshot>>(viewer.fault());
  if (!rings && rings.fault().code() != FaultCode::not_found) return rings.fault();
  const shm::RingHeader* const header = rings ? &rings->front().header : nullptr;
  const StationOnDisk disk = find_on_disk(data, name, header);
  if (!disk.is_there && !rings) return rings.fault();
  if (header != nullptr && header->storage == shm::Storage::memory) {
    return Fault(FaultCode::unsupported, "station \"" + name.text() +
                                             "\" is in memory: it has no log to verify; see: "
                                             "loopline ring show " +
                                             name.text());
  }
  verdict.station = name.text();
  verdict.folder = disk.folder;
  verdict.conf_damage = disk.damage;
  const uint32_t count = disk.partitions;
  if (partition && *partition >= count) {
    return Fault(FaultCode::not_found, fmt::format("station \"{}\" has no partition {}; it has {}, "
                                                   "counted from 0",
                                                   name.text(), *partition, count));
  }
  std::vector<LogToVerify> logs;
  for (uint32_t index = 0; index < count; ++index) {
    if (partition && index != *partition) continue;
    LogToVerify log;
    log.partition = index;
    log.folder = io::log_folder(data, name, index);
    if (disk.conf) log.id = io::log_of_partition(disk.conf->id, index);
    auto ring = viewer
                    ? viewer->on_its_way_to_disk(name, index)
                    : Result<std::optional<shm::RingSnapshot>>(std::optional<shm::RingSnapshot>());
    if (ring) log.ring = std::move(*ring);
    logs.push_back(std::move(log));
  }
  return logs;
}

}  // namespace

Status station_verify(Output& out, const StationVerifyArguments& arguments) {
  StationVerdict verdict;
  LL_TRY(logs, logs_of(out, arguments, verdict));
  uint64_t told_ns = monotonic_ns();
  for (LogToVerify& log : logs) {
    log.goes_on = [&](double part) {
      if (monotonic_ns() - told_ns >= tell_every_ns) {
        told_ns = monotonic_ns();
        out.progress(fmt::format("partition {} of {}: {:.0f} % checked", log.partition,
                                 verdict.station, part * 100));
      }
      return !stop_requested();
    };
    LL_TRY(checked, verify_log(log));
    verdict.logs.push_back(std::move(checked));
  }
  if (out.is_json()) {
    out.line(json_of(verdict));
  } else if (!out.is_quiet()) {
    print(out, verdict);
  }
  return verdict.is_well() ? ok() : Status(fault_of(verdict));
}

}  // namespace loopline::cli
