// Station verbs: add, rm; and what a station is made with, read from options.
#include "station.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "broker.h"
#include "json.h"
#include "options.h"
#include "shm/base/clock.h"
#include "station_disk.h"
#include "transfer/mark.h"
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
  LL_TRY(dedup_window, read_duration_or_off("--dedup-window", arguments.dedup_window));
  LL_TRY(dedup_entries, read_number("--dedup-entries", arguments.dedup_entries,
                                    "a power of two from 1024 to 4194304"));
  options.dedup_window = dedup_window;
  options.dedup_entries = dedup_entries;
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
    const bool is_file = station.storage() == Storage::file;
    out.line(fmt::format("station {}: {} in memory{}, messages of up to {}",
                         out.paint(Color::bold, station.name()), rings,
                         is_file ? " and a log on disk" : "", format_size(station.max_message())));
    if (is_file && !has_broker(out.dir())) {
      out.note("no broker runs, which would bring it to disk; start it: " + up_command(out.dir()));
    }
  }
  return ok();
}

Status station_rm(Output& out, const StationRmArguments& arguments) {
  LL_TRY(name, shm::parse_station_name(arguments.name));
  LL_TRY(data, find_data(out.dir()));
  const auto viewer = Viewer::open(out.dir());
  const auto snapshot =
      viewer ? viewer->station(arguments.name) : Result<shm::RingSnapshot>(viewer.fault());
  const bool is_absent = !snapshot && snapshot.fault().code() == FaultCode::not_found;
  if (is_absent && !find_on_disk(data, name, nullptr).is_there) return snapshot.fault();
  LL_TRY_STATUS(confirm(out, arguments.yes,
                        {"station \"" + name.text() + "\" and its messages would be gone",
                         "Remove station " + name.text() + " and its messages?",
                         "station \"" + name.text() + "\" was kept"}));
  LL_TRY_STATUS(remove_ring(out.dir(), name));
  if (const auto paths = shm::find_instance(out.dir())) forget_import(*paths, name);
  if (out.is_json()) {
    out.line(json_of_removed(name.text()));
  } else if (!out.is_quiet()) {
    out.line("station " + name.text() + " is gone");
  }
  return ok();
}

}  // namespace loopline::cli
