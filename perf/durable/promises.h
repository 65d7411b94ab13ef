// Promises: what Loopline's log on disk has promised, in multiples of the yardsticks beside it.
#pragma once

#include <string>

#include "rounds.h"

namespace loopline::perf {

struct Judgement {
  // "p50 1.04x <= 1.05x raw write", comma, the next; empty when nothing was promised.
  std::string figures;
  std::string verdict;  // "pass", or "miss" and what; empty likewise
};

// Judges the median of the ratios, each of which is taken within one round: a disk that is slow for
// a while is so for both. Only rows of subjects called "loopline ..." have promised anything.
Judgement judge(const RowRounds& of, const AllRounds& all);

// Our rate, or byte rate, against that of `of`, as "3.2x"; of Loopline spinning, or of the only row
// of ours that there is. Empty for rows of our own, and where we were not measured.
std::string compare_with_loopline(const RowRounds& of, const AllRounds& all);

}  // namespace loopline::perf
