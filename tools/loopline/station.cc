// Station verbs: add, ls, info, rm.
#include "station.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "json.h"
#include "options.h"
#include "shm/base/clock.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

Result<std::optional<WhenFull>> read_when_full(const std::string& text) {
  if (text.empty()) return std::optional<WhenFull>();
  if (text == "block") return std::optional(WhenFull::block);
  if (text == "reject") return std::optional(WhenFull::reject);
  if (text == "drop-oldest") return std::optional(WhenFull::drop_oldest);
  return unknown_word("--when-full", text, "block, reject or drop-oldest");
}

Result<std::optional<Timestamp>> read_timestamp(const std::string& text) {
  if (text.empty()) return std::optional<Timestamp>();
  if (text == "precise") return std::optional(Timestamp::precise);
  if (text == "coarse") return std::optional(Timestamp::coarse);
  if (text == "off") return std::optional(Timestamp::off);
  return unknown_word("--timestamp", text, "precise, coarse or off");
}

std::string age_text(uint64_t utc_then_ns) {
  const uint64_t now = utc_ns();
  if (now < utc_then_ns) return "in the future";
  return format_duration_rounded(static_cast<double>(now - utc_then_ns)) + " ago";
}

std::string mode_of(const std::string& path) {
  struct stat status;
  if (::stat(path.c_str(), &status) != 0) return "?";
  return fmt::format("{:04o}, owner {}, group {}", status.st_mode & 0777, status.st_uid,
                     status.st_gid);
}

std::string people_text(size_t count, size_t dead) {
  if (dead == 0) return format_count(count);
  return fmt::format("{}, {} of them dead", format_count(count), format_count(dead));
}

// What each partition has: keys may be spread unevenly, and one may be stuck alone.
void print_partitions(Output& out, StationRings rings) {
  Table table({{"PARTITION", true},
               {"STATE"},
               {"MESSAGES", true},
               {"KEPT", true},
               {"PRODUCERS", true},
               {"CONSUMERS", true},
               {"LAG", true}});
  for (const auto& ring : rings) {
    const StationSums sums = sums_of({&ring, 1});
    table.add({std::to_string(ring.header.partition), state_of(ring), format_count(sums.messages),
               format_count(sums.kept), format_count(sums.producers), format_count(sums.consumers),
               format_count(sums.lag_max)});
  }
  out.line("");
  table.print(out);
}

void print_info(Output& out, StationRings rings) {
  const shm::RingSnapshot& snapshot = rings.front();
  const StationSums sums = sums_of(rings);
  const shm::RingHeader& header = snapshot.header;
  const auto fact = [&](const char* name, const std::string& value) {
    out.line(fmt::format("{}{}", out.paint(Color::dim, fmt::format("{:<13}", name)), value));
  };
  const bool is_open = std::string_view(state_of(snapshot)) == "open";
  fact("station", out.paint(Color::bold, name_of(snapshot)));
  fact("state", out.paint(is_open ? Color::green : Color::red, state_of(snapshot)) +
                    (snapshot.damage.empty() ? "" : ": " + snapshot.damage));
  fact("messages", fmt::format("{} so far; the newest {} are in the ring ({})",
                               format_count(sums.messages), format_count(sums.kept),
                               format_size_rounded(static_cast<double>(sums.kept_bytes))));
  fact("producers", people_text(sums.producers, sums.dead_producers));
  fact("consumers", people_text(sums.consumers, sums.dead_consumers) +
                        (sums.consumers == 0 ? ""
                                             : fmt::format("; the slowest is {} behind",
                                                           counted(sums.lag_max, "message"))));
  const std::string unfinished = unfinished_edit(rings);
  if (!unfinished.empty()) fact("edit", out.paint(Color::yellow, unfinished));
  fact("storage", shm::word_of(header.storage));
  fact("partitions", std::to_string(header.partitions));
  fact("ring", format_size(header.capacity) + (rings.size() > 1 ? " each" : ""));
  fact("max-message", format_size(header.message_max));
  fact("exclusive", header.exclusive != 0 ? "on" : "off");
  fact("when-full", text_of(header.when_full));
  fact("evict-after", header.evict_after_ns == 0 ? "off" : format_duration(header.evict_after_ns));
  fact("timestamp", text_of(header.timestamp));
  fact("mode", mode_of(snapshot.path));
  fact("made", utc_text(header.created_ns) + " (" + age_text(header.created_ns) + ")");
  if (out.is_wide()) {
    fact("generation", std::to_string(header.generation));
    fact("file", snapshot.path);
  }
  if (rings.size() > 1) print_partitions(out, rings);
}

