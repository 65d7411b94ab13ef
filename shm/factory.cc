// Factory: its lines read strictly, one table entry a key, and written again.
#include "factory.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "base/units.h"
#include "owner.h"

namespace loopline::shm {
namespace {

constexpr size_t shown_length_max = 60;

Fault refuse(const std::string& why) { return {FaultCode::invalid_argument, why}; }

// Foreign text in quotes, fit for a terminal.
std::string in_quotes(std::string_view text) {
  std::string safe = "\"";
  for (const char letter : text.substr(0, shown_length_max)) {
    safe += letter >= ' ' && letter <= '~' ? letter : '?';
  }
  return safe + (text.size() > shown_length_max ? "...\"" : "\"");
}

Fault no_such(std::string_view key, std::string_view value, const char* known) {
  return refuse(std::string(key) + " " + in_quotes(value) + " is not known: use " + known);
}

// ---- values ----------------------------------------------------------------
// A reader takes the key for its faults; a writer gives the one form in which a value is written.

Result<uint64_t> read_size(std::string_view key, std::string_view value) {
  auto bytes = parse_size(value.substr(0, shown_length_max));
  if (bytes && *bytes != 0) return *bytes;
  if (bytes) return refuse(std::string(key) + " must be at least 1 byte");
  return refuse(std::string(key) + " " + in_quotes(value) +
                " is no size: write a number with B, KiB, MiB, GiB or TiB, such as 64KiB");
}

Result<uint32_t> read_count(std::string_view key, std::string_view value) {
  uint32_t count = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, count);
  if (error == std::errc() && stop == end && count != 0) return count;
  return refuse(std::string(key) + " " + in_quotes(value) + " is no number from 1 on");
}

Result<uint32_t> read_mode(std::string_view key, std::string_view value) {
  uint32_t mode = 0;
  const char* end = value.data() + value.size();
  const auto [stop, error] = std::from_chars(value.data(), end, mode, 8);
  if (error == std::errc() && stop == end) return mode;
  return no_such(key, value, "permission bits in octal, such as 0660");
}

Result<bool> read_switch(std::string_view key, std::string_view value) {
  if (value == "on") return true;
  if (value == "off") return false;
  return no_such(key, value, "on or off");
}

Result<WhenFull> read_when_full(std::string_view key, std::string_view value) {
  for (const WhenFull one : {WhenFull::block, WhenFull::reject, WhenFull::drop_oldest}) {
    if (value == word_of(one)) return one;
  }
  return no_such(key, value, "block, reject or drop-oldest");
}

Result<TimestampKind> read_timestamp(std::string_view key, std::string_view value) {
  for (const auto one : {TimestampKind::precise, TimestampKind::coarse, TimestampKind::off}) {
    if (value == word_of(one)) return one;
  }
  return no_such(key, value, "precise, coarse or off");
}

Result<Storage> read_storage(std::string_view key, std::string_view value) {
  for (const Storage one : {Storage::memory, Storage::file}) {
    if (value == word_of(one)) return one;
  }
  return no_such(key, value, "memory or file");
}

Result<std::string> read_owner(std::string_view key, std::string_view value) {
  if (is_owner_text(value)) return std::string(value);
  return no_such(key, value, "a user, user:group or :group, by name or number");
}

Result<uint64_t> read_time_or_off(std::string_view key, std::string_view value) {
  if (value == "off") return uint64_t{0};
  auto ns = parse_duration(value.substr(0, shown_length_max));
  if (ns) return *ns;
  return no_such(key, value, "off, or a time such as 250ms or 5s");
}

std::string write_time_or_off(uint64_t ns) { return ns == 0 ? "off" : format_duration(ns); }
std::string write_count(uint32_t count) { return std::to_string(count); }
std::string write_switch(bool on) { return on ? "on" : "off"; }
std::string write_text(const std::string& text) { return text; }

// ---- keys ------------------------------------------------------------------

struct Key {
  const char* name;
  Status (*read)(std::string_view key, std::string_view value, FactorySettings& settings);
  // Nothing when it is not said.
  std::optional<std::string> (*write)(const FactorySettings& settings);
  void (*forget)(FactorySettings& settings);
};

template <auto Member, auto Read, auto Write>
constexpr Key key(const char* name) {
  return {name,
          [](std::string_view key, std::string_view value, FactorySettings& settings) -> Status {
            LL_TRY(read, Read(key, value));
            settings.*Member = read;
            return ok();
          },
          [](const FactorySettings& settings) -> std::optional<std::string> {
            if (!(settings.*Member)) return {};
            return Write(*(settings.*Member));
          },
          [](FactorySettings& settings) { (settings.*Member).reset(); }};
}

using Settings = FactorySettings;
constexpr Key keys[] = {
    key<&Settings::storage, read_storage, static_cast<const char* (*)(Storage)>(word_of)>(
        "storage"),
    key<&Settings::ring, read_size, format_size>("ring"),
    key<&Settings::partitions, read_count, write_count>("partitions"),
    key<&Settings::max_message, read_size, format_size>("max-message"),
    key<&Settings::exclusive, read_switch, write_switch>("exclusive"),
    key<&Settings::when_full, read_when_full, static_cast<const char* (*)(WhenFull)>(word_of)>(
        "when-full"),
    key<&Settings::evict_after_ns, read_time_or_off, write_time_or_off>("evict-after"),
    key<&Settings::timestamp, read_timestamp, static_cast<const char* (*)(TimestampKind)>(word_of)>(
        "timestamp"),
    key<&Settings::dedup_window_ns, read_time_or_off, write_time_or_off>("dedup-window"),
    key<&Settings::dedup_entries, read_count, write_count>("dedup-entries"),
    key<&Settings::mode, read_mode, mode_text>("mode"),
    key<&Settings::owner, read_owner, write_text>("owner"),
    key<&Settings::quota_memory, read_size, format_size>("quota.memory"),
    key<&Settings::quota_stations, read_count, write_count>("quota.stations"),
};

const Key* find_key(std::string_view name) {
  for (const Key& one : keys) {
    if (name == one.name) return &one;
  }
  return nullptr;
}

Fault no_key(std::string_view name) {
  std::string all;
  for (const Key& one : keys) all += (all.empty() ? "" : ", ") + std::string(one.name);
  return refuse(in_quotes(name) + " is no key of a factory; they are " + all);
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

Status parse_line(std::string_view line, FactorySettings& settings) {
  line = trimmed(line);
  if (line.empty() || line.front() == '#') return ok();
  const size_t equals = line.find('=');
  if (equals == std::string_view::npos) return refuse(in_quotes(line) + " is no key = value");
  const std::string_view name = trimmed(line.substr(0, equals));
  const Key* known = find_key(name);
  if (known == nullptr) return no_key(name);
  if (known->write(settings)) return refuse(std::string(known->name) + " is said twice");
  return known->read(known->name, trimmed(line.substr(equals + 1)), settings);
}

}  // namespace

Result<FactorySettings> parse_factory(std::string_view text, const std::string& where) {
  const std::string remedy = "; mend it there, or remove the file";
  FactorySettings settings;
  for (size_t number = 1; !text.empty(); ++number) {
    const size_t length = std::min(text.find('\n'), text.size());
    const Status line = parse_line(text.substr(0, length), settings);
    if (!line) {
      return Fault(FaultCode::corrupted, where + ", line " + std::to_string(number) + ": " +
                                             line.fault().message() + remedy);
    }
    text.remove_prefix(std::min(length + 1, text.size()));
  }
  const Status whole = check_factory(settings);
  if (whole) return settings;
  return Fault(FaultCode::corrupted, where + ": " + whole.fault().message() + remedy);
}

std::vector<std::pair<std::string, std::string>> lines_of(const FactorySettings& settings) {
  std::vector<std::pair<std::string, std::string>> lines;
  for (const Key& one : keys) {
    if (const auto value = one.write(settings)) lines.emplace_back(one.name, *value);
  }
  return lines;
}

std::string text_of(const FactorySettings& settings) {
  std::string text;
  for (const auto& [name, value] : lines_of(settings)) text += name + " = " + value + "\n";
  return text;
}

Status set_factory_key(FactorySettings& settings, std::string_view name, std::string_view value) {
  const Key* known = find_key(name);
  if (known == nullptr) return no_key(name);
  const bool is_quota = name.starts_with("quota.");
  if (value == "default" || (is_quota && value == "off")) {
    known->forget(settings);
    return ok();
  }
  return known->read(known->name, value, settings);
}

Status check_factory(const FactorySettings& settings) {
  if (settings.owner && !is_owner_text(*settings.owner)) {
    return refuse("owner " + in_quotes(*settings.owner) + " is no user:group");
  }
  if (settings.quota_memory == 0 || settings.quota_stations == 0) {
    return refuse("a quota of 0 would allow nothing: leave it out, or remove the factory");
  }
  // A station that says nothing itself must be one that can be made.
  RingOptions options;
  options.factory = options.station = "x";
  options.storage = settings.storage.value_or(options.storage);
  options.capacity = settings.ring.value_or(options.capacity);
  options.message_max = settings.max_message.value_or(0);
  options.partitions = settings.partitions.value_or(1);
  options.when_full = settings.when_full.value_or(options.when_full);
  options.evict_after_ns = settings.evict_after_ns.value_or(0);
  options.dedup_window_ns = settings.dedup_window_ns.value_or(options.dedup_window_ns);
  options.dedup_entries = settings.dedup_entries.value_or(options.dedup_entries);
  options.mode = settings.mode.value_or(options.mode);
  const auto wrong = wrong_in(options);
  return wrong ? Status(refuse(*wrong)) : ok();
}

}  // namespace loopline::shm
