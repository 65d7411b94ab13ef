// Factory verbs: add, ls, info, edit, rm.
#include <fmt/format.h>
#include <loopline/factory.h>

#include <set>
#include <utility>

#include "json_factory.h"
#include "shm/base/units.h"
#include "shm/owner.h"
#include "station.h"
#include "station_disk.h"

namespace loopline::cli {
namespace {

std::string size_text(uint64_t bytes) { return format_size_rounded(static_cast<double>(bytes)); }

// The options that were given, by the keys of the factory's file.
std::vector<std::pair<const char*, const std::string*>> given(const FactoryArguments& arguments) {
  const std::pair<const char*, const std::string*> all[] = {
      {"storage", &arguments.storage},
      {"ring", &arguments.ring},
      {"partitions", &arguments.partitions},
      {"max-message", &arguments.max_message},
      {"exclusive", &arguments.exclusive},
      {"when-full", &arguments.when_full},
      {"evict-after", &arguments.evict_after},
      {"timestamp", &arguments.timestamp},
      {"dedup-window", &arguments.dedup_window},
      {"dedup-entries", &arguments.dedup_entries},
      {"mode", &arguments.mode},
      {"owner", &arguments.owner},
      {"quota.memory", &arguments.quota_memory},
      {"quota.stations", &arguments.quota_stations},
  };
  std::vector<std::pair<const char*, const std::string*>> said;
  for (const auto& one : all) {
    if (!one.second->empty()) said.push_back(one);
  }
  return said;
}

// An owner has to be somebody now, not only when the first station is made.
Status apply(const FactoryArguments& arguments, shm::FactorySettings& settings) {
  for (const auto& [key, value] : given(arguments)) {
    LL_TRY_STATUS(shm::set_factory_key(settings, key, *value));
  }
  if (!settings.owner || arguments.owner.empty()) return ok();
  const auto owner = shm::find_owner(*settings.owner);
  return owner ? ok() : Status(owner.fault());
}

FactoryFacts facts_of(const shm::InstancePaths& paths, const shm::Directory* directory,
                      const std::string& name) {
  FactoryFacts facts;
  facts.name = name;
  const auto settings = shm::read_factory(paths, name);
  facts.is_added = !settings || settings->has_value();
  if (!settings) facts.damage = settings.fault().message();
  if (settings && *settings) facts.settings = **settings;
  if (directory == nullptr) return facts;
  const auto use = shm::use_of_factory(*directory, name);
  if (use) facts.use = *use;
  return facts;
}

// The factories of stations that have no rings, once for each.
std::multiset<std::string> only_on_disk(const std::string& data,
                                        const std::vector<shm::Directory::Listed>& rings) {
  std::set<std::string> living;
  for (const auto& ring : rings) living.insert(ring.name.text());
  std::multiset<std::string> factories;
  for (const shm::StationName& name : names_on_disk(data)) {
    if (living.count(name.text()) == 0) factories.insert(name.factory);
  }
  return factories;
}

// Those that were added and those that have stations. The folder of rings may be gone with the last
// of them.
Result<std::vector<FactoryFacts>> all_factories(Output& out) {
  LL_TRY(paths, shm::find_instance(out.dir()));
  LL_TRY(added, shm::added_factories(paths));
  std::set<std::string> names(added.begin(), added.end());
  const auto directory = shm::Directory::open(paths);
  std::vector<shm::Directory::Listed> rings;
  if (directory) {
    LL_TRY(all, directory->list());
    rings = std::move(all);
  }
  for (const auto& ring : rings) names.insert(ring.name.factory);
  LL_TRY(data, find_data(out.dir()));
  const std::multiset<std::string> on_disk = only_on_disk(data, rings);
  names.insert(on_disk.begin(), on_disk.end());
  if (!directory && names.empty()) return directory.fault();
  std::vector<FactoryFacts> factories;
  for (const std::string& name : names) {
    factories.push_back(facts_of(paths, directory ? &*directory : nullptr, name));
    factories.back().use.stations += on_disk.count(name);
  }
  return factories;
}

Result<FactoryFacts> one_factory(Output& out, const std::string& name) {
  LL_TRY(factories, all_factories(out));
  for (const FactoryFacts& one : factories) {
    if (one.name == name) return one;
  }
  return Fault(FaultCode::not_found, "there is no factory \"" + name +
                                         "\"; see: loopline factory ls, or make it: loopline "
                                         "factory add " +
                                         name);
}

std::string quota_text(const std::optional<uint64_t>& quota) {
  return quota ? format_size(*quota) : "off";
}
std::string quota_text(const std::optional<uint32_t>& quota) {
  return quota ? format_count(*quota) : "off";
}

std::string defaults_text(const shm::FactorySettings& settings) {
  std::string text;
  for (const auto& [key, value] : shm::lines_of(settings)) {
    if (key.starts_with("quota.")) continue;
    text += (text.empty() ? "" : " ") + key + "=" + value;
  }
  return text.empty() ? "built in" : text;
}

// What a station of this factory gets that says nothing itself.
std::vector<std::pair<std::string, std::string>> effective(const shm::FactorySettings& settings) {
  const shm::RingOptions built_in;
  const uint64_t ring = settings.ring.value_or(built_in.capacity);
  std::vector<std::pair<std::string, std::string>> all = {
      {"storage", shm::word_of(built_in.storage)},
      {"ring", format_size(ring)},
      {"partitions", std::to_string(built_in.partitions)},
      {"max-message", format_size(shm::body_max_of(ring))},
      {"exclusive", "off"},
      {"when-full", text_of(built_in.when_full)},
      {"evict-after", "off"},
      {"timestamp", text_of(built_in.timestamp)},
      {"dedup-window", format_duration(built_in.dedup_window_ns)},
      {"dedup-entries", std::to_string(built_in.dedup_entries)},
      {"mode", shm::mode_text(built_in.mode)},
      {"owner", "whoever makes the station"}};
  for (const auto& [key, value] : shm::lines_of(settings)) {
    for (auto& one : all) {
      if (one.first == key) one.second = value;
    }
  }
  return all;
}

void print_info(Output& out, const FactoryFacts& factory) {
  const auto fact = [&](const std::string& name, const std::string& value) {
    out.line(fmt::format("{}{}", out.paint(Color::dim, fmt::format("{:<16}", name)), value));
  };
  fact("factory", out.paint(Color::bold, factory.name));
  if (!factory.is_added) fact("added", "no: built-in defaults, no quota");
  if (!factory.damage.empty()) fact("damaged", out.paint(Color::red, factory.damage));
  fact("stations", format_count(factory.use.stations));
  fact("memory", size_text(factory.use.bytes));
  const shm::FactorySettings& settings = factory.settings;
  fact("quota.memory", quota_text(settings.quota_memory));
  fact("quota.stations", quota_text(settings.quota_stations));
  if (!factory.damage.empty()) return;
  const auto said = shm::lines_of(settings);
  for (const auto& [key, value] : effective(settings)) {
    bool is_said = false;
    for (const auto& line : said) is_said |= line.first == key;
    fact(key, is_said ? value : out.paint(Color::dim, value + " (built in)"));
  }
}

Status tell(Output& out, const std::string& name, const char* done) {
  if (out.is_json()) {
    LL_TRY(facts, one_factory(out, name));
    out.line(json_of(facts));
  } else if (!out.is_quiet()) {
    LL_TRY(facts, one_factory(out, name));
    out.line(fmt::format("factory {} {}: {}; quota.memory {}, quota.stations {}",
                         out.paint(Color::bold, name), done, defaults_text(facts.settings),
                         quota_text(facts.settings.quota_memory),
                         quota_text(facts.settings.quota_stations)));
  }
  return ok();
}

}  // namespace

Status factory_add(Output& out, const FactoryArguments& arguments) {
  shm::FactorySettings settings;
  LL_TRY_STATUS(apply(arguments, settings));
  LL_TRY(paths, shm::find_instance(out.dir()));
  LL_TRY_STATUS(shm::add_factory(paths, arguments.name, settings));
  return tell(out, arguments.name, "is there");
}

Status factory_ls(Output& out) {
  LL_TRY(factories, all_factories(out));
  if (out.is_json()) {
    out.line(json_of(factories));
    return ok();
  }
  std::vector<Table::Column> columns = {{"FACTORY"},     {"ADDED"},        {"STATIONS", true},
                                        {"QUOTA", true}, {"MEMORY", true}, {"QUOTA", true}};
  if (out.is_wide()) columns.push_back({"DEFAULTS"});
  Table table(columns);
  for (const FactoryFacts& one : factories) {
    const char* added = one.is_added ? "yes" : "no";
    std::vector<Cell> row = {{one.name, Color::bold},
                             one.damage.empty() ? Cell(added) : Cell("damaged", Color::red),
                             format_count(one.use.stations),
                             quota_text(one.settings.quota_stations),
                             size_text(one.use.bytes),
                             quota_text(one.settings.quota_memory)};
    if (out.is_wide()) row.emplace_back(defaults_text(one.settings));
    table.add(std::move(row));
  }
  if (table.is_empty()) {
    out.note("no factories and no stations; a factory is made with: loopline factory add NAME");
  } else {
    table.print(out);
  }
  for (const FactoryFacts& one : factories) {
    if (!one.damage.empty()) out.note(one.damage);
  }
  return ok();
}

Status factory_info(Output& out, const std::string& name) {
  LL_TRY(factory, one_factory(out, name));
  if (out.is_json()) {
    out.line(json_of(factory));
  } else {
    print_info(out, factory);
  }
  return ok();
}

Status factory_edit(Output& out, const FactoryArguments& arguments) {
  if (given(arguments).empty()) {
    return Fault(FaultCode::invalid_argument,
                 "nothing to change was named; see: loopline factory edit --help");
  }
  LL_TRY(paths, shm::find_instance(out.dir()));
  LL_TRY_STATUS(shm::edit_factory(paths, arguments.name, [&](shm::FactorySettings& settings) {
    return apply(arguments, settings);
  }));
  return tell(out, arguments.name, "is edited");
}

Status factory_rm(Output& out, const FactoryRmArguments& arguments) {
  LL_TRY(factory, one_factory(out, arguments.name));
  if (arguments.force && factory.use.stations != 0) {
    const std::string many = counted(factory.use.stations, "station");
    LL_TRY_STATUS(confirm(
        out, arguments.yes,
        {fmt::format("factory \"{}\", its {} and their messages would be gone", factory.name, many),
         fmt::format("Remove factory {}, its {} and their messages?", factory.name, many),
         "factory \"" + factory.name + "\" was kept"}));
  }
  LL_TRY_STATUS(Factory::remove(arguments.name, arguments.force, out.dir()));
  if (out.is_json()) {
    out.line(json_of_factory_removed(arguments.name));
  } else if (!out.is_quiet()) {
    out.line("factory " + arguments.name + " is gone");
  }
  return ok();
}

Status factory_names(Output& out) {
  LL_TRY(factories, all_factories(out));
  for (const FactoryFacts& one : factories) out.line(one.name);
  return ok();
}

}  // namespace loopline::cli
