// up, down, status: their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {

void declare_broker(CommandLine& line) {
  auto& start = line.keep<UpArguments>();
  line.verb("up", "start the broker: it brings stations to disk",
            [&start](Output& out) { return up(out, start); })
      .option("--config FILE", start.config, "its settings, in TOML (see: looplined --help)")
      .option("--set KEY=VALUE", start.sets, "one of them, such as storage=posix; wins over FILE")
      .flag("--foreground", start.foreground, "run it here until Ctrl-C; its log goes to stderr")
      .explain(
          "Starts looplined in the background and returns when all stations are open. Beside one "
          "that runs it opens again what failed. Messages need no broker to be exchanged; those of "
          "stations with --storage file are durable while it runs. Killed, it loses nothing that "
          "was durable, and the next one goes on where it was.")
      .examples({"loopline up", "loopline up --set wait=spin --set log.level=debug"});

  auto& end = line.keep<DownArguments>();
  line.verb("down", "stop the broker, in order", [&end](Output& out) { return down(out, end); })
      .option("--timeout TIME", end.timeout, "how long to wait for its end (default 30s)")
      .explain(
          "What is in the rings goes to disk first. Stations stay, and so do their messages; "
          "producers go on until their rings are full.")
      .examples({"loopline down"});

  line.verb("status", "the broker: what it keeps, how far, and what stands in its way",
            [](Output& out) { return status(out); })
      .explain("Exit status 3: no broker runs.")
      .examples({"loopline status", "loopline status --json"})
      .can_watch();
}

}  // namespace loopline::cli
