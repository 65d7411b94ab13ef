// Tally: the run in words: a line now and then, and all of it at the end.
#include <cstdio>
#include <cstring>

#include "shm/base/units.h"
#include "torture.h"

namespace loopline::crash {
namespace {

constexpr const char* fate_names[fate_count] = {"producers inside a claim",
                                                "producers outside",
                                                "consumers reading",
                                                "parkers",
                                                "joiners and leavers",
                                                "lossy readers",
                                                "holding the ring lock",
                                                "repairers looking around",
                                                "sealers"};
constexpr const char* blocked_names[blocked_count] = {
    "producer inside a claim", "holder of the ring lock", "anyone else", "with paced producers"};

double ms(uint64_t nanoseconds) { return static_cast<double>(nanoseconds) / 1e6; }

}  // namespace

void Board::wrong(const std::string& text) {
  const uint64_t index = wrong_count++;
  if (index >= sizeof wrongs / sizeof wrongs[0]) return;
  std::strncpy(wrongs[index], text.c_str(), sizeof wrongs[index] - 1);
}

std::string describe(const RoundPlan& plan) {
  std::string text = plan.exclusive ? "exclusive" : "many";
  text += ", " + format_size(plan.capacity);
  if (plan.forge) text += ", forged";
  if (plan.paced) text += ", paced";
  if (plan.sealing) text += ", sealing";
  return text;
}

uint64_t Tally::deaths_total() const {
  uint64_t total = 0;
  for (const uint64_t count : deaths) total += count;
  return total;
}

void print_line(const Tally& tally, const Board& board, double seconds) {
  std::printf("%6.0f s  %9s deaths  %7s stops  %13s messages  %10s laps  %s wrong\n", seconds,
              format_count(tally.deaths_total()).c_str(), format_count(tally.stops).c_str(),
              format_count(tally.messages).c_str(), format_count(tally.laps).c_str(),
              format_count(board.wrong_count).c_str());
  std::fflush(stdout);
}

void print_report(const Tally& tally, const Board& board, double seconds) {
  std::printf("\n%s deaths in %.0f s (%s by their own hand at a step, %s from outside)\n",
              format_count(tally.deaths_total()).c_str(), seconds,
              format_count(tally.by_hand).c_str(), format_count(tally.from_outside).c_str());
  for (size_t fate = 0; fate < fate_count; ++fate) {
    std::printf("  %-26s %10s\n", fate_names[fate], format_count(tally.deaths[fate]).c_str());
  }
  std::printf("%s stops, %s for over a lap, %s for over ten\n", format_count(tally.stops).c_str(),
              format_count(tally.stops_over_a_lap).c_str(),
              format_count(tally.stops_over_ten_laps).c_str());
  std::printf("%s rounds, %s producers, %s messages, %s more reads of them, %s laps\n",
              format_count(tally.rounds).c_str(), format_count(tally.writers).c_str(),
              format_count(tally.messages).c_str(), format_count(tally.read_by_others).c_str(),
              format_count(tally.laps).c_str());
  std::printf(
      "%s repairs, %s cursors reaped, %s frames completed for the dead, %s seals, "
      "%s takeovers of exclusive rings\n",
      format_count(tally.repairs).c_str(), format_count(tally.reaped).c_str(),
      format_count(tally.fillers).c_str(), format_count(tally.seals).c_str(),
      format_count(board.takeovers).c_str());
  std::printf("from the kill until a consumer that lives goes on past it, ms (nobody stopped):\n");
  for (size_t kind = 0; kind < blocked_count; ++kind) {
    const Histogram& blocked = board.blocked[kind];
    std::printf("  %-26s n %8s  p50 %8.3f  p99 %8.3f  p99.9 %8.3f  max %8.3f\n",
                blocked_names[kind], format_count(blocked.count()).c_str(),
                ms(blocked.percentile(50)), ms(blocked.percentile(99)),
                ms(blocked.percentile(99.9)), ms(blocked.max()));
  }
  const uint64_t shown = board.wrong_count < 16 ? board.wrong_count.load() : 16;
  for (uint64_t index = 0; index < shown; ++index) std::printf("WRONG: %s\n", board.wrongs[index]);
  std::printf("%s violations\n", format_count(board.wrong_count).c_str());
  std::fflush(stdout);
}

}  // namespace loopline::crash
