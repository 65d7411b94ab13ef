// produce, consume: their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {

void declare_produce(CommandLine& line) {
  auto& arguments = line.keep<ProduceArguments>();
  line.verb("produce", "publish lines, files or records",
            [&arguments](Output& out) { return produce(out, arguments); })
      .station("STATION", arguments.station, "where to")
      .files("FILE", arguments.files, "what to publish (default stdin)")
      .option("--records WORD", arguments.records,
              "lines (default), file (each input one message), or length-prefixed (u32 "
              "little-endian)")
      .option("--key KEY", arguments.key, "of every message")
      .option("--header NAME=VALUE", arguments.headers, "may be repeated")
      .option("--id ID", arguments.id, "of every message; %n in it is the message's number")
      .option("--rate RATE", arguments.rate, "messages a second, such as 1000/s")
      .flag("--create", arguments.create, "make the station if it is not there");
}

void declare_consume(CommandLine& line) {
  auto& arguments = line.keep<ConsumeArguments>();
  line.verb("consume", "print messages",
            [&arguments](Output& out) { return consume(out, arguments); })
      .station("STATION", arguments.station, "where from")
      .option("--from PLACE", arguments.from,
              "earliest (default), latest (default with --follow), seq:N, last:N, or time:T such "
              "as time:5m (ago) or time:2026-11-23T10:00:00Z")
      .option("--to PLACE", arguments.to,
              "latest (what is there now; default), seq:N (with it), time:T (before it); with "
              "--follow until it comes")
      .option("--partition NUMBER", arguments.partition, "only this one (default all)")
      .count("--count NUMBER", arguments.count, "stop after as many")
      .flag("--follow,-f", arguments.follow, "go on with what comes; else end with what is there")
      .option("--grep REGEX", arguments.grep, "only payloads matching this extended expression")
      .option("--template FORM", arguments.format,
              "such as '%s %t %k %p\\n': %s sequence, %P partition, %t time, %k key, %i id, %h "
              "headers, %b size, %p payload")
      .flag("--hex", arguments.hex, "payloads as a hex dump")
      .option("--records WORD", arguments.records,
              "lines (default) or length-prefixed (u32 little-endian)")
      .flag("--lossy", arguments.lossy,
            "never hold producers back; what was missed is told on stderr");
}

}  // namespace loopline::cli
