// Signals: Ctrl-C ends the work in hand, a closed pipe is an answer, a file cut short is told in
// words.
#pragma once

#include <cstdint>
#include <string>

namespace loopline::cli {

// SIGINT and SIGTERM set stop_requested() and interrupt what waits (a second SIGINT kills); SIGPIPE
// is ignored.
void install_signals();
// SIGBUS, which is a mapped file that somebody truncated, ends the process with status 1 and this
// on stderr.
void tell_files_cut_short(const std::string& line);
bool stop_requested();
// Sleeps that long, or until stop_requested().
void pause_for(uint64_t period_ns);
// For processes that are forked to be stopped by their parent only.
void leave_signals_to_parent();

}  // namespace loopline::cli
