// station ls, station info: stations whose rings live, and those that are only on disk.
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <functional>

#include "commands.h"
#include "json.h"
#include "log_text.h"
#include "next_drop.h"
#include "shm/base/clock.h"
#include "shm/base/units.h"
#include "station.h"
#include "station_disk.h"
#include "transfer/mark.h"
#include "viewer.h"

namespace loopline::cli {
namespace {

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

constexpr const char* on_disk_text =
    "on disk: its rings are gone, as after a reboot; whoever opens it first makes them again, such "
    "as the broker: loopline up";

using Fact = std::function<void(const char* name, const std::string& value)>;

std::string retention_text(const io::Retention& retention) {
  std::string text;
  const auto add = [&](uint64_t value, const std::string& bound) {
    if (value != 0) text += (text.empty() ? "" : ", ") + bound;
  };
  add(retention.age_ns, format_duration(retention.age_ns));
  add(retention.messages, counted(retention.messages, "message"));
  add(retention.bytes, format_size(retention.bytes));
  return text.empty() ? "off" : text;
}

std::string kept_text(const LogOnDisk& log) {
  if (!log.damage.empty()) return "cannot be read: " + log.damage;
  const uint64_t first = log.first_sequence(), end = log.end_sequence();
  if (!log.is_there || end <= first) return "nothing yet";
  if (end - 1 == first) return "message " + format_count(first);
  return fmt::format("messages {} to {}", format_count(first), format_count(end - 1));
}

std::string segments_text(const LogOnDisk& log) {
  return fmt::format("{} ({})", counted(log.facts.segments.size(), "segment"),
                     format_size_rounded(static_cast<double>(log.disk_bytes)));
}

std::string durable_text(const shm::RingSnapshot& ring) {
  const shm::FlushFacts& log = *ring.log;
  const std::string upto =
      log.durable.second <= 1
          ? std::string("nothing yet")
          : fmt::format("up to message {}", format_count(log.durable.second - 1));
  return log.lag_messages == 0
             ? upto
             : fmt::format("{}; {} behind ({})", upto, counted(log.lag_messages, "message"),
                           format_size_rounded(static_cast<double>(log.lag_bytes)));
}

std::string missing_text(const StationOnDisk& disk) {
  size_t gaps = 0;
  for (const LogOnDisk& log : disk.logs) gaps += log.facts.gaps.size();
  return gaps == 0 ? ""
                   : counted(gaps, "gap") + " in its log; see: loopline station verify " +
                         disk.name.text();
}

void print_log(const Output& out, const Fact& fact, const LogOnDisk& log) {
  fact("on disk", kept_text(log) + (log.is_there ? " in " + segments_text(log) : ""));
  if (log.newest_ns != 0) {
    fact("from, to", utc_text(log.oldest_ns) + ", " + utc_text(log.newest_ns));
  }
  if (!log.ring || !log.ring->log) return;
  fact("durable", durable_text(*log.ring));
  fact("log", out.paint(flush_color(*log.ring), flush_text(*log.ring)));
}

void print_logs(Output& out, const StationOnDisk& disk) {
  Table table({{"PARTITION", true}, {"ON DISK"}, {"SEGMENTS"}, {"DURABLE"}, {"LOG"}});
  for (const LogOnDisk& log : disk.logs) {
    const bool has_ring = log.ring && log.ring->log;
    table.add({std::to_string(log.partition), kept_text(log), segments_text(log),
               has_ring ? durable_text(*log.ring) : "-",
               has_ring ? Cell(flush_text(*log.ring), flush_color(*log.ring)) : Cell("-")});
  }
  out.line("");
  table.print(out);
}

// What is about its log.
void print_disk(const Output& out, const Fact& fact, const StationOnDisk& disk) {
  if (!disk.damage.empty()) fact("damaged", out.paint(Color::red, disk.damage));
  if (disk.logs.size() == 1) print_log(out, fact, disk.logs.front());
  const std::string missing = missing_text(disk);
  if (!missing.empty()) fact("missing", out.paint(Color::red, missing));
  fact("folder", disk.folder);
  if (!disk.conf) return;
  fact("segment", format_size(disk.conf->segment_bytes));
  fact("retention", retention_text(disk.conf->retention));
  for (const LogOnDisk& log : disk.logs) {
    const std::string which = disk.logs.size() == 1 ? "" : fmt::format("{}: ", log.partition);
    fact("next to go", which + next_drop(log, disk.conf->retention, utc_ns()).text);
  }
  fact("flush", disk.conf->flush_interval_ns == 0 ? "group-commit"
                                                  : format_duration(disk.conf->flush_interval_ns));
}

Fact facts_of(Output& out) {
  return [&out](const char* name, const std::string& value) {
    out.line(fmt::format("{}{}", out.paint(Color::dim, fmt::format("{:<13}", name)), value));
  };
}

std::string known_text(const KnownProducers& known, bool is_wide) {
  if (!known) return known.fault().message();
  if (known->empty()) return "";
  const std::string count = counted(known->size(), "producer");
  return count + " by identity" + (is_wide ? "" : "; each of them: --format wide");
}

void print_known(Output& out, const std::vector<Viewer::PartitionProducer>& known) {
  Table table({{"PARTITION", true},
               {"IDENTITY"},
               {"EPOCH", true},
               {"ITS LAST", true},
               {"MESSAGE", true},
               {"PUBLISHED"},
               {"PID", true}});
  for (const auto& [partition, one] : known) {
    table.add({std::to_string(partition), fmt::format("{:016x}", one.id), std::to_string(one.epoch),
               format_count(one.last), format_count(one.place.sequence), utc_text(one.time_ns),
               one.pid == 0 ? "-" : std::to_string(one.pid)});
  }
  out.line("");
  table.print(out);
}

void print_info(Output& out, StationRings rings, const StationOnDisk& disk,
                const KnownProducers& known) {
  const shm::RingSnapshot& snapshot = rings.front();
  const StationSums sums = sums_of(rings);
  const shm::RingHeader& header = snapshot.header;
  const Fact fact = facts_of(out);
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
  const std::string known_word = known_text(known, out.is_wide());
  if (!known_word.empty()) fact("known", known ? known_word : out.paint(Color::red, known_word));
  const std::string unfinished = unfinished_edit(rings);
  if (!unfinished.empty()) fact("edit", out.paint(Color::yellow, unfinished));
  const bool is_file = header.storage == shm::Storage::file;
  fact("storage", shm::word_of(header.storage));
  if (is_file) print_disk(out, fact, disk);
  fact("partitions", std::to_string(header.partitions));
  fact("ring", format_size(header.capacity) + (rings.size() > 1 ? " each" : ""));
  fact("max-message", format_size(header.message_max));
  fact("exclusive", header.exclusive != 0 ? "on" : "off");
  fact("when-full", text_of(header.when_full));
  fact("evict-after", header.evict_after_ns == 0 ? "off" : format_duration(header.evict_after_ns));
  fact("timestamp", text_of(header.timestamp));
  fact("dedup-window", header.dedup_window_ns == 0
                           ? "off"
                           : fmt::format("{}, {} at once", format_duration(header.dedup_window_ns),
                                         counted(header.dedup_entries, "id")));
  fact("mode", mode_of(snapshot.path));
  fact("made", utc_text(header.created_ns) + " (" + age_text(header.created_ns) + ")");
  if (out.is_wide()) {
    fact("generation", std::to_string(header.generation));
    fact("file", snapshot.path);
  }
  if (out.is_wide() && known && !known->empty()) print_known(out, *known);
  if (rings.size() > 1) print_partitions(out, rings);
  if (is_file && rings.size() > 1) print_logs(out, disk);
}

void print_only_on_disk(Output& out, const StationOnDisk& disk) {
  const Fact fact = facts_of(out);
  fact("station", out.paint(Color::bold, disk.name.text()));
  fact("state", disk.damage.empty() ? out.paint(Color::yellow, on_disk_text)
                                    : out.paint(Color::red, "damaged, on disk"));
  fact("messages", fmt::format("{} so far; {} of them are on disk", format_count(disk.messages()),
                               format_count(disk.kept())));
  fact("storage", "file");
  if (disk.conf) {
    const shm::FactorySettings& made = disk.conf->ring;
    fact("partitions", std::to_string(disk.partitions));
    for (const auto& [key, value] : shm::lines_of(made)) {
      if (key != "partitions") fact(key.c_str(), value);
    }
  }
  print_disk(out, fact, disk);
  if (disk.logs.size() > 1) print_logs(out, disk);
}

// Its logs, and the rings that go there.
StationOnDisk disk_of(const Output& out, const Viewer* viewer, const shm::StationName& name,
                      const shm::RingHeader* header) {
  const auto data = find_data(out.dir());
  const bool is_file = header != nullptr && header->storage == shm::Storage::file;
  // The rings first: what they say is durable is there when the disk is looked at.
  std::vector<std::optional<shm::RingSnapshot>> rings(is_file ? header->partitions : 0);
  for (uint32_t partition = 0; partition < rings.size(); ++partition) {
    auto ring = viewer->on_its_way_to_disk(name, partition);
    if (ring) rings[partition] = std::move(*ring);
  }
  StationOnDisk disk = look_at_disk(data ? *data : "", name, header);
  for (LogOnDisk& log : disk.logs) {
    if (log.partition < rings.size()) log.put_ring(std::move(rings[log.partition]));
  }
  return disk;
}

// Those that have no rings, by name.
std::vector<StationOnDisk> only_on_disk(const Output& out, const Viewer::Survey& survey) {
  std::vector<StationOnDisk> stations;
  const auto data = find_data(out.dir());
  if (!data) return stations;
  for (const shm::StationName& name : names_on_disk(*data)) {
    const bool lives =
        std::any_of(survey.rings.begin(), survey.rings.end(),
                    [&](const shm::RingSnapshot& ring) { return name_of(ring) == name.text(); });
    if (!lives) stations.push_back(look_at_disk(*data, name, nullptr));
  }
  return stations;
}

// What is wrong with the confs of those whose rings live.
std::vector<std::string> conf_damages(const Output& out, const Viewer::Survey& survey) {
  std::vector<std::string> damages;
  const auto data = find_data(out.dir());
  if (!data) return damages;
  for (const StationRings rings : by_station(survey.rings)) {
    const shm::RingHeader& header = rings.front().header;
    if (header.storage != shm::Storage::file) continue;
    const auto disk = find_on_disk(*data, {header.factory, header.station}, &header);
    if (!disk.damage.empty()) damages.push_back(disk.damage);
  }
  return damages;
}

std::vector<Cell> row_of(StationRings rings, bool is_wide) {
  const shm::RingSnapshot& snapshot = rings.front();
  const shm::RingHeader& header = snapshot.header;
  const StationSums sums = sums_of(rings);
  const std::string each = format_size(header.capacity);
  const bool is_open = std::string_view(state_of(snapshot)) == "open";
  std::vector<Cell> row = {{name_of(snapshot), Color::bold},
                           {state_of(snapshot), is_open ? Color::green : Color::red},
                           shm::word_of(header.storage),
                           rings.size() == 1 ? each : fmt::format("{}x {}", rings.size(), each),
                           format_count(sums.messages),
                           format_count(sums.kept),
                           format_count(sums.producers),
                           format_count(sums.consumers),
                           format_count(sums.lag_max)};
  if (is_wide) {
    row.emplace_back(format_size(header.message_max));
    row.emplace_back(text_of(header.when_full));
    row.emplace_back(text_of(header.timestamp));
    row.emplace_back(utc_text(header.created_ns));
    row.emplace_back(snapshot.path);
  }
  return row;
}

std::vector<Cell> row_of(const StationOnDisk& disk, bool is_wide) {
  const shm::FactorySettings made = disk.conf ? disk.conf->ring : shm::FactorySettings();
  const std::string each = made.ring ? format_size(*made.ring) : "?";
  const uint32_t count = disk.partitions;
  std::vector<Cell> row = {
      {disk.name.text(), Color::bold},
      disk.damage.empty() ? Cell("on disk", Color::yellow) : Cell("damaged", Color::red),
      "file",
      count <= 1 ? each : fmt::format("{}x {}", count, each),
      format_count(disk.messages()),
      format_count(disk.kept()),
      "0",
      "0",
      "0"};
  if (!is_wide) return row;
  row.emplace_back(made.max_message ? format_size(*made.max_message) : "-");
  row.emplace_back(made.when_full ? text_of(*made.when_full) : "-");
  row.emplace_back(made.timestamp ? text_of(*made.timestamp) : "-");
  row.emplace_back("-");
  row.emplace_back(disk.folder);
  return row;
}

}  // namespace

Status station_ls(Output& out) {
  const auto viewer = Viewer::open(out.dir());
  auto survey = viewer ? viewer->survey() : Result<Viewer::Survey>(Viewer::Survey());
  if (!survey) return survey.fault();
  const std::vector<StationOnDisk> disks = only_on_disk(out, *survey);
  if (!viewer && disks.empty()) return viewer.fault();
  if (out.is_json()) {
    out.line(json_of(*survey, disks));
    return ok();
  }
  std::vector<Table::Column> columns = {
      {"STATION"},    {"STATE"},           {"STORAGE"},         {"RING"},     {"MESSAGES", true},
      {"KEPT", true}, {"PRODUCERS", true}, {"CONSUMERS", true}, {"LAG", true}};
  if (out.is_wide()) {
    for (const char* title : {"MAX-MESSAGE", "WHEN-FULL", "TIMESTAMP", "MADE", "FILE"}) {
      columns.push_back({title});
    }
  }
  std::vector<std::vector<Cell>> rows;
  for (const StationRings rings : by_station(survey->rings)) {
    rows.push_back(row_of(rings, out.is_wide()));
  }
  for (const StationOnDisk& disk : disks) rows.push_back(row_of(disk, out.is_wide()));
  std::sort(rows.begin(), rows.end(), [](const auto& left, const auto& right) {
    return left.front().text < right.front().text;
  });
  Table table(columns);
  for (auto& row : rows) table.add(std::move(row));
  if (table.is_empty()) {
    out.note("no stations in " + viewer->paths().folder + "; make one: loopline station add NAME");
  } else {
    table.print(out);
  }
  bool has_whole = false;
  for (const StationOnDisk& disk : disks) {
    if (!disk.damage.empty()) out.note(disk.damage);
    has_whole |= disk.damage.empty();
  }
  for (const std::string& damage : conf_damages(out, *survey)) out.note(damage);
  if (has_whole) {
    out.note(
        "on disk: whoever opens it first makes its rings again, such as the broker: loopline up");
  }
  for (const auto& path : survey->strangers)
    out.note("no ring, though it lies among them: " + path);
  return ok();
}

namespace {

// Of a station that an import still fills, or was killed while it did.
void tell_import(Output& out, const shm::StationName& name, const shm::RingHeader* ring,
                 const StationOnDisk& disk) {
  std::optional<StationId> id;
  if (ring != nullptr) {
    id = station_id_of(*ring);
  } else if (disk.conf) {
    id = StationId{disk.conf->id.words[0], disk.conf->id.words[1]};
  }
  const auto paths = shm::find_instance(out.dir());
  if (!paths) return;
  const std::string text = import_text(name, import_of(*paths, name, id));
  if (!text.empty()) out.note(text);
}

}  // namespace

Status station_info(Output& out, const std::string& text) {
  LL_TRY(name, shm::parse_station_name(text));
  const auto viewer = Viewer::open(out.dir());
  const auto rings =
      viewer ? viewer->partitions(text) : Result<std::vector<shm::RingSnapshot>>(viewer.fault());
  const bool has_rings = static_cast<bool>(rings);
  if (!has_rings && rings.fault().code() != FaultCode::not_found) return rings.fault();
  const shm::RingHeader* const header = has_rings ? &rings->front().header : nullptr;
  const StationOnDisk disk = disk_of(out, viewer ? &*viewer : nullptr, name, header);
  if (!has_rings && !disk.is_there) return rings.fault();
  const KnownProducers known =
      has_rings ? viewer->known_producers(*rings) : std::vector<Viewer::PartitionProducer>();
  if (out.is_json()) {
    out.line(has_rings ? json_of_station(*rings, disk, known) : json_of(disk));
  } else if (has_rings) {
    print_info(out, *rings, disk, known);
  } else {
    print_only_on_disk(out, disk);
  }
  tell_import(out, name, header, disk);
  return ok();
}

}  // namespace loopline::cli
