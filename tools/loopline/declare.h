// Declarations: the options and the help of every command, by noun, for main.cc.
#pragma once

#include "command_line.h"

namespace loopline::cli {

void declare_broker(CommandLine& line);
void declare_demo(CommandLine& line);
void declare_factory(CommandLine& line);
void declare_station(CommandLine& line);
void declare_transfer(Noun& station, CommandLine& line);  // station export, station import
void declare_produce(CommandLine& line);
void declare_consume(CommandLine& line);
void declare_flush(CommandLine& line);
void declare_ring(CommandLine& line);
void declare_process(CommandLine& line);
void declare_why(CommandLine& line);
void declare_check(CommandLine& line);
void declare_doctor(CommandLine& line);
void declare_bench(CommandLine& line);
void declare_completion(CommandLine& line);

}  // namespace loopline::cli
