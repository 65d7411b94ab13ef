// Factory: what a namespace of stations says for those made in it: defaults, permissions, quotas.
//
// A factory is a file of lines in the instance's folder, `factories/NAME.conf`:
//
//   storage = file
//   ring = 64KiB
//   when-full = reject
//   owner = billing:billing
//   quota.memory = 64MiB
//
// One that was never added has no file: the built-in defaults, no quota. Whoever makes a station
// reads it; stations that are there do not change with it. What the maker names goes before what
// the factory says, and that before what is built in.
//
// Permissions: `mode` and `owner` are those of the rings' files, and nothing else decides who may
// use a station: to read and to publish, one has to be allowed to read and write them. Only root
// may make stations whose owner is somebody else. Whoever may write to the instance's folder may
// add, edit and remove factories.
//
// The file is made beside its place and renamed under FolderLock, so it is there whole or not at
// all; what a death in between leaves (`.new`) the next writer replaces. It is foreign to whoever
// reads it: anything but these lines is a fault that names the line.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "directory.h"
#include "layout.h"

namespace loopline::shm {

struct FactorySettings {
  std::optional<Storage> storage;
  std::optional<uint64_t> ring;
  std::optional<uint32_t> partitions;
  std::optional<uint64_t> max_message;
  std::optional<bool> exclusive;
  std::optional<WhenFull> when_full;
  std::optional<uint64_t> evict_after_ns;  // 0: never
  std::optional<TimestampKind> timestamp;
  std::optional<uint64_t> dedup_window_ns;  // 0: off
  std::optional<uint32_t> dedup_entries;
  std::optional<uint32_t> mode;
  std::optional<std::string> owner;  // user, user:group or :group; names or numbers
  std::optional<uint64_t> quota_memory;
  std::optional<uint32_t> quota_stations;

  bool operator==(const FactorySettings&) const = default;
};

// ---- the text --------------------------------------------------------------

constexpr size_t factory_file_bytes_max = 4096;

// What the file says. `where` stands in front of what is wrong. Faults: corrupted.
Result<FactorySettings> parse_factory(std::string_view text, const std::string& where);
// The lines of the file; read again they say the same.
std::string text_of(const FactorySettings& settings);
// Keys and values in their order, as the file has them.
std::vector<std::pair<std::string, std::string>> lines_of(const FactorySettings& settings);
// One key from how people write its value; "default" (for quotas also "off") takes it back.
Status set_factory_key(FactorySettings& settings, std::string_view key, std::string_view value);
// Whether its values are in their ranges and go together.
Status check_factory(const FactorySettings& settings);

// ---- the files -------------------------------------------------------------

// Nothing when it was never added.
Result<std::optional<FactorySettings>> read_factory(const InstancePaths& paths,
                                                    const std::string& name);
// Faults: already_exists, invalid_argument.
Status add_factory(const InstancePaths& paths, const std::string& name,
                   const FactorySettings& settings);
// Reads, lets `change` change it, and writes it, with nobody in between. Faults: not_found.
Status edit_factory(const InstancePaths& paths, const std::string& name,
                    const std::function<Status(FactorySettings&)>& change);
// Those that were added, by name.
Result<std::vector<std::string>> added_factories(const InstancePaths& paths);
// The factory's definition; `with_stations`: its stations first, each as remove_station does. Dying
// in between leaves fewer of them, and the definition: it is done again. Faults: not_found,
// already_exists (it has stations; nothing was removed), and those of remove_station.
Status remove_factory(const Directory& directory, const std::string& name, bool with_stations);

// ---- what it allows --------------------------------------------------------

// What a factory's stations take. Rings of other generations that are still read count, and so do
// partitions whose maker died before he came to them.
struct FactoryUse {
  uint64_t stations = 0;
  uint64_t bytes = 0;  // of shared memory
};
Result<FactoryUse> use_of_factory(const Directory& directory, const std::string& name);
// Whether the ring of `options` fits into what is left of the quotas. A station's first ring stands
// for all its partitions. Faults: no_space.
Status check_quota(const Directory& directory, const FactorySettings& settings,
                   const RingOptions& options);

}  // namespace loopline::shm
