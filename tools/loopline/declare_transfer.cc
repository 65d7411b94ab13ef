// station export, station import: their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

void declare_export(Noun& station, StationExportArguments& arguments) {
  station
      .verb("export", "write what is in a station as a stream, or to a file",
            [&arguments](Output& out) { return station_export(out, arguments); })
      .station("NAME", arguments.station, "the station")
      .option("--from PLACE", arguments.from,
              "earliest (default), latest, seq:N, time:T (such as 2026-11-23T10:00:00Z, or 5m: "
              "that long ago), or last:N: the newest N of each partition")
      .option("--to PLACE", arguments.to,
              "latest (default: what is there now), seq:N (that one included), or time:T (those "
              "before it)")
      .option("--output FILE", arguments.output,
              "a file that appears whole or not at all, or - (default: stdout)")
      .flag("--overwrite", arguments.overwrite, "replace FILE if it is there")
      .explain(
          "Holds nobody back: in memory, what is overwritten before it is read is a gap. A gap is "
          "told, and stands in the stream; the exit status is 1 then, though all else is there. "
          "The stream carries the station's parameters, and of each message its partition, "
          "sequence, time stamp, key, id, headers, producer and payload; every block of it has a "
          "checksum. Killed, it leaves FILE.partial, which the next export to FILE replaces.")
      .examples({"loopline station export orders --output orders.loopline",
                 "loopline station export orders --from time:1d | zstd > orders.loopline.zst",
                 "loopline station export orders | ssh other loopline station import"});
}

void declare_new_parameters(Verb& verb, StationAddArguments& to) {
  verb.option("--ring SIZE", to.ring, "of each partition, a power of two from 64KiB")
      .option("--max-message SIZE", to.max_message, "of one message, up to ring/8 - 32")
      .flag("--exclusive", to.exclusive, "one producer at a time")
      .option("--when-full WORD", to.when_full, "block, reject or drop-oldest")
      .option("--evict-after TIME", to.evict_after, "off, or such as 250ms")
      .option("--timestamp WORD", to.timestamp, "precise, coarse or off: of messages to come")
      .option("--dedup-window TIME", to.dedup_window, "off, or such as 10m")
      .option("--dedup-entries NUMBER", to.dedup_entries, "ids known at once, a power of two")
      .option("--mode MODE", to.mode, "permissions, such as 0660")
      .option("--owner USER", to.owner, "or user:group (default you)")
      .option("--storage WORD", to.storage, "memory or file")
      .option("--segment SIZE", to.segment, "a file of the log, 64KiB to 1GiB")
      .option("--retention-age TIME", to.retention_age, "off, or such as 12h")
      .option("--retention-messages NUMBER", to.retention_messages, "off, or about so many")
      .option("--retention-bytes SIZE", to.retention_bytes, "off, or about so much")
      .option("--flush TIME", to.flush, "group-commit, or such as 5ms");
}

void declare_import(Noun& station, StationImportArguments& arguments) {
  Verb verb = station.verb("import", "make a station out of an export",
                           [&arguments](Output& out) { return station_import(out, arguments); });
  verb.argument_if_any("NAME", arguments.to.name,
                       "a new name (default: that of the station which was exported)")
      .option("--input FILE", arguments.input, "an export, or - (default: stdin)")
      .flag("--salvage", arguments.salvage,
            "of a damaged export, import what is whole and say what is not; exit status 1")
      .flag("--renumber", arguments.renumber,
            "number the messages of each partition from 1, without holes");
  declare_new_parameters(verb, arguments.to);
  verb.explain(
          "The station must not exist. Its parameters are those of the original where no option "
          "says otherwise; its partitions cannot change. Messages keep their partition, order, "
          "sequence, time stamp, key, id, headers and producer: numbers that have no message "
          "stay without one. A file is read twice, and nothing is made out of a damaged one; what "
          "comes through a pipe is taken away again. It ends when all is on disk, flushed by the "
          "broker, or by itself when none runs. Retention counts by the original time stamps, and "
          "may drop what is older. Killed, it leaves a station that loopline station info calls a "
          "part; remove it with loopline station rm.")
      .examples({"loopline station import --input orders.loopline",
                 "loopline station import orders-copy --input orders.loopline --ring 64MiB",
                 "zstd -dc orders.loopline.zst | loopline station import"});
}

}  // namespace

void declare_transfer(Noun& station, CommandLine& line) {
  declare_export(station, line.keep<StationExportArguments>());
  declare_import(station, line.keep<StationImportArguments>());
}

}  // namespace loopline::cli
