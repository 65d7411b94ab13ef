// demo, bench: their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

void add_bench_options(Verb verb, BenchArguments& arguments, const char* example) {
  verb.option("--size SIZE", arguments.size, "payload of a message (default 256B)")
      .option("--seconds NUMBER", arguments.seconds, "how long, in seconds (default 2)")
      .option("--wait WORD", arguments.wait,
              "spin, adaptive (default) or park: how a consumer waits")
      .explain("It makes a station of its own and removes it.")
      .examples({example});
}

}  // namespace

void declare_demo(CommandLine& line) {
  auto& arguments = line.keep<DemoArguments>();
  line.verb("demo", "see it at work, on real records of this machine",
            [&arguments](Output& out) { return demo(out, arguments); })
      .option("--input FILE", arguments.input,
              "what to publish: paragraphs, or lines (default: the package lists of this machine)")
      .option("--seconds NUMBER", arguments.seconds, "how long, in seconds (default 20)")
      .explain(
          "Two producers and three consumers; one producer is killed on the way. In the end every "
          "consumer's messages are held against what was written. Nothing stays behind.")
      .examples({"loopline demo", "loopline demo --seconds 5 --input /var/log/syslog"});
}

void declare_bench(CommandLine& line) {
  Noun bench = line.noun("bench", "measure between two processes, each on a core of its own");
  auto& arguments = line.keep<BenchArguments>();
  add_bench_options(bench.verb("rtt", "round trips of one message: percentiles of their time",
                               [&arguments](Output& out) { return bench_rtt(out, arguments); }),
                    arguments, "loopline bench rtt --size 1KiB --wait spin");
  add_bench_options(
      bench.verb("pub", "a stream from a producer to a consumer: messages and bytes a second",
                 [&arguments](Output& out) { return bench_pub(out, arguments); }),
      arguments, "loopline bench pub --size 16KiB --seconds 5");
}

}  // namespace loopline::cli
