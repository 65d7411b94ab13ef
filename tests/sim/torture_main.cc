// log_torture: cuts the power of simulated disks under a log for as long as told.
//
//   log_torture --minutes 30               schedule after schedule
//   log_torture --cuts 100000              until so many cuts are counted
//   log_torture --seed 7 --schedule 12 --cut 88 --mode torn   one of them once more
//
// Exit status: 0 nothing was wrong, 1 a rule was broken, 2 bad usage.
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "log_trial.h"
#include "shm/base/clock.h"

namespace loopline::sim {
namespace {

constexpr uint64_t second_ns = 1'000'000'000;
constexpr uint64_t line_every_ns = 10 * second_ns;

struct Options {
  double seconds = 0;
  uint64_t cuts = 0;
  uint64_t seed = 0;
  std::optional<uint64_t> schedule;
  std::optional<CutAt> cut;
};

const char* const usage =
    "usage: log_torture [--minutes N | --seconds N | --cuts N] [--seed S]\n"
    "                   [--schedule K [--cut E --mode M]]\n";

bool read_mode(const char* text, CutMode& mode) {
  for (const CutMode known : cut_modes) {
    if (std::strcmp(text, name_of(known)) != 0) continue;
    mode = known;
    return true;
  }
  return false;
}

bool parse(int count, char** arguments, Options& options) {
  CutAt cut;
  bool has_cut = false, has_mode = false;
  for (int index = 1; index < count; index += 2) {
    const std::string key = arguments[index];
    if (index + 1 >= count) return false;
    const char* value = arguments[index + 1];
    const uint64_t number = std::strtoull(value, nullptr, 10);
    if (key == "--minutes")
      options.seconds = 60 * std::atof(value);
    else if (key == "--seconds")
      options.seconds = std::atof(value);
    else if (key == "--cuts")
      options.cuts = number;
    else if (key == "--seed")
      options.seed = number;
    else if (key == "--schedule")
      options.schedule = number;
    else if (key == "--cut")
      has_cut = true, cut.events = number;
    else if (key == "--mode")
      has_mode = read_mode(value, cut.mode);
    else
      return false;
  }
  if (has_cut != has_mode || (has_cut && !options.schedule)) return false;
  if (has_cut) options.cut = cut;
  return true;
}

// A check of the code under test stops the process: this says where it was.
void tell_replay(int) {
  std::fprintf(stderr, "replay: %s\n", current_replay());
  std::_Exit(1);
}

int torture(const Options& options) {
  for (const int signal : {SIGABRT, SIGILL, SIGTRAP, SIGSEGV}) std::signal(signal, tell_replay);
  LogTrial trial(options.seed);
  const uint64_t started = monotonic_ns();
  const uint64_t end = started + static_cast<uint64_t>(options.seconds * 1e9);
  uint64_t next_line = started + line_every_ns;
  const auto goes_on = [&](uint64_t schedule) {
    if (options.schedule) return schedule == 0;
    if (options.seconds != 0) return monotonic_ns() < end;
    return trial.cuts().cuts < (options.cuts == 0 ? 100'000 : options.cuts);
  };
  std::printf("log_torture: seed %llu\n", static_cast<unsigned long long>(options.seed));
  bool is_fine = true;
  for (uint64_t index = 0; is_fine && goes_on(index); ++index) {
    is_fine = trial.run(options.schedule.value_or(index), options.cut);
    if (monotonic_ns() < next_line) continue;
    next_line = monotonic_ns() + line_every_ns;
    std::printf("%llu cuts\n", static_cast<unsigned long long>(trial.cuts().cuts));
    std::fflush(stdout);
  }
  if (!is_fine) std::printf("WRONG: %s\n", trial.wrong().c_str());
  std::printf("%s", trial.report().c_str());
  std::printf("%.1f s\n", static_cast<double>(monotonic_ns() - started) / 1e9);
  return is_fine ? 0 : 1;
}

}  // namespace
}  // namespace loopline::sim

int main(int count, char** arguments) {
  loopline::sim::Options options;
  if (!loopline::sim::parse(count, arguments, options)) {
    std::fputs(loopline::sim::usage, stderr);
    return 2;
  }
  return loopline::sim::torture(options);
}
