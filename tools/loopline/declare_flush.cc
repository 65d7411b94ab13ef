// flush: its options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {

void declare_flush(CommandLine& line) {
  auto& arguments = line.keep<FlushArguments>();
  line.verb("flush", "bring stations to disk",
            [&arguments](Output& out) { return flush(out, arguments); })
      .stations("STATION", arguments.stations, "the stations (default all that are on disk)")
      .flag("--once", arguments.once, "what is there now, then end")
      .flag("--follow", arguments.follow, "go on until Ctrl-C")
      .option("--storage WORD", arguments.storage,
              "auto (default: io_uring where the kernel lets it, else posix), io_uring or posix")
      .option("--wait WORD", arguments.wait,
              "spin (the least latency, a core for it), adaptive (default) or park")
      .explain(
          "Messages of a station with --storage file are visible at once, and durable when this "
          "has written them, or the broker, which does it for all (see: loopline up); one process "
          "at a time flushes a station. Killed, it loses nothing "
          "that was durable, and the next one goes on where it was.")
      .examples({"loopline flush --follow", "loopline flush orders --once"});
}

}  // namespace loopline::cli
