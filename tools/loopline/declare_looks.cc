// ring, process, why, doctor: what looks without disturbing, its options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

// Which ring: a station, and one of its partitions.
template <class Arguments>
Verb with_place(Verb verb, Arguments& arguments) {
  return verb.station("STATION", arguments.station, "the station")
      .option("--partition NUMBER", arguments.partition,
              "which of its rings, counted from 0 (default 0)");
}

}  // namespace

void declare_ring(CommandLine& line) {
  Noun ring = line.noun("ring", "the ring itself, drawn");
  auto& show = line.keep<RingShowArguments>();
  with_place(ring.verb("show", "what it holds, who writes and who reads, as a drawing",
                       [&show](Output& out) { return ring_show(out, show); }),
             show)
      .explain(
          "It attaches to nothing and holds nobody up; it works on the rings of dead processes, "
          "too.")
      .examples({"loopline ring show orders", "loopline ring show orders --watch=200ms"})
      .can_watch();

  auto& dump = line.keep<RingDumpArguments>();
  with_place(ring.verb("dump", "every frame in it, with its first bytes",
                       [&dump](Output& out) { return ring_dump(out, dump); }),
             dump)
      .option("--from SEQUENCE", dump.from, "begin with this sequence (default: the oldest)")
      .count("--limit NUMBER", dump.limit, "end after as many frames")
      .explain(
          "A frame is a message, a filler (a sequence without a message: its producer gave it up "
          "or "
          "died) or an open claim (a message that is being written). It attaches to nothing and "
          "holds "
          "nobody up.")
      .examples({"loopline ring dump orders --limit 10",
                 "loopline ring dump orders --from 1000 --format wide"});

  auto& watch = line.keep<RingWatchArguments>();
  with_place(ring.verb("watch", "rates, fill and lag, again and again",
                       [&watch](Output& out) { return ring_watch(out, watch); }),
             watch)
      .option("--every TIME", watch.every, "how often, such as 200ms (default 1s)")
      .count("--count NUMBER", watch.count, "end after as many looks (default: Ctrl-C ends)")
      .examples({"loopline ring watch orders",
                 "loopline ring watch orders --every 100ms --count 10 --json"});
}

void declare_process(CommandLine& line) {
  auto& arguments = line.keep<ProcessArguments>();
  line.noun("process", "who is attached")
      .verb("ls", "each producer and consumer: its process, its rate, alive or dead",
            [&arguments](Output& out) { return process_ls(out, arguments); })
      .station_if_any("STATION", arguments.station, "only of this one (default: all)")
      .examples({"loopline process ls", "loopline process ls orders --watch"})
      .can_watch();
}

void declare_why(CommandLine& line) {
  auto& station = line.keep<std::string>();
  line.verb("why", "what is slow on a station, and who causes it, in words",
            [&station](Output& out) { return why(out, station); })
      .station("STATION", station, "the station")
      .explain(
          "It looks twice, a moment apart: what was there both times is stuck. It finds a full "
          "ring "
          "and who holds it, an open message and whose it is, a reader that lags, the dead, a lock "
          "that stays held. Each comes with the next thing to do.")
      .examples({"loopline why orders"})
      .can_watch();
}

void declare_doctor(CommandLine& line) {
  auto& arguments = line.keep<DoctorArguments>();
  line.verb("doctor", "what this machine and the instance lack, each with its remedy",
            [&arguments](Output& out) { return doctor(out, arguments); })
      .flag("--fix", arguments.fix,
            "do what is safe: clean up after the dead, finish removals, unlink leftovers")
      .flag("--yes,-y", arguments.yes,
            "with --fix: also remove rings whose processes are all dead, with their messages")
      .explain(
          "Without --fix it changes nothing. Exit status 0: well, or warnings only; 1: something "
          "critical remains.")
      .examples({"loopline doctor", "loopline doctor --fix"});
}

}  // namespace loopline::cli
