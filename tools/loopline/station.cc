// Station verbs: add, ls, info, rm.
#include <loopline/station.h>

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>

#include "commands.h"
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
  return unknown_word("--when-full", text, "block or reject");
}

Result<std::optional<Timestamp>> read_timestamp(const std::string& text) {
  if (text.empty()) return std::optional<Timestamp>();
  if (text == "precise") return std::optional(Timestamp::precise);
  if (text == "coarse") return std::optional(Timestamp::coarse);
  if (text == "off") return std::optional(Timestamp::off);
  return unknown_word("--timestamp", text, "precise, coarse or off");
}

Result<std::optional<uint32_t>> read_mode(const std::string& text) {
  if (text.empty()) return std::optional<uint32_t>();
  uint32_t mode = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), mode, 8);
  if (error != std::errc() || end != text.data() + text.size() || mode > 0777) {
    return unknown_word("--mode", text, "permission bits in octal, such as 0660");
  }
  return std::optional(mode);
}

uint64_t last_sequence(const shm::RingSnapshot& snapshot) {
  return snapshot.frontier.second == 0 ? 0 : snapshot.frontier.second - 1;
}

// Messages that can still be read.
uint64_t kept(const shm::RingSnapshot& snapshot) {
  return snapshot.frontier.second - snapshot.oldest.second;
}

// Of the furthest behind, in messages.
uint64_t lag_max(const shm::RingSnapshot& snapshot) {
  uint64_t lag = 0;
  for (const auto& cursor : snapshot.cursors) lag = std::max(lag, cursor.lag_messages);
  return lag;
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

template <class Facts>
std::string people_text(const std::vector<Facts>& facts) {
  size_t dead = 0;
  for (const auto& one : facts) dead += one.occupant.life == shm::Life::dead ? 1 : 0;
  if (dead == 0) return format_count(facts.size());
  return fmt::format("{}, {} of them dead", format_count(facts.size()), format_count(dead));
}

void print_info(Output& out, const shm::RingSnapshot& snapshot) {
  const shm::RingHeader& header = snapshot.header;
  const auto fact = [&](const char* name, const std::string& value) {
    out.line(fmt::format("{}{}", out.paint(Color::dim, fmt::format("{:<13}", name)), value));
  };
  const bool is_open = std::string_view(state_of(snapshot)) == "open";
  fact("station", out.paint(Color::bold, name_of(snapshot)));
  fact("state", out.paint(is_open ? Color::green : Color::red, state_of(snapshot)) +
                    (snapshot.damage.empty() ? "" : ": " + snapshot.damage));
  fact("messages", fmt::format("{} so far; the newest {} are in the ring ({})",
                               format_count(last_sequence(snapshot)), format_count(kept(snapshot)),
                               format_size_rounded(static_cast<double>(snapshot.frontier.first -
                                                                       snapshot.oldest.first))));
  fact("producers", people_text(snapshot.producers));
  fact("consumers",
       people_text(snapshot.cursors) + (snapshot.cursors.empty()
                                            ? ""
                                            : fmt::format("; the slowest is {} behind",
                                                          counted(lag_max(snapshot), "message"))));
  fact("storage", "memory");
  fact("ring", format_size(header.capacity));
  fact("max-message", format_size(header.message_max));
  fact("exclusive", header.exclusive != 0 ? "on" : "off");
  fact("when-full", text_of(header.when_full));
  fact("timestamp", text_of(header.timestamp));
  fact("mode", mode_of(snapshot.path));
  fact("made", utc_text(header.created_ns) + " (" + age_text(header.created_ns) + ")");
  if (!out.is_wide()) return;
  fact("generation", std::to_string(header.generation));
  fact("file", snapshot.path);
}

// Yes from a person; a program has to say --yes.
Status confirm(Output& out, const StationRmArguments& arguments, const std::string& name) {
  if (arguments.yes) return ok();
  if (::isatty(STDIN_FILENO) != 1 || !out.notes_are_watched() || out.is_json()) {
    return Fault(FaultCode::invalid_argument,
                 "station \"" + name + "\" and its messages would be gone: say so with --yes");
  }
  out.flush();
  std::fprintf(stderr, "Remove station %s and its messages? [y/N] ", name.c_str());
  char answer[8] = "";
  if (std::fgets(answer, sizeof answer, stdin) != nullptr && (answer[0] | 0x20) == 'y') return ok();
  return Fault(FaultCode::closed, "station \"" + name + "\" was kept");
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

}  // namespace

Status station_add(Output& out, const StationAddArguments& arguments) {
  StationOptions options;
  LL_TRY(ring, read_size("--ring", arguments.ring));
  LL_TRY(max_message, read_size("--max-message", arguments.max_message));
  LL_TRY(when_full, read_when_full(arguments.when_full));
  LL_TRY(timestamp, read_timestamp(arguments.timestamp));
  LL_TRY(mode, read_mode(arguments.mode));
  options.ring = ring;
  options.max_message = max_message;
  options.when_full = when_full;
  options.timestamp = timestamp;
  options.mode = mode;
  if (arguments.exclusive) options.exclusive = true;
  LL_TRY(station, Station::create(arguments.name, options, out.dir()));
  if (out.is_json()) {
    LL_TRY(viewer, Viewer::open(out.dir()));
    LL_TRY(snapshot, viewer.station(arguments.name));
    out.line(json_of_station(snapshot));
  } else if (!out.is_quiet()) {
    out.line(fmt::format("station {}: a ring of {} in memory, messages of up to {}",
                         out.paint(Color::bold, station.name()), format_size(station.ring_bytes()),
                         format_size(station.max_message())));
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
  for (const auto& snapshot : survey.stations) {
    const bool is_open = std::string_view(state_of(snapshot)) == "open";
    std::vector<Cell> row = {{name_of(snapshot), Color::bold},
                             {state_of(snapshot), is_open ? Color::green : Color::red},
                             format_size(snapshot.header.capacity),
                             format_count(last_sequence(snapshot)),
                             format_count(kept(snapshot)),
                             format_count(snapshot.producers.size()),
                             format_count(snapshot.cursors.size()),
                             format_count(lag_max(snapshot))};
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
  LL_TRY(snapshot, viewer.station(name));
  if (out.is_json()) {
    out.line(json_of_station(snapshot));
  } else {
    print_info(out, snapshot);
  }
  return ok();
}

Status station_rm(Output& out, const StationRmArguments& arguments) {
  LL_TRY(viewer, Viewer::open(out.dir()));
  LL_TRY(name, shm::parse_station_name(arguments.name));
  const auto snapshot = viewer.station(arguments.name);
  if (!snapshot && snapshot.fault().code() == FaultCode::not_found) return snapshot.fault();
  LL_TRY_STATUS(confirm(out, arguments, name.text()));
  LL_TRY_STATUS(remove_ring(out.dir(), name));
  if (out.is_json()) {
    out.line(json_of_removed(name.text()));
  } else if (!out.is_quiet()) {
    out.line("station " + name.text() + " is gone");
  }
  return ok();
}

}  // namespace loopline::cli
