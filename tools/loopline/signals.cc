// Signals: handlers that only set a flag, or write one sentence and leave.
#include "signals.h"

#include <unistd.h>
#include <csignal>
#include <cstring>

#include "shm/base/clock.h"

namespace loopline::cli {
namespace {

volatile std::sig_atomic_t stop_flag = 0;

void on_stop(int) { stop_flag = 1; }

void on_bus_error(int) {
  constexpr char text[] =
      "loopline: a file of the station was cut short while it was in use; "
      "see: loopline station ls\n";
  if (::write(STDERR_FILENO, text, sizeof text - 1) < 0) ::_exit(1);  // nobody listens
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
