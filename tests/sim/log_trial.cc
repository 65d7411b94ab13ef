// LogTrial: plans drawn from a seed, lives lived and swept, numbers added up.
#include "log_trial.h"

#include <cstdio>

namespace loopline::sim {
namespace {

constexpr uint32_t turns = 400;
constexpr uint64_t go_on_once_in = 60;
constexpr uint32_t modes_with_mishap = 2;

char replay_now[160];  // read by whoever is told that the process ends

io::LogOptions draw_options(Random& random) {
  io::LogOptions options;
  options.folder = "/data/stations/main@orders/0";
  if (random.coin()) options.spares = "/data/spares";
  options.name = {"main", "orders"};
  options.id = {{random.next(), random.next()}};
  options.segment_bytes = io::segment_bytes_min;
  options.prefill = random.once_in(3);
  switch (random.below(6)) {
    case 0:
      break;
    case 1:
      options.retention.age_ns = random.between(1, 4000) * 1'000'000'000;
      break;
    case 2:
    case 3:
      options.retention.messages = random.between(1, 60);
      break;
    default:
      options.retention.bytes = random.between(1, 3) * options.segment_bytes;
  }
  return options;
}

LifePlan draw_plan(Random& random, uint64_t schedule) {
  LifePlan plan;
  plan.options = draw_options(random);
  plan.in_flight_max = static_cast<uint32_t>(random.between(2, 4));
  plan.body_bytes_max = random.coin() ? 300 : 4000;
  // Every second one is of power cuts alone.
  if (schedule % 2 == 1) plan.mishap = static_cast<Mishap>(1 + schedule / 2 % (mishap_count - 1));
  return plan;
}

}  // namespace

const char* current_replay() { return replay_now; }

std::string LogTrial::replay(uint64_t schedule, const CutAt* at) const {
  std::string text =
      "log_torture --seed " + std::to_string(seed_) + " --schedule " + std::to_string(schedule);
  if (at == nullptr) return text;
  return text + " --cut " + std::to_string(at->events) + " --mode " + name_of(at->mode);
}

bool LogTrial::run(uint64_t schedule, std::optional<CutAt> only) {
  Random random(seed_ * 0x9e3779b97f4a7c15u + schedule);
  const LifePlan plan = draw_plan(random, schedule);
  std::snprintf(replay_now, sizeof replay_now, "%s", replay(schedule, nullptr).c_str());
  SimDisk disk;
  Station station;
  LogLife life(disk, plan, station, random,
               Known{.durable = station.start, .floor = station.start});
  life.run(turns);
  if (plan.mishap == Mishap::full || random.coin()) life.finish();
  ++schedules_;
  lives_.add(life.counts());
  if (!life.wrong().empty()) {
    wrong_ = life.wrong() + "\nreplay: " + replay(schedule, nullptr);
    return false;
  }
  SweepPlan sweep_plan;
  sweep_plan.seed = seed_ * 1'000'003 + schedule;
  const bool may_lie = plan.mishap == Mishap::lost || plan.mishap == Mishap::misdirected;
  const bool is_plain = plan.mishap == Mishap::none || plan.mishap == Mishap::stall;
  sweep_plan.modes = is_plain ? 0 : modes_with_mishap;
  sweep_plan.go_on_once_in = may_lie ? 0 : go_on_once_in;
  sweep_plan.only = only;
  CutCounts counts;
  CutSweep sweep(sweep_plan, plan, counts, lives_);
  const bool is_fine = sweep.run(disk, life, station);
  if (only) print_journal(disk, life, only->events);
  const bool is_counted = life.counts().in_flight_max >= 2 && life.counts().boundaries >= 1;
  if (is_counted) cuts_.add(counts);
  uncounted_ += is_counted ? 0 : 1;
  if (is_fine) return true;
  const CutAt at = sweep.at();
  wrong_ = sweep.wrong() + "\nreplay: " + replay(schedule, &at);
  return false;
}

size_t LogTrial::mishap_kinds() const {
  size_t kinds = 0;
  for (const uint64_t count : lives_.mishaps) kinds += count != 0 ? 1 : 0;
  return kinds;
}

std::string LogTrial::report() const {
  const auto text = [](uint64_t count) { return std::to_string(count); };
  std::string report =
      text(cuts_.cuts) + " power cuts in " + text(schedules_ - uncounted_) + " schedules (of " +
      text(schedules_) + "; the others had no boundary, or one batch at a time)\n  " +
      text(cuts_.in_opening) + " while a log was opened, " + text(cuts_.in_dropping) +
      " while retention dropped, " + text(cuts_.second) + " after an earlier cut\n  by kind:";
  for (const CutMode mode : cut_modes) {
    report +=
        std::string(" ") + name_of(mode) + " " + text(cuts_.of_mode[static_cast<size_t>(mode)]);
  }
  report += "\n  mishaps:";
  for (size_t index = 1; index < mishap_count; ++index) {
    report +=
        std::string(" ") + name_of(static_cast<Mishap>(index)) + " " + text(lives_.mishaps[index]);
  }
  report += "\n  lives: " + text(lives_.openings) + " openings, " + text(lives_.closings) +
            " closings, " + text(lives_.kills) + " kills (" + text(lives_.deaths_within) +
            " amid opening, closing or a chore), " + text(lives_.strays) +
            " writes landed after them\n  " + text(lives_.messages) + " messages, " +
            text(lives_.batches) + " batches, " + text(lives_.in_flight_max) + " in flight, " +
            text(lives_.boundaries) + " times on to the next segment, " + text(lives_.drops) +
            " times dropped, " + text(lives_.gaps) + " gaps met when opening, " +
            text(lives_.edits) + " edits, " + text(lives_.purges) +
            " purges\n";
  return report;
}

}  // namespace loopline::sim
