// station: its verbs, their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

void declare_add(Noun& station, StationAddArguments& arguments) {
  station
      .verb("add", "make a station",
            [&arguments](Output& out) { return station_add(out, arguments); })
      .argument("NAME", arguments.name, "station, or factory/station")
      .option("--ring SIZE", arguments.ring, "its size, a power of two from 64KiB (default 8MiB)")
      .option("--partitions NUMBER", arguments.partitions,
              "rings of that size; a key picks one (default 1)")
      .option("--max-message SIZE", arguments.max_message, "of one message (default ring/8 - 32)")
      .flag("--exclusive", arguments.exclusive, "one producer at a time, a little faster")
      .option("--when-full WORD", arguments.when_full, "block (default), reject or drop-oldest")
      .option("--evict-after TIME", arguments.evict_after,
              "detach a consumer that holds a full ring for so long (default off)")
      .option("--timestamp WORD", arguments.timestamp, "precise (default), coarse or off")
      .option("--mode MODE", arguments.mode, "permissions (default 0660)");
}

}  // namespace

void declare_station(CommandLine& line) {
  Noun station = line.noun("station", "make, list, describe and remove stations");
  declare_add(station, line.keep<StationAddArguments>());
  station.verb("ls", "list them", [](Output& out) { return station_ls(out); }).can_watch();

  auto& name = line.keep<std::string>();
  station
      .verb("info", "one station's parameters and state",
            [&name](Output& out) { return station_info(out, name); })
      .station("NAME", name, "the station")
      .can_watch();

  auto& rm = line.keep<StationRmArguments>();
  station
      .verb("rm", "remove a station and its messages",
            [&rm](Output& out) { return station_rm(out, rm); })
      .station("NAME", rm.name, "the station")
      .flag("--yes,-y", rm.yes, "do not ask");
}

}  // namespace loopline::cli
