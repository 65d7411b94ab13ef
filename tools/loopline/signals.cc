// Signals: handlers that only set a flag, or write one sentence and leave.
#include "signals.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>

#include "shm/base/clock.h"

namespace loopline::cli {
namespace {

volatile std::sig_atomic_t stop_flag = 0;

void on_stop(int) { stop_flag = 1; }

// Made beforehand: a handler may not allocate.
char bus_text[256];
size_t bus_text_size = 0;

void on_bus_error(int) {
  if (::write(STDERR_FILENO, bus_text, bus_text_size) < 0) ::_exit(1);  // nobody listens
  ::_exit(1);
}

// Without SA_RESTART: a read that waits for input returns.
void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action {};
  action.sa_handler = handler;
  action.sa_flags = flags;
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

void install_signals() {
  handle(SIGINT, on_stop, static_cast<int>(SA_RESETHAND));
  handle(SIGTERM, on_stop, static_cast<int>(SA_RESETHAND));
  handle(SIGPIPE, SIG_IGN, 0);
  handle(SIGXFSZ, SIG_IGN, 0);  // a file that may not grow is a fault: EFBIG
}

void tell_files_cut_short(const std::string& line) {
  bus_text_size = std::min(line.size(), sizeof bus_text);
  std::memcpy(bus_text, line.data(), bus_text_size);
  handle(SIGBUS, on_bus_error, 0);
}

bool stop_requested() { return stop_flag != 0; }

void pause_for(uint64_t period_ns) {
  const uint64_t end = monotonic_ns() + period_ns;
  const timespec until{static_cast<time_t>(end / 1'000'000'000),
                       static_cast<long>(end % 1'000'000'000)};
  while (!stop_requested() && monotonic_ns() < end) {
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, nullptr);
  }
}

void leave_signals_to_parent() {
  handle(SIGINT, SIG_IGN, 0);
  handle(SIGTERM, SIG_DFL, 0);
}

}  // namespace loopline::cli
