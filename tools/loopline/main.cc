// loopline: the command line, `loopline NOUN VERB`; help lists the commands in this order.
#include "declare.h"
#include "signals.h"

int main(int count, char** words) {
  using namespace loopline::cli;
  install_signals();
  CommandLine line;
  declare_demo(line);
  declare_broker(line);
  declare_factory(line);
  declare_station(line);
  declare_produce(line);
  declare_consume(line);
  declare_flush(line);
  declare_ring(line);
  declare_process(line);
  declare_why(line);
  declare_check(line);
  declare_doctor(line);
  declare_bench(line);
  declare_completion(line);
  return line.run(count, words);
}
