// check: what monitoring systems ask, its options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

template <class Arguments>
Verb with_limits(Verb verb, Arguments& arguments) {
  return verb
      .option("--warning MEASURE=LIMIT", arguments.limits.warning,
              "a warning beyond it; off: never; again for each measure")
      .option("--critical MEASURE=LIMIT", arguments.limits.critical, "likewise, critical")
      .can_prometheus();
}

constexpr const char* how_it_ends =
    "Exit status: 0 ok, 1 warning, 2 critical, 3 unknown (wrong usage, too), as monitoring plugins "
    "have it. The first line has figures behind its bar; --format prometheus is for a collector of "
    "text files. It attaches to nothing and holds nobody up.";

}  // namespace

void declare_check(CommandLine& line) {
  Noun check = line.noun("check", "ok, warning or critical: for monitoring systems");
  check.as_plugin();

  auto& station = line.keep<CheckStationArguments>();
  with_limits(check
                  .verb("station", "a station: whether its messages get where they should",
                        [&station](Output& out) { return check_station(out, station); })
                  .station("STATION", station.station, "the station"),
              station)
      .explain(
          "It finds what `loopline why` finds. Measures, with their limits for a warning and "
          "critical: fill (90%), lag, lag-bytes, lag-time (1m, 10m), not-durable, "
          "not-durable-bytes, not-durable-time (5s, 30s; later with --flush TIME), missing (0), "
          "producers and consumers (bad below the limit).")
      .explain(how_it_ends)
      .examples({"loopline check station orders",
                 "loopline check station orders --warning lag=1000 --critical lag=100000",
                 "loopline check station orders --critical consumers=1 --warning lag-time=off"});

  auto& broker = line.keep<CheckBrokerArguments>();
  with_limits(check.verb("broker", "the broker: whether it runs, answers, and keeps every log",
                         [&broker](Output& out) { return check_broker(out, broker); }),
              broker)
      .option("--timeout TIME", broker.timeout, "how long it may take to answer (default 10s)")
      .explain(
          "Measures, with their limits for a warning and critical: answer-time (1s, 5s), "
          "last-round (30s, 60s), write-time of the oldest write under way (1s, 10s), uptime (bad "
          "below the limit: a restart), logs, failed (0, 0), full (0, 0), missing (0).")
      .explain(how_it_ends)
      .examples({"loopline check broker", "loopline check broker --warning uptime=10m"});

  auto& disk = line.keep<CheckDiskArguments>();
  with_limits(check.verb("disk", "the disk of the data folder: room, and how long a write takes",
                         [&disk](Output& out) { return check_disk(out, disk); }),
              disk)
      .option("--timeout TIME", disk.timeout, "how long a write may take (default 10s)")
      .flag("--no-write", disk.no_write, "do not try a write")
      .explain(
          "It writes and syncs one block of a file without a name, of which nothing stays. "
          "Measures, with their limits for a warning and critical: write-time (100ms, 1s), and bad "
          "below the limit: free, free-percent (10%, 5%), inodes-percent (10%, 5%). Stations "
          "without room for a next segment are told, whatever the limits.")
      .explain(how_it_ends)
      .examples({"loopline check disk", "loopline check disk --warning free=20GiB --no-write"});

  auto& shm = line.keep<CheckShmArguments>();
  with_limits(check.verb("shm", "shared memory: room for rings, and what the dead left in it",
                         [&shm](Output& out) { return check_shm(out, shm); }),
              shm)
      .explain(
          "It finds what `loopline doctor` finds in the instance's memory. Measures, with their "
          "limits for a warning and critical, bad below the limit: free (128MiB, 16MiB), "
          "free-percent (10%, 5%), inodes-percent (10%, 5%); and rings, ring-bytes.")
      .explain(how_it_ends)
      .examples(
          {"loopline check shm", "loopline check shm --critical free=1GiB --warning free=2GiB"});
}

}  // namespace loopline::cli
