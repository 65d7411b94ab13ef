// crash_torture: kills and stops processes at a ring for as long as told, and checks each message.
//
//   crash_torture --minutes 10              one round after another, each its own station
//   crash_torture --seconds 20 --seed 7     the same decisions again (not the same interleaving)
//
// Exit status: 0 nothing was wrong, 1 a rule was broken, 2 bad usage.
#include <sys/mman.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>

#include "shm/base/clock.h"
#include "torture.h"

namespace loopline::crash {
namespace {

constexpr uint64_t second = 1'000'000'000;
constexpr double line_every_s = 10;

std::atomic<bool> interrupted{false};

struct Options {
  double seconds = 20;
  double round_seconds = 5;
  uint64_t seed = 0;
  uint32_t processes = 9;  // mortal ones
  std::string only;        // one kind of round
};

const char* const usage =
    "usage: crash_torture [--minutes N | --seconds N] [--seed S] [--processes N]\n"
    "                     [--round-seconds N] [--only many|exclusive|sealing|paced|group]\n";

bool parse(int count, char** arguments, Options& options) {
  for (int index = 1; index < count; index += 2) {
    const std::string key = arguments[index];
    if (index + 1 >= count) return false;
    const char* value = arguments[index + 1];
    if (key == "--minutes")
      options.seconds = 60 * std::atof(value);
    else if (key == "--seconds")
      options.seconds = std::atof(value);
    else if (key == "--round-seconds")
      options.round_seconds = std::atof(value);
    else if (key == "--seed")
      options.seed = std::strtoull(value, nullptr, 10);
    else if (key == "--processes")
      options.processes = static_cast<uint32_t>(std::atoi(value));
    else if (key == "--only")
      options.only = value;
    else
      return false;
  }
  return options.seconds > 0 && options.round_seconds > 0 && options.processes >= 4 &&
         options.processes < children_max;
}

// Each round another mixture; the seed decides.
RoundPlan plan_round(const Options& options, uint64_t number, uint64_t left_ns) {
  RoundPlan plan;
  plan.seed = options.seed * 7919 + number;
  Random random(plan.seed);
  plan.exclusive = options.only.empty() ? below(random, 3) == 0 : options.only == "exclusive";
  plan.sealing = options.only.empty() ? below(random, 4) == 0 : options.only == "sealing";
  plan.paced = options.only.empty() ? below(random, 4) == 0 : options.only == "paced";
  plan.forge = below(random, 8) != 0;
  plan.capacity = below(random, 4) == 0 ? 256u << 10 : 64u << 10;
  plan.kill_mean_us = 15'000;
  plan.stop_mean_us = 60'000;
  plan.duration_ns = static_cast<uint64_t>(options.round_seconds * static_cast<double>(second));
  if (plan.duration_ns > left_ns) plan.duration_ns = left_ns;
  auto& counts = plan.counts;
  const auto of = [&](Role role) -> uint32_t& { return counts[static_cast<size_t>(role)]; };
  of(Role::witness) = 1;
  of(Role::consumer) = 1;
  of(Role::joiner) = 1;
  of(Role::lossy) = 1;
  of(Role::repairer) = 1;
  of(Role::sealer) = plan.sealing ? 1 : 0;
  for (uint32_t left = options.processes - 4 - of(Role::sealer); left > 0; --left) {
    const uint64_t dice = below(random, 8);
    ++of(dice < 5 ? Role::producer : dice < 7 ? Role::consumer : Role::lossy);
  }
  if (of(Role::producer) == 0) of(Role::producer) = 1;
  return plan;
}

Board& make_board() {
  void* memory =
      ::mmap(nullptr, sizeof(Board), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) give_up("no memory for the board", std::strerror(errno));
  return *new (memory) Board;
}

int torture(const Options& options) {
  std::signal(SIGINT, [](int) { interrupted = true; });
  std::signal(SIGTERM, [](int) { interrupted = true; });
  const PrivateInstance instance;
  Board& board = make_board();
  Tally tally;
  const uint64_t started = monotonic_ns();
  const uint64_t end =
      started + static_cast<uint64_t>(options.seconds * static_cast<double>(second));
  const auto seconds_since = [&] {
    return static_cast<double>(monotonic_ns() - started) / static_cast<double>(second);
  };
  std::printf("crash_torture: seed %llu, %u mortal processes, %.0f s\n",
              static_cast<unsigned long long>(options.seed), options.processes, options.seconds);
  if (options.only == "group") {
    const auto round_ns = static_cast<uint64_t>(options.round_seconds * double{second});
    const bool kept =
        torture_groups(options.seed, options.processes, end - started, round_ns, interrupted);
    return kept ? 0 : 1;
  }
  double next_line = line_every_s;
  bool fine = true;
  for (uint64_t number = 1; fine && !interrupted && monotonic_ns() < end; ++number) {
    const RoundPlan plan = plan_round(options, number, end - monotonic_ns());
    fine = run_round(instance, board, plan, tally, interrupted);
    if (!fine) {
      std::printf("wrong in round %llu (%s)\nreplay: crash_torture --seconds %.0f --seed %llu\n",
                  static_cast<unsigned long long>(number), describe(plan).c_str(), options.seconds,
                  static_cast<unsigned long long>(options.seed));
    }
    if (seconds_since() >= next_line) {
      print_line(tally, board, seconds_since());
      next_line = seconds_since() + line_every_s;
    }
  }
  print_report(tally, board, seconds_since());
  return fine ? 0 : 1;
}

}  // namespace
}  // namespace loopline::crash

int main(int count, char** arguments) {
  loopline::crash::Options options;
  options.seed = loopline::monotonic_ns() % 1'000'000;
  if (!loopline::crash::parse(count, arguments, options)) {
    std::fputs(loopline::crash::usage, stderr);
    return 2;
  }
  return loopline::crash::torture(options);
}
