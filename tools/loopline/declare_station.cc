// station: its verbs, their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

void declare_add(Noun& station, StationAddArguments& arguments) {
  station
      .verb("add", "make a station",
            [&arguments](Output& out) { return station_add(out, arguments); })
      .argument("NAME", arguments.name, "a new name: station, or factory/station; a-z 0-9 . _ -")
      .option("--ring SIZE", arguments.ring,
              "how much it holds, a power of two from 64KiB to 64GiB (default 8MiB)")
      .option("--partitions NUMBER", arguments.partitions,
              "rings of that size, 1 to 256, each with an order of its own; a message's key picks "
              "one (default 1)")
      .option("--max-message SIZE", arguments.max_message,
              "the largest message (default an eighth of the ring, less 32 bytes)")
      .flag("--exclusive", arguments.exclusive, "one producer at a time, a little faster")
      .option("--when-full WORD", arguments.when_full,
              "block (default), reject or drop-oldest: what a producer meets while consumers are "
              "behind")
      .option("--evict-after TIME", arguments.evict_after,
              "detach a consumer that holds a full ring for so long (default off)")
      .option("--timestamp WORD", arguments.timestamp,
              "precise (default), coarse or off: of each message")
      .option("--dedup-window TIME", arguments.dedup_window,
              "a message with an id published within it is not published again; off, or up to 24h "
              "(default 2m)")
      .option("--dedup-entries NUMBER", arguments.dedup_entries,
              "ids known at once, a power of two (default 65536); who comes with more waits")
      .option("--mode MODE", arguments.mode, "permissions of its files, in octal (default 0660)")
      .option("--owner USER", arguments.owner, "or user:group (default you)")
      .option("--storage WORD", arguments.storage,
              "memory (default), or file: kept in segments on disk by the broker")
      .option("--segment SIZE", arguments.segment,
              "a file of the log, 64KiB to 1GiB (default 64MiB)")
      .option("--retention-age TIME", arguments.retention_age,
              "drop segments that are older; off, or such as 12h (default 7d)")
      .option("--retention-messages NUMBER", arguments.retention_messages,
              "keep about so many messages on disk (default off)")
      .option("--retention-bytes SIZE", arguments.retention_bytes,
              "keep about so much on disk (default off)")
      .option("--flush TIME", arguments.flush,
              "how long messages gather for one write; group-commit (default): while the one "
              "before is on its way")
      .explain("What is not named is what its factory says; see: loopline factory info.")
      .examples({"loopline station add orders",
                 "loopline station add prices --ring 64MiB --when-full drop-oldest",
                 "loopline station add billing/invoices --partitions 4",
                 "loopline station add ledger --storage file --retention-age off"});
}

void declare_edit(Noun& station, StationEditArguments& arguments) {
  station
      .verb("edit", "give a living station other parameters",
            [&arguments](Output& out) { return station_edit(out, arguments); })
      .station("NAME", arguments.to.name, "the station")
      .option("--ring SIZE", arguments.to.ring, "of each partition, a power of two from 64KiB")
      .option("--max-message SIZE", arguments.to.max_message, "of one message, up to ring/8 - 32")
      .option("--when-full WORD", arguments.to.when_full, "block or reject")
      .option("--evict-after TIME", arguments.to.evict_after, "off, or such as 250ms")
      .option("--timestamp WORD", arguments.to.timestamp, "precise, coarse or off")
      .option("--dedup-window TIME", arguments.to.dedup_window, "off, or such as 10m")
      .option("--mode MODE", arguments.to.mode, "permissions, such as 0660")
      .option("--owner USER", arguments.to.owner, "or user:group; only root gives files away")
      .option("--segment SIZE", arguments.to.segment, "of segments to come, 64KiB to 1GiB")
      .option("--retention-age TIME", arguments.to.retention_age, "off, or such as 12h")
      .option("--retention-messages NUMBER", arguments.to.retention_messages,
              "off, or about so many")
      .option("--retention-bytes SIZE", arguments.to.retention_bytes, "off, or about so much")
      .option("--flush TIME", arguments.to.flush, "group-commit, or such as 5ms")
      .flag("--yes,-y", arguments.yes, "do not ask")
      .explain(
          "Its producers and consumers go on in the new ring and lose nothing. Whoever comes "
          "later begins there too, so it asks when messages are in the ring it leaves behind. "
          "Mode and owner are changed in place. Interrupted, do the same again.")
      .examples({"loopline station edit orders --ring 64MiB",
                 "loopline station edit orders --when-full reject --yes"});
}

}  // namespace

void declare_station(CommandLine& line) {
  Noun station = line.noun("station", "make, list, describe, edit, copy and remove stations");
  declare_add(station, line.keep<StationAddArguments>());
  station
      .verb("ls", "list them, with their rings and who is attached",
            [](Output& out) { return station_ls(out); })
      .examples({"loopline station ls", "loopline station ls --watch"})
      .can_watch();

  auto& name = line.keep<std::string>();
  station
      .verb("info", "one station's parameters and state",
            [&name](Output& out) { return station_info(out, name); })
      .station("NAME", name, "the station")
      .examples({"loopline station info orders", "loopline station info orders --json"})
      .can_watch();

  declare_edit(station, line.keep<StationEditArguments>());
  auto& purge = line.keep<StationPurgeArguments>();
  station
      .verb("purge", "drop the messages that are in a station",
            [&purge](Output& out) { return station_purge(out, purge); })
      .station("NAME", purge.name, "the station")
      .flag("--yes,-y", purge.yes, "do not ask")
      .explain(
          "Sequences go on. Consumers that are attached may read to where it was purged. What is "
          "on disk goes too, and its room is given back by whoever flushes the station.")
      .examples({"loopline station purge orders"});

  auto& verify = line.keep<StationVerifyArguments>();
  station
      .verb("verify", "read every byte of its log on disk, and say what is missing",
            [&verify](Output& out) { return station_verify(out, verify); })
      .station("NAME", verify.name, "a station with --storage file, open or only on disk")
      .option("--partition NUMBER", verify.partition,
              "only this one of its logs, counted from 0 (default all)")
      .explain(
          "Every checksum and chain is checked, as an opening does it and as consumers read. It "
          "changes nothing and may run while the station is written: it checks what was durable "
          "when it began. Exit status 0: all is whole; 1: something is damaged, and the report "
          "says which messages and files.")
      .examples({"loopline station verify orders", "loopline station verify orders --json"});

  declare_transfer(station, line);

  auto& rm = line.keep<StationRmArguments>();
  station
      .verb("rm", "remove a station and its messages",
            [&rm](Output& out) { return station_rm(out, rm); })
      .station("NAME", rm.name, "the station")
      .flag("--yes,-y", rm.yes, "do not ask")
      .explain("Producers and consumers that are attached are told that it was removed.")
      .examples({"loopline station rm orders --yes"});
}

}  // namespace loopline::cli
