// produce, consume: their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {

void declare_produce(CommandLine& line) {
  auto& arguments = line.keep<ProduceArguments>();
  line.verb("produce", "publish lines, files or records",
            [&arguments](Output& out) { return produce(out, arguments); })
      .station("STATION", arguments.station, "the station")
      .files("FILE", arguments.files, "what to publish; - is stdin (default stdin)")
      .option("--records WORD", arguments.records,
              "lines (default), file or length-prefixed: a message is a line without its newline, "
              "a whole "
              "input, or what follows a length of 4 bytes (little-endian)")
      .option("--key KEY", arguments.key,
              "of every message; messages of one key go to one partition, in order")
      .option("--header NAME=VALUE", arguments.headers, "of every message; may be repeated")
      .option("--id ID", arguments.id,
              "of every message; %n in it is the message's number. An id that was published within "
              "the station's dedup-window is not published again")
      .option("--producer NAME", arguments.producer,
              "who publishes: the station knows how many records of the input NAME has published, "
              "and leaves these out when the same input is published again; one at a time may be "
              "NAME, the last to come")
      .option("--rate RATE", arguments.rate,
              "messages a second, such as 1000/s (default: as fast as it goes)")
      .option("--ack WORD", arguments.ack,
              "visible, durable or committed (as durable, while it has no replicas): what it "
              "waits for before it ends (default durable for stations on disk, else visible)")
      .flag("--print-acked", arguments.print_acked,
            "each record to stdout once it has reached that level, in order")
      .flag("--create", arguments.create, "make the station if it is not there")
      .explain(
          "A full ring makes it wait for the slowest consumer, unless the station was made with "
          "--when-full.")
      .examples({"seq 1000 | loopline produce numbers --create",
                 "loopline produce orders --key AAPL --header source=test orders.txt",
                 "loopline produce files --records file *.pdf",
                 "yes tick | loopline produce clock --rate 10/s",
                 "loopline produce ledger --print-acked < entries > safe-on-disk"});
}

void declare_consume(CommandLine& line) {
  auto& arguments = line.keep<ConsumeArguments>();
  line.verb("consume", "print messages",
            [&arguments](Output& out) { return consume(out, arguments); })
      .station("STATION", arguments.station, "the station")
      .option(
          "--from PLACE", arguments.from,
          "where to begin: earliest (default), latest (default with --follow), seq:N, last:N, or "
          "time:T such as time:5m (ago) or time:2026-11-23T10:00:00Z")
      .option(
          "--to PLACE", arguments.to,
          "where to end: latest (what is there now; default), seq:N (with it), time:T (before it); "
          "with --follow it waits until that comes")
      .option("--partition NUMBER", arguments.partition, "only this one (default all)")
      .count("--count NUMBER", arguments.count, "end after as many messages")
      .flag("--follow,-f", arguments.follow,
            "go on with what comes (default: end with what is there)")
      .option("--grep REGEX", arguments.grep,
              "only payloads that match this regular expression (RE2's syntax)")
      .option("--template FORM", arguments.format,
              "how to print one, such as '%s %t %k %p\\n': %s sequence, %P partition, %t time, %k "
              "key, %i "
              "id, %h headers, %b payload bytes, %p payload")
      .flag("--hex", arguments.hex, "payloads as a hex dump")
      .option("--records WORD", arguments.records,
              "lines (default) or length-prefixed: a length of 4 bytes (little-endian) before each "
              "payload")
      .flag("--lossy", arguments.lossy,
            "never hold producers back; what was missed is told on stderr")
      .explain(
          "It takes nothing away from others: messages stay until the ring needs their room. While "
          "it reads, producers wait for it when the ring is full, unless it is --lossy.")
      .examples({"loopline consume numbers --template '%s %t %p\\n'",
                 "loopline consume orders --follow --from last:10",
                 "loopline consume orders --from time:5m --grep 'AAPL|MSFT' --json",
                 "loopline consume orders --follow --lossy --count 100"});
}

}  // namespace loopline::cli