// A ring that no program of this version can attach to is removed as a file: nobody hears of it.
Status remove_ring(const std::string& dir, const shm::StationName& name) {
  Status removed = Station::remove(name.text(), dir);
  if (removed) return removed;
  const FaultCode code = removed.fault().code();
  if (code != FaultCode::corrupted && code != FaultCode::version_mismatch) return removed;
  LL_TRY(paths, shm::find_instance(dir));
  LL_TRY(directory, shm::Directory::open(paths));
  if (!directory.unlink(name, 0)) return removed;
  return ok();
}

Result<std::optional<Storage>> read_storage(const std::string& text) {
  if (text.empty()) return std::optional<Storage>();
  if (text == "memory") return std::optional(Storage::memory);
  if (text == "file") return std::optional(Storage::file);
  return unknown_word("--storage", text, "memory or file");
}

// A number, or 0 for off.
template <class Read>
auto read_or_off(const std::string& text, Read&& read) {
  return read(text == "off" ? std::string("0") : text);
}

// What is about its log.
Status read_log_options(const StationAddArguments& arguments, StationOptions& options) {
  LL_TRY(storage, read_storage(arguments.storage));
  LL_TRY(segment, read_size("--segment", arguments.segment));
  LL_TRY(age, read_duration_or_off("--retention-age", arguments.retention_age));
  LL_TRY(bytes, read_or_off(arguments.retention_bytes, [](const std::string& text) {
           return read_size("--retention-bytes", text);
         }));
  LL_TRY(messages, read_or_off(arguments.retention_messages, [](const std::string& text) {
           return read_number("--retention-messages", text, "a number of messages, or off");
         }));
  const bool is_grouped = arguments.flush == "group-commit";
  LL_TRY(flush, read_duration_or_off("--flush", is_grouped ? "off" : arguments.flush));
  options.storage = storage;
  options.segment = segment;
  options.retention_age = age;
  options.retention_bytes = bytes;
  options.retention_messages = messages;
  options.flush = flush;
  return ok();
}

}  // namespace

Result<StationOptions> read_station_options(const StationAddArguments& arguments) {
  StationOptions options;
  LL_TRY(ring, read_size("--ring", arguments.ring));
  LL_TRY(max_message, read_size("--max-message", arguments.max_message));
  LL_TRY(when_full, read_when_full(arguments.when_full));
  LL_TRY(evict_after, read_duration_or_off("--evict-after", arguments.evict_after));
  LL_TRY(timestamp, read_timestamp(arguments.timestamp));
  LL_TRY(mode, read_mode(arguments.mode));
  LL_TRY(partitions, read_number("--partitions", arguments.partitions, "a number from 1 to 256"));
  options.partitions = partitions;
  options.ring = ring;
  options.max_message = max_message;
  options.when_full = when_full;
  options.evict_after = evict_after;
  options.timestamp = timestamp;
  options.mode = mode;
  if (!arguments.owner.empty()) options.owner = arguments.owner;
  if (arguments.exclusive) options.exclusive = true;
  LL_TRY_STATUS(read_log_options(arguments, options));
  return options;
}

Status confirm(Output& out, bool yes, const Question& question) {
  if (yes) return ok();
  if (::isatty(STDIN_FILENO) != 1 || !out.notes_are_watched() || out.is_json()) {
    return Fault(FaultCode::invalid_argument, question.loss + ": say so with --yes");
  }
  out.flush();
  std::fprintf(stderr, "%s [y/N] ", question.text.c_str());
  char answer[8] = "";
  if (std::fgets(answer, sizeof answer, stdin) != nullptr && (answer[0] | 0x20) == 'y') return ok();
  return Fault(FaultCode::closed, question.spared);
}

