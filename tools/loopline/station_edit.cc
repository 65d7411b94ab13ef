// Station verbs on what is alive: edit, purge.
#include <fmt/format.h>

#include "io/log/file_station.h"
#include "json_factory.h"
#include "shm/base/units.h"
#include "shm/edit.h"
#include "shm/owner.h"
#include "station.h"
#include "station_disk.h"

namespace loopline::cli {
namespace {

std::string size_text(uint64_t bytes) { return format_size_rounded(static_cast<double>(bytes)); }

std::string left_text(const shm::StationChange& change) {
  return fmt::format("{} ({})", counted(change.messages, "message"), size_text(change.bytes));
}

// Who still has the rings left behind; nothing when their memory is back.
std::string readers_text(const shm::StationChange& change) {
  if (change.unreturned_bytes == 0) return "";
  if (change.readers == 0) {
    return size_text(change.unreturned_bytes) + " of memory comes back when all of it is on disk";
  }
  return fmt::format("{} to the end first; {} of memory {} back with the last of them",
                     change.readers == 1 ? "1 consumer reads them"
                                         : counted(change.readers, "consumer") + " read them",
                     size_text(change.unreturned_bytes), "comes");
}

Result<shm::StationEdit> edit_of(const StationOptions& options) {
  shm::StationEdit edit;
  edit.capacity = options.ring;
  edit.message_max = options.max_message;
  if (options.when_full) edit.when_full = static_cast<shm::WhenFull>(*options.when_full);
  if (options.evict_after) {
    edit.evict_after_ns = static_cast<uint64_t>(options.evict_after->count());
  }
  if (options.dedup_window) {
    edit.dedup_window_ns = static_cast<uint64_t>(options.dedup_window->count());
  }
  edit.dedup_entries = options.dedup_entries;
  if (options.timestamp) edit.timestamp = static_cast<shm::TimestampKind>(*options.timestamp);
  edit.mode = options.mode;
  if (options.owner) {
    LL_TRY(owner, shm::find_owner(*options.owner));
    edit.owner = owner;
  }
  return edit;
}

bool says_nothing(const shm::StationEdit& edit, const StationOptions& options) {
  const bool has_log = options.segment || options.retention_age || options.retention_messages ||
                       options.retention_bytes || options.flush;
  return !has_log && !edit.capacity && !edit.message_max && !edit.when_full &&
         !edit.evict_after_ns && !edit.timestamp && !edit.mode && !edit.owner &&
         !edit.dedup_window_ns && !edit.dedup_entries;
}

Result<shm::Directory> open_directory(Output& out) {
  LL_TRY(paths, shm::find_instance(out.dir()));
  return shm::Directory::open(paths);
}

// Messages that nobody who comes later would see are a loss to be agreed to.
Status agree(Output& out, const StationEditArguments& arguments, const std::string& name,
             const shm::StationChange& preview) {
  if (preview.messages == 0) return ok();
  const std::string what = fmt::format(
      "the {} in the ring of station \"{}\" would be read to the end by the {} attached now, and "
      "by nobody who comes later",
      left_text(preview), name, counted(preview.readers, "consumer"));
  return confirm(out, arguments.yes,
                 {what, fmt::format("The new ring of {} begins empty: {}. Go on?", name, what),
                  "station \"" + name + "\" stays as it is"});
}

void print_edited(Output& out, const std::string& name, const shm::StationChange& change) {
  if (!change.is_changed) {
    out.line("station " + name + " is so already: nothing changed");
    return;
  }
  const std::string rings =
      change.rings == 0 ? ""
                        : fmt::format(": {} went on in {}", counted(change.rings, "partition"),
                                      change.rings == 1 ? "a new ring" : "new rings");
  out.line("station " + out.paint(Color::bold, name) + " is edited" + rings);
  const std::string readers = readers_text(change);
  if (change.messages != 0) {
    out.note(left_text(change) + " are left behind, out of sight of whoever comes later" +
             (readers.empty() ? "" : "; " + readers));
  } else if (!readers.empty()) {
    out.note(readers);
  }
}

}  // namespace

std::string unfinished_edit(StationRings rings) {
  const shm::RingHeader& first = rings.front().header;
  size_t others = 0;
  for (const auto& ring : rings) {
    const shm::RingHeader& header = ring.header;
    const bool is_alike =
        header.capacity == first.capacity && header.message_max == first.message_max &&
        header.when_full == first.when_full && header.timestamp == first.timestamp &&
        header.evict_after_ns == first.evict_after_ns &&
        header.dedup_window_ns == first.dedup_window_ns;
    if (!is_alike) ++others;
  }
  if (others == 0) return "";
  const shm::RingHeader& last = rings.back().header;
  return fmt::format(
      "not finished: {} of {} partitions have other parameters already (ring {}, max-message {}, "
      "when-full {}, timestamp {}); do the same edit again, or edit it back",
      others, rings.size(), format_size(last.capacity), format_size(last.message_max),
      text_of(last.when_full), text_of(last.timestamp));
}

Status station_edit(Output& out, const StationEditArguments& arguments) {
  LL_TRY(name, shm::parse_station_name(arguments.to.name));
  LL_TRY(options, read_station_options(arguments.to));
  LL_TRY(edit, edit_of(options));
  if (says_nothing(edit, options)) {
    return Fault(FaultCode::invalid_argument,
                 "nothing to change was named; see: loopline station edit --help");
  }
  // One that is only on disk gets its rings; one without its conf is not to be edited.
  const auto opened = Station::open(name.text(), out.dir());
  if (!opened && opened.fault().code() == FaultCode::corrupted) return opened.fault();
  LL_TRY(directory, open_directory(out));
  LL_TRY(change, shm::preview_edit(directory, name, edit));
  // What is on disk stays in sight.
  const bool is_on_disk = opened && opened->storage() == Storage::file;
  if (!is_on_disk) LL_TRY_STATUS(agree(out, arguments, name.text(), change));
  LL_TRY(edited, Station::edit(name.text(), options, out.dir()));
  change.is_changed = edited.is_changed;
  change.messages = is_on_disk ? 0 : edited.messages;
  change.bytes = is_on_disk ? 0 : edited.bytes;
  change.rings = edited.rings;
  change.readers = edited.readers;
  change.unreturned_bytes = edited.unreturned_bytes;
  if (out.is_json()) {
    out.line(json_of_edited(name.text(), change));
  } else if (!out.is_quiet()) {
    print_edited(out, name.text(), change);
  }
  return ok();
}

namespace {

// What a purge would drop, in memory or on disk.
struct Kept {
  bool is_on_disk = false;
  uint64_t messages = 0;
  std::string text;
};

Result<Kept> kept_by(Output& out, const shm::StationName& name, const std::string& data) {
  Kept kept;
  const auto viewer = Viewer::open(out.dir());
  const auto rings = viewer ? viewer->partitions(name.text())
                            : Result<std::vector<shm::RingSnapshot>>(viewer.fault());
  const auto* const header = rings ? &rings->front().header : nullptr;
  if (header != nullptr && header->storage == shm::Storage::memory) {
    const StationSums sums = sums_of(*rings);
    kept.messages = sums.kept;
    kept.text = counted(sums.kept, "message") + " (" + size_text(sums.kept_bytes) + ")";
    return kept;
  }
  const StationOnDisk disk = look_at_disk(data, name, header);
  if (!disk.damage.empty()) return Fault(FaultCode::corrupted, disk.damage);
  if (!disk.is_there && !rings) return rings.fault();
  kept.is_on_disk = true;
  // What is in the rings and not yet on disk goes too.
  kept.messages = disk.kept();
  for (size_t index = 0; rings && index < rings->size(); ++index) {
    const auto& ring = (*rings)[index];
    const uint64_t visible = ring.visible.second;
    if (ring.log) kept.messages += visible - std::min(visible, ring.log->durable.second);
  }
  kept.text = counted(kept.messages, "message");
  return kept;
}

}  // namespace

Status station_purge(Output& out, const StationPurgeArguments& arguments) {
  LL_TRY(name, shm::parse_station_name(arguments.name));
  LL_TRY(data, find_data(out.dir()));
  LL_TRY(kept, kept_by(out, name, data));
  if (kept.messages != 0) {
    const std::string where = kept.is_on_disk ? ", on disk too," : "";
    LL_TRY_STATUS(confirm(
        out, arguments.yes,
        {fmt::format("the {} in station \"{}\"{} would be dropped", kept.text, name.text(), where),
         fmt::format("Drop the {} in station {}{}?", kept.text, name.text(),
                     kept.is_on_disk ? ", on disk too" : ""),
         "station \"" + name.text() + "\" keeps its messages"}));
  }
  LL_TRY(purged, Station::purge(name.text(), out.dir()));
  shm::StationChange change;
  change.is_changed = purged.is_changed;
  change.messages = purged.messages;
  change.bytes = purged.bytes;
  change.rings = purged.rings;
  change.readers = purged.readers;
  change.unreturned_bytes = purged.unreturned_bytes;
  if (out.is_json()) {
    out.line(json_of_purged(name.text(), change));
  } else if (!out.is_quiet()) {
    const std::string readers = readers_text(change);
    out.line(change.messages != 0 ? "station " + out.paint(Color::bold, name.text()) +
                                     " is purged: " + left_text(change) + " dropped" +
                                     (readers.empty() ? "" : "; " + readers)
                               : "station " + name.text() + " is empty: nothing to purge");
  }
  return ok();
}

}  // namespace loopline::cli
