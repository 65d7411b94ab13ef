// factory: its verbs, their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

void declare_settings(Verb& verb, FactoryArguments& arguments) {
  verb.option("--storage WORD", arguments.storage,
              "memory (default), or file: kept on disk, where station add does not say")
      .option("--ring SIZE", arguments.ring,
              "of its stations' rings, where station add does not say (default 8MiB)")
      .option("--partitions NUMBER", arguments.partitions,
              "of a station, where station add does not say; so all below (default 1)")
      .option("--max-message SIZE", arguments.max_message,
              "the largest message (default an eighth of the ring, less 32 bytes)")
      .option("--exclusive WORD", arguments.exclusive, "on or off (default)")
      .option("--when-full WORD", arguments.when_full, "block (default), reject or drop-oldest")
      .option("--evict-after TIME", arguments.evict_after, "off (default), or such as 250ms")
      .option("--timestamp WORD", arguments.timestamp, "precise (default), coarse or off")
      .option("--dedup-window TIME", arguments.dedup_window,
              "for how long an id is known again: off, or up to 24h (default 2m)")
      .option("--dedup-entries NUMBER", arguments.dedup_entries,
              "ids known at once, a power of two (default 65536)")
      .option("--mode MODE", arguments.mode, "permissions of its rings, in octal (default 0660)")
      .option("--owner USER", arguments.owner, "or user:group; only root gives files away")
      .option("--quota-memory SIZE", arguments.quota_memory, "shared memory of all its rings")
      .option("--quota-stations NUMBER", arguments.quota_stations, "how many it may have");
}

constexpr const char* more =
    "What `station add` names goes before what the factory says. Stations that are there "
    "do not change. With the word default an option is taken back; a quota also with off.";

}  // namespace

void declare_factory(CommandLine& line) {
  Noun factory = line.noun("factory", "namespaces of stations: defaults, permissions, quotas");
  auto& added = line.keep<FactoryArguments>();
  Verb add = factory.verb("add", "say what its stations get, and how much they may take",
                          [&added](Output& out) { return factory_add(out, added); });
  add.argument("NAME", added.name, "the part before the slash of factory/station");
  declare_settings(add, added);
  add.explain(more).examples(
      {"loopline factory add billing --ring 64MiB --quota-memory 1GiB --quota-stations 20"});

  factory.verb("ls", "list them", [](Output& out) { return factory_ls(out); }).can_watch();

  auto& name = line.keep<std::string>();
  factory
      .verb("info", "what it says, and what its stations take",
            [&name](Output& out) { return factory_info(out, name); })
      .factory("NAME", name, "the factory")
      .can_watch();

  auto& edited = line.keep<FactoryArguments>();
  Verb edit = factory.verb("edit", "say it otherwise, for stations that are made from now on",
                           [&edited](Output& out) { return factory_edit(out, edited); });
  edit.factory("NAME", edited.name, "the factory");
  declare_settings(edit, edited);
  edit.explain(more).examples({"loopline factory edit billing --quota-memory 2GiB",
                               "loopline factory edit billing --quota-stations off"});

  auto& rm = line.keep<FactoryRmArguments>();
  factory
      .verb("rm", "remove one that has no stations",
            [&rm](Output& out) { return factory_rm(out, rm); })
      .factory("NAME", rm.name, "the factory")
      .flag("--force", rm.force, "its stations and their messages too")
      .flag("--yes,-y", rm.yes, "do not ask");
  line.verb("__factories", "names for completion", factory_names).hide();
}

}  // namespace loopline::cli