Status station_add(Output& out, const StationAddArguments& arguments) {
  LL_TRY(options, read_station_options(arguments));
  LL_TRY(station, Station::create(arguments.name, options, out.dir()));
  if (out.is_json()) {
    LL_TRY(viewer, Viewer::open(out.dir()));
    LL_TRY(rings, viewer.partitions(arguments.name));
    out.line(json_of_station(rings));
  } else if (!out.is_quiet()) {
    const std::string rings = station.partitions() == 1
                                  ? "a ring of " + format_size(station.ring_bytes())
                                  : fmt::format("{} rings of {} each", station.partitions(),
                                                format_size(station.ring_bytes()));
    const bool is_file = options.storage == Storage::file;
    out.line(fmt::format("station {}: {} in memory{}, messages of up to {}",
                         out.paint(Color::bold, station.name()), rings,
                         is_file ? " and a log on disk" : "", format_size(station.max_message())));
    if (is_file) out.note("it is flushed by: loopline flush " + station.name() + " --follow");
  }
  return ok();
}

Status station_ls(Output& out) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(survey, viewer.survey());
  if (out.is_json()) {
    out.line(json_of(survey));
    return ok();
  }
  std::vector<Table::Column> columns = {{"STATION"},         {"STATE"},      {"RING"},
                                        {"MESSAGES", true},  {"KEPT", true}, {"PRODUCERS", true},
                                        {"CONSUMERS", true}, {"LAG", true}};
  if (out.is_wide()) {
    for (const char* title : {"MAX-MESSAGE", "WHEN-FULL", "TIMESTAMP", "MADE", "FILE"}) {
      columns.push_back({title});
    }
  }
  Table table(columns);
  for (const StationRings rings : by_station(survey.rings)) {
    const shm::RingSnapshot& snapshot = rings.front();
    const StationSums sums = sums_of(rings);
    const std::string each = format_size(snapshot.header.capacity);
    const bool is_open = std::string_view(state_of(snapshot)) == "open";
    std::vector<Cell> row = {{name_of(snapshot), Color::bold},
                             {state_of(snapshot), is_open ? Color::green : Color::red},
                             rings.size() == 1 ? each : fmt::format("{}x {}", rings.size(), each),
                             format_count(sums.messages),
                             format_count(sums.kept),
                             format_count(sums.producers),
                             format_count(sums.consumers),
                             format_count(sums.lag_max)};
    if (out.is_wide()) {
      row.emplace_back(format_size(snapshot.header.message_max));
      row.emplace_back(text_of(snapshot.header.when_full));
      row.emplace_back(text_of(snapshot.header.timestamp));
      row.emplace_back(utc_text(snapshot.header.created_ns));
      row.emplace_back(snapshot.path);
    }
    table.add(std::move(row));
  }
  if (table.is_empty()) {
    out.note("no stations in " + viewer.paths().folder + "; make one: loopline station add NAME");
  } else {
    table.print(out);
  }
  for (const auto& path : survey.strangers) out.note("no ring, though it lies among them: " + path);
  return ok();
}

Status station_info(Output& out, const std::string& name) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(rings, viewer.partitions(name));
  if (out.is_json()) {
    out.line(json_of_station(rings));
  } else {
    print_info(out, rings);
  }
  return ok();
}

Status station_rm(Output& out, const StationRmArguments& arguments) {
  LL_TRY(name, shm::parse_station_name(arguments.name));
  (void)Station::open(arguments.name, out.dir());  // one that is only on disk gets its rings
  LL_TRY(viewer, Viewer::open(out.dir()));
  const auto snapshot = viewer.station(arguments.name);
  if (!snapshot && snapshot.fault().code() == FaultCode::not_found) return snapshot.fault();
  LL_TRY_STATUS(confirm(out, arguments.yes,
                        {"station \"" + name.text() + "\" and its messages would be gone",
                         "Remove station " + name.text() + " and its messages?",
                         "station \"" + name.text() + "\" was kept"}));
  LL_TRY_STATUS(remove_ring(out.dir(), name));
  if (out.is_json()) {
    out.line(json_of_removed(name.text()));
  } else if (!out.is_quiet()) {
    out.line("station " + name.text() + " is gone");
  }
  return ok();
}

}  // namespace loopline::cli
