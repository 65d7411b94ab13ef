// demo, bench: their options and help.
#include "commands.h"
#include "declare.h"

namespace loopline::cli {
namespace {

void add_bench_options(Verb verb, BenchArguments& arguments) {
  verb.option("--size SIZE", arguments.size, "of a message (default 256B)")
      .option("--seconds NUMBER", arguments.seconds, "how long (default 2)")
      .option("--wait WORD", arguments.wait, "spin, adaptive (default) or park");
}

}  // namespace

void declare_demo(CommandLine& line) {
  auto& arguments = line.keep<DemoArguments>();
  line.verb("demo", "see it at work, on real records of this machine",
            [&arguments](Output& out) { return demo(out, arguments); })
      .option("--input FILE", arguments.input, "other records: paragraphs, or lines")
      .option("--seconds NUMBER", arguments.seconds, "how long (default 20)");
}

void declare_bench(CommandLine& line) {
  Noun bench = line.noun("bench", "measure between two processes, each on a core of its own");
  auto& arguments = line.keep<BenchArguments>();
  add_bench_options(bench.verb("rtt", "round trips of one message",
                               [&arguments](Output& out) { return bench_rtt(out, arguments); }),
                    arguments);
  add_bench_options(bench.verb("pub", "a stream from a producer to a consumer",
                               [&arguments](Output& out) { return bench_pub(out, arguments); }),
                    arguments);
}

}  // namespace loopline::cli
